"""Progress bars as a person sees them: in a terminal, in a notebook, or not at all."""

from __future__ import annotations

import io
import re
from typing import Any

import nbformat
import pytest
import tqdm

from support.terminal import lines_of, run_in_terminal

WIDGET = "application/vnd.jupyter.widget-view+json"
RATE = r"\[\d\d:\d\d<\d\d:\d\d, +[\d.]+ items/s\]"

BEGIN = """
import threading
import hippodrome as ipp
rc = ipp.Client()
rc.wait_for_engines(2, timeout=10)
lv = rc.load_balanced_view()
def fail_on_5(x):
    if x == 5:
        raise ValueError(x)
"""
IN_TERMINAL = """
import os, signal, time
print(lv.map_async(abs, range(100), chunksize=10).wait_interactive())
one, other = lv.map_async(abs, range(30), chunksize=7), lv.map_async(abs, range(20))
print(rc.wait_interactive([one, other], interval=0.05))
print(lv.map_async(fail_on_5, range(10)).wait_interactive(return_when="FIRST_EXCEPTION"))
slow = rc[0].apply_async(time.sleep, 60)
print(slow.wait_interactive(interval=0.02, timeout=0.1))
threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    slow.wait_interactive(interval=0.02)
except KeyboardInterrupt:
    print("interrupted")
slow.interrupt()
try:
    rc.wait_for_engines(3, timeout=0.1)
except TimeoutError:
    print("too few")
rc.wait_for_engines(2)
print(*[thread.name for thread in threading.enumerate()])
rc.close()
"""

EXECUTE = """
import sys
import nbclient
import nbformat
notebook = nbformat.reads(sys.argv[1], as_version=4)
nbclient.NotebookClient(notebook, timeout=30).execute()
print(nbformat.writes(notebook))
"""  # in a process of its own: it leaves an event loop open


@pytest.fixture(autouse=True)
def usual_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("IPP_NONINTERACTIVE", raising=False)
    monkeypatch.setenv("PYTHONIOENCODING", "utf-8")


def test_a_terminal_shows_bars_of_text(cluster: Any) -> None:
    lines = lines_of(run_in_terminal(BEGIN + IN_TERMINAL, cluster.environment()))
    patterns = [
        rf"abs: 100%\|.+\| 100/100 {RATE}",
        "None",
        rf"tasks: 100%\|.+\| 50/50 {RATE}",
        "None",
        r"fail_on_5: .+/10 \[.+\]",
        "None",
        r"sleep:   0%\|.+\| 0/1 \[00:00<\?, \? items/s\]",
        "None",
        r"sleep:   0%\|.+\| 0/1 \[00:00<\?, \? items/s\]",
        "interrupted",
        r"engines:  67%\|.+\| 2/3 \[.+ engines/s\]",
        "too few",
        "MainThread hippodrome-client",
        "",
    ]
    assert len(lines) == len(patterns), lines
    for line, pattern in zip(lines, patterns, strict=True):
        assert re.fullmatch(pattern, line.strip()), (line, pattern)


def test_a_script_shows_nothing(cluster: Any) -> None:
    done = cluster.python("-c", BEGIN + IN_TERMINAL)
    assert (done.returncode, done.stderr) == (0, "")
    assert "%" not in done.stdout


def run_notebook(site: Any, *cells: str) -> Any:
    """Run code in a kernel, warnings being errors; return the notebook."""
    quiet = "import warnings; warnings.simplefilter('error', append=True)"
    sources = [quiet, BEGIN, *cells, "rc.close()"]
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(source) for source in sources]
    )
    done = site.python("-c", EXECUTE, nbformat.writes(notebook), timeout_s=40)
    assert done.returncode == 0, done.stderr
    return nbformat.reads(done.stdout, as_version=4)


def texts(outputs: Any) -> str:
    return "".join(one["text"] for one in outputs if one["output_type"] == "stream")


@pytest.mark.parametrize(
    "cell",
    [
        "ok = lv.map_async(abs, range(100), chunksize=10).wait_interactive() is None",
        "lv.map_async(abs, range(100), chunksize=10); ok = rc.wait_interactive() is None",
        "rc.wait_for_engines(2, interactive=True)\n"
        "try: rc.wait_for_engines(100, timeout=0.1)\n"
        "except TimeoutError: ok = True",
    ],
)
def test_a_notebook_shows_a_widget(cell: str, cluster: Any) -> None:
    outputs = run_notebook(cluster, f"{cell}\nassert ok").cells[-2].outputs
    shown = [one["data"] for one in outputs if WIDGET in one.get("data", {})]
    assert len(shown) == 1, outputs
    assert re.search(r"\d+%\|.*/100 \[", shown[0]["text/plain"]), "what others can show instead"
    assert texts(outputs) == ""


def test_a_widget_ends_complete_and_stays(cluster: Any) -> None:
    cell = "lv.map_async(abs, range(100), chunksize=10).wait_interactive()"
    widgets = run_notebook(cluster, cell).metadata.widgets
    models = widgets["application/vnd.jupyter.widget-state+json"]["state"].values()
    (bar,) = [one["state"] for one in models if one["model_name"] == "FloatProgressModel"]
    assert (bar["value"], bar["max"], bar["bar_style"]) == (100, 100, "success")


def test_a_notebook_without_ipywidgets_shows_text(cluster: Any) -> None:
    hide = "import sys; sys.modules['ipywidgets'] = None"
    cell = "lv.map_async(abs, range(100)).wait_interactive()"
    outputs = run_notebook(cluster, hide, cell).cells[-2].outputs
    assert re.search(rf"abs: 100%\|.+\| 100/100 {RATE}", texts(outputs))
    assert not [one for one in outputs if WIDGET in one.get("data", {})]
    assert "Warning" not in texts(outputs)


class QuietBar(tqdm.tqdm):
    monitor_interval = 0  # no thread


def test_tqdm_around_an_imap_has_no_total(client: Any) -> None:
    imap = client.load_balanced_view().imap(abs, iter(range(-9, 0)))
    with QuietBar(imap, file=io.StringIO()) as bar:
        assert bar.total is None
        assert list(bar) == list(range(9, 0, -1))
