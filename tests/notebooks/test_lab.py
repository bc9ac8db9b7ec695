"""%px in a real JupyterLab, looked at in a real browser."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("jupyterlab", reason="JupyterLab is not installed: pip install jupyterlab")
pytest.importorskip("selenium", reason="selenium is not installed: pip install selenium")

from selenium.webdriver import Chrome

from support import lab

pytestmark = [
    pytest.mark.skipif(
        not (lab.CHROMIUM and lab.DRIVER),
        reason="there is no chromium or no chromedriver (Debian's)",
    ),
    pytest.mark.timeout(240),
]

NOTEBOOK = """\
import hippodrome as ipp
cluster = ipp.Cluster(n=2)
rc = cluster.start_and_connect_sync()
rc
---
%%px
import time
from matplotlib import pyplot as plt
fig, ax = plt.subplots(figsize=(3, 1.5))
ax.plot([1, 3, 2]);
print('text from an engine')
---
def wait(i):
    import time
    time.sleep(0.05)
    return i

result = rc.load_balanced_view().map_async(wait, range(100), chunksize=2)
result.wait_interactive()
result
---
%%px
from tqdm.notebook import tqdm
for _ in tqdm(range(30), desc='an engine works'):
    time.sleep(0.05)
---
%%px
for i in range(600):
    print('step', i)
    time.sleep(0.1)
---
rc[:].apply_sync(len, 'usable')
---
cluster.stop_cluster_sync()
"""
CELLS = NOTEBOOK.split("\n---\n")
LONG = 4  # the cell that is interrupted


@pytest.fixture
def browser(site: Any, tmp_path: Path) -> Iterator[Chrome]:
    notebook = lab.write_notebook(tmp_path / "notebooks" / "look.ipynb", CELLS)
    with (
        lab.lab(notebook, tmp_path) as address,
        lab.browser(address, tmp_path, size="1000,2600") as browser,
    ):
        yield browser
        browser.save_screenshot(os.environ.get("LOOK_AT", str(tmp_path / "look.png")))


def test_a_notebook_in_jupyterlab(browser: Chrome, tmp_path: Path) -> None:
    lab.command(browser, "application:toggle-left-area")
    lab.command(browser, "notebook:run-all-cells")
    lab.wait_until(lambda: "step 3" in lab.text_of(browser, LONG))
    asked = time.monotonic()
    lab.command(browser, "notebook:interrupt-kernel")
    lab.wait_until(lambda: "KeyboardInterrupt" in lab.text_of(browser, LONG))
    assert time.monotonic() - asked < 5
    for cell in (LONG + 1, LONG + 2):  # what comes after an error was not run
        lab.run_cell(browser, cell)

    assert "connected" in lab.text_of(browser, 0)
    assert "[stdout:1] text from an engine" in lab.text_of(browser, 1)
    assert lab.n_elements(browser, 1, "img") == 2
    assert "100/100" in lab.text_of(browser, 2)
    assert lab.n_elements(browser, 2, ".widget-hprogress") == 1
    assert lab.n_elements(browser, 2, "svg") >= 1
    assert lab.text_of(browser, LONG - 1).count("works:") == 2
    assert lab.n_elements(browser, LONG - 1, ".widget-hprogress") >= 2  # %px may show one, too
    assert lab.text_of(browser, LONG - 1).count("30/30") == 2
    assert "[6, 6]" in lab.text_of(browser, LONG + 1)
