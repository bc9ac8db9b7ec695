"""Pictures of a notebook for the site: `make pictures` takes them in a JupyterLab with a cluster.

Each is of a cell of one notebook, and is written to docs/_static. Besides the packages of
``hippodrome[test]`` it needs a chromium with its driver.
"""

from __future__ import annotations

import io
import os
import sys
import tempfile
from pathlib import Path
from typing import Final

from PIL import Image

HERE: Final = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))

from selenium.webdriver import Chrome  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402

from support import lab  # noqa: E402

NOTEBOOK: Final = """\
import hippodrome as ipp

cluster = ipp.Cluster(n=4)
rc = cluster.start_and_connect_sync()
rc
---
def estimate_pi(darts):
    from random import random

    hits = sum(random() ** 2 + random() ** 2 < 1 for _ in range(darts))
    return 4 * hits / darts


tasks = rc.load_balanced_view()
tasks.map_sync(estimate_pi, [10, 1_000, 100_000])
---
ar = tasks.map_async(estimate_pi, range(50_000, 290_000, 10_000))
ar.wait_interactive()
ar
---
engines = rc[:]
engines["scale"] = 10
engines.apply_sync(lambda x: x * scale, 4)
---
%%px --targets :2
import numpy as np
import matplotlib.pyplot as plt

plt.figure(figsize=(5, 1.4))
plt.hist(np.random.default_rng().normal(size=5000), bins=60);
---
engines.scatter("part", [4, 2, 0, 1], block=True)
---
%%px
12 / part[0]
---
cluster.stop_cluster_sync()
"""
CELLS: Final = NOTEBOOK.removesuffix("\n").split("\n---\n")
WHOLE, OUTPUTS = range(2)
PICTURES: Final = {
    "first-map.png": (2, WHOLE),
    "figures.png": (4, OUTPUTS),
    "one-error.png": (6, OUTPUTS),
}
SCALE: Final = 1.5
MARGIN: Final = 4  # pixels of a page, less than are between cells
PROMPT: Final = 64  # how wide the column of prompts is, which outputs leave empty
MOST_BYTES: Final = 150_000
TIDY: Final = """
    const style = document.createElement('style');
    style.textContent = `
        .jp-Notebook .jp-Cell .jp-InputArea-prompt { visibility: visible; }
        .jp-Collapser, .jp-cell-toolbar, .jp-Notebook-footer { visibility: hidden; }
        * { caret-color: transparent !important; }
    `;
    document.head.append(style);
    document.activeElement.blur();
"""


def main() -> None:
    """Take all pictures."""
    with tempfile.TemporaryDirectory(prefix="pictures-") as folder:
        home = Path(folder)
        os.environ["IPYTHONDIR"] = str(home / "ipython")
        notebook = lab.write_notebook(home / "notebooks" / "session.ipynb", CELLS)
        with (
            lab.lab(notebook, home) as address,
            lab.browser(address, home, size="806,3000", scale=SCALE) as browser,
        ):
            lab.command(browser, "application:toggle-left-area")
            try:
                for cell in range(len(CELLS) - 1):
                    lab.run_cell(browser, cell)
                for name, (cell, part) in PICTURES.items():
                    save(HERE / "_static" / name, picture(browser, cell, part))
            finally:
                lab.run_cell(browser, len(CELLS) - 1)


def picture(browser: Chrome, cell: int, part: int) -> Image.Image:
    """Return what a cell, or a part of it, looks like."""
    browser.execute_script(TIDY)
    element = browser.find_elements(By.CSS_SELECTOR, ".jp-CodeCell")[cell]
    if part == OUTPUTS:
        element = element.find_element(By.CSS_SELECTOR, ".jp-OutputArea")
    at = element.rect
    whole = Image.open(io.BytesIO(browser.get_screenshot_as_png())).convert("RGB")
    left, top = at["x"] + (PROMPT if part == OUTPUTS else MARGIN), at["y"] - MARGIN
    box = (left, top, at["x"] + at["width"], at["y"] + at["height"] + MARGIN)
    return whole.crop(tuple(round(SCALE * edge) for edge in box))


def save(path: Path, image: Image.Image) -> None:
    """Write the file, in few colours."""
    image.quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)
    size = path.stat().st_size
    print(f"{path.relative_to(HERE.parent)}: {image.width} x {image.height}, {size // 1000} kB")
    assert size < MOST_BYTES, "it is too large for a page"


if __name__ == "__main__":
    main()
