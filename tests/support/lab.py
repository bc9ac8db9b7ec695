"""A JupyterLab that shows a notebook, and a browser to look at it with."""

from __future__ import annotations

import contextlib
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
from selenium.webdriver import Chrome, ChromeOptions, ChromeService

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
PATIENCE_S = 90.0
_KERNEL = """
    const panel = window.jupyterapp?.shell.currentWidget;
    return panel?.sessionContext?.session?.kernel?.status;
"""
_SELECT = """
    const panel = window.jupyterapp.shell.currentWidget;
    panel.content.activeCellIndex = arguments[0];
"""


def write_notebook(path: Path, cells: list[str]) -> Path:
    """Return a notebook of these cells."""
    notebook = nbformat.v4.new_notebook()
    notebook.metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    notebook.cells = [nbformat.v4.new_code_cell(cell) for cell in cells]
    path.parent.mkdir()
    nbformat.write(notebook, path)
    return path


@contextlib.contextmanager
def lab(notebook: Path, home: Path) -> Iterator[str]:
    """Give the address at which a JupyterLab shows the notebook."""
    port, token = _free_port(), secrets.token_hex(16)
    environment = dict(os.environ) | {
        "JUPYTER_TOKEN": token,
        "HOME": str(home),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
    }
    options = [
        "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}", "--port-retries=0",
        "--LabApp.expose_app_in_browser=True", "--LabApp.news_url=None",
    ]  # fmt: skip
    with (home / "lab.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *options, str(notebook.parent)],
            env=environment,
            stdout=log,
            stderr=log,
        )
    try:
        yield f"http://127.0.0.1:{port}/lab/tree/{notebook.name}?token={token}"
    finally:
        process.terminate()
        process.wait(20)


@contextlib.contextmanager
def browser(address: str, home: Path, *, size: str, scale: float = 1) -> Iterator[Chrome]:
    """Give a browser that has the notebook open, with a kernel that is ready."""
    options = ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for option in (
        "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", f"--window-size={size}",
        f"--force-device-scale-factor={scale}", f"--user-data-dir={home / 'browser'}",
    ):  # fmt: skip
        options.add_argument(option)
    own = {name: str(home) for name in ("HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME")}
    browser = Chrome(options, ChromeService(str(DRIVER), env={**os.environ, **own}))
    try:
        wait_until(lambda: _is_open(browser, address))
        wait_until(lambda: browser.execute_script(_KERNEL) == "idle")
        yield browser
    finally:
        browser.quit()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def _is_open(browser: Chrome, address: str) -> bool:
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", int(address.split(":")[2].split("/")[0]))):
            return False
    browser.get(address)
    return True


def wait_until(is_so: Callable[[], Any]) -> None:
    """Return when it is so."""
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline, "the notebook does not come so far"
        time.sleep(0.05)  # a page cannot be waited for in another way


def command(browser: Chrome, name: str) -> None:
    """Do what a menu of JupyterLab does."""
    browser.execute_script("window.jupyterapp.commands.execute(arguments[0])", name)


def run_cell(browser: Chrome, cell: int) -> None:
    """Run a cell, and return when it has run."""
    browser.execute_script(_SELECT, cell)
    command(browser, "notebook:run-cell")
    wait_until(lambda: _has_run(browser, cell))


def text_of(browser: Chrome, cell: int) -> str:
    """Return what a cell shows."""
    script = """
        const cell = document.querySelectorAll('.jp-CodeCell')[arguments[0]];
        return cell ? Array.from(cell.querySelectorAll('.jp-OutputArea-output'))
            .map(output => output.innerText).join('\\n') : '';
    """
    return str(browser.execute_script(script, cell))


def n_elements(browser: Chrome, cell: int, selector: str) -> int:
    """Return how many of the elements there are in a cell."""
    script = """
        return document.querySelectorAll('.jp-CodeCell')[arguments[0]]
            .querySelectorAll(arguments[1]).length
    """
    return int(browser.execute_script(script, cell, selector))


def _prompt_of(browser: Chrome, cell: int) -> str:
    script = """
        const prompts = document.querySelectorAll('.jp-CodeCell .jp-InputPrompt');
        return prompts[arguments[0]] ? prompts[arguments[0]].innerText : '';
    """
    return str(browser.execute_script(script, cell))


def _has_run(browser: Chrome, cell: int) -> bool:
    return _prompt_of(browser, cell).strip("[]: ").isdecimal()
