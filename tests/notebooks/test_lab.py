"""%px in a real JupyterLab, looked at in a real browser."""

from __future__ import annotations

import functools
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

pytest.importorskip("jupyterlab", reason="JupyterLab is not installed: pip install jupyterlab")
pytest.importorskip("selenium", reason="selenium is not installed: pip install selenium")

from selenium.webdriver import Chrome, ChromeOptions, ChromeService

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
pytestmark = [
    pytest.mark.skipif(
        not (CHROMIUM and DRIVER), reason="there is no chromium or no chromedriver (Debian's)"
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
PATIENCE_S = 90.0
KERNEL = """
    const panel = window.jupyterapp?.shell.currentWidget;
    return panel?.sessionContext?.session?.kernel?.status;
"""
SELECT = """
    const panel = window.jupyterapp.shell.currentWidget;
    panel.content.activeCellIndex = arguments[0];
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@pytest.fixture
def notebook(site: Any, tmp_path: Path) -> Path:
    notebook = nbformat.v4.new_notebook()
    notebook.metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    notebook.cells = [nbformat.v4.new_code_cell(cell) for cell in CELLS]
    path = tmp_path / "notebooks" / "look.ipynb"
    path.parent.mkdir()
    nbformat.write(notebook, path)
    return path


@pytest.fixture
def address(notebook: Path, tmp_path: Path) -> Iterator[str]:
    """Where a JupyterLab shows the notebook."""
    port, token = free_port(), secrets.token_hex(16)
    environment = dict(os.environ) | {
        "JUPYTER_TOKEN": token,
        "HOME": str(tmp_path),
        "JUPYTER_CONFIG_DIR": str(tmp_path / "config"),
        "JUPYTER_DATA_DIR": str(tmp_path / "data"),
        "JUPYTER_RUNTIME_DIR": str(tmp_path / "runtime"),
    }
    options = [
        "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}", "--port-retries=0",
        "--LabApp.expose_app_in_browser=True", "--LabApp.news_url=None",
    ]  # fmt: skip
    with (tmp_path / "lab.log").open("w") as log:
        lab = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *options, str(notebook.parent)],
            env=environment,
            stdout=log,
            stderr=log,
        )
    yield f"http://127.0.0.1:{port}/lab/tree/{notebook.name}?token={token}"
    lab.terminate()
    lab.wait(20)


@pytest.fixture
def browser(address: str, tmp_path: Path) -> Iterator[Chrome]:
    options = ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for option in (
        "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1000,2600",
        f"--user-data-dir={tmp_path / 'browser'}",
    ):  # fmt: skip
        options.add_argument(option)
    own = {name: str(tmp_path) for name in ("HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME")}
    browser = Chrome(options, ChromeService(str(DRIVER), env={**os.environ, **own}))
    wait_until(lambda: is_open(browser, address))
    yield browser
    browser.save_screenshot(os.environ.get("LOOK_AT", str(tmp_path / "look.png")))
    browser.quit()


def is_open(browser: Chrome, address: str) -> bool:
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", int(address.split(":")[2].split("/")[0]))):
            return False
    browser.get(address)
    return True


def wait_until(is_so: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline, "the notebook does not come so far"
        time.sleep(0.05)  # a page cannot be waited for in another way


def command(browser: Chrome, name: str) -> None:
    browser.execute_script("window.jupyterapp.commands.execute(arguments[0])", name)


def text_of(browser: Chrome, cell: int) -> str:
    script = """
        const cell = document.querySelectorAll('.jp-CodeCell')[arguments[0]];
        return cell ? Array.from(cell.querySelectorAll('.jp-OutputArea-output'))
            .map(output => output.innerText).join('\\n') : '';
    """
    return str(browser.execute_script(script, cell))


def prompt_of(browser: Chrome, cell: int) -> str:
    script = """
        const prompts = document.querySelectorAll('.jp-CodeCell .jp-InputPrompt');
        return prompts[arguments[0]] ? prompts[arguments[0]].innerText : '';
    """
    return str(browser.execute_script(script, cell))


def has_run(browser: Chrome, cell: int) -> bool:
    return prompt_of(browser, cell).strip("[]: ").isdecimal()


def n_elements(browser: Chrome, cell: int, selector: str) -> int:
    script = """
        return document.querySelectorAll('.jp-CodeCell')[arguments[0]]
            .querySelectorAll(arguments[1]).length
    """
    return int(browser.execute_script(script, cell, selector))


def test_a_notebook_in_jupyterlab(browser: Chrome, tmp_path: Path) -> None:
    wait_until(lambda: browser.execute_script(KERNEL) == "idle")
    command(browser, "application:toggle-left-area")
    command(browser, "notebook:run-all-cells")
    wait_until(lambda: "step 3" in text_of(browser, LONG))
    asked = time.monotonic()
    command(browser, "notebook:interrupt-kernel")
    wait_until(lambda: "KeyboardInterrupt" in text_of(browser, LONG))
    assert time.monotonic() - asked < 5
    for cell in (LONG + 1, LONG + 2):  # what comes after an error was not run
        browser.execute_script(SELECT, cell)
        command(browser, "notebook:run-cell")
        wait_until(functools.partial(has_run, browser, cell))

    assert "connected" in text_of(browser, 0)
    assert "[stdout:1] text from an engine" in text_of(browser, 1)
    assert n_elements(browser, 1, "img") == 2
    assert "100/100" in text_of(browser, 2)
    assert n_elements(browser, 2, ".widget-hprogress") == 1
    assert n_elements(browser, 2, "svg") >= 1
    assert n_elements(browser, LONG - 1, ".widget-hprogress") == 2
    assert text_of(browser, LONG - 1).count("30/30") == 2
    assert "[6, 6]" in text_of(browser, LONG + 1)
