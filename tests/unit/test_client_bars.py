"""Who gets to see which progress bar, and what a bar leaves behind."""

from __future__ import annotations

import builtins
import io
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
import tqdm

from hippodrome.client.looks import bars
from hippodrome.client.looks.bars import make_bar

UseStderr = Callable[[bool], "FakeStream"]


class FakeStream(io.StringIO):
    """A standard error, which may be a terminal."""

    def __init__(self, is_terminal: bool) -> None:
        super().__init__()
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal


class FakeShell:
    """What IPython has in a kernel, or, with no kernel, in a terminal."""

    def __init__(self, kernel: object) -> None:
        self.kernel = kernel


@pytest.fixture
def use_stderr(monkeypatch: pytest.MonkeyPatch) -> UseStderr:
    """Put a stream in the place of standard error; to be called in the test, as pytest does so."""
    monkeypatch.delenv("IPP_NONINTERACTIVE", raising=False)

    def use(is_terminal: bool) -> FakeStream:
        stream = FakeStream(is_terminal)
        monkeypatch.setattr(sys, "stderr", stream)
        return stream

    return use


def use_shell(monkeypatch: pytest.MonkeyPatch, shell: FakeShell) -> None:
    import IPython

    monkeypatch.setattr(IPython, "get_ipython", lambda: shell)


def without_ipywidgets(monkeypatch: pytest.MonkeyPatch) -> None:
    true_import = builtins.__import__

    def refuse(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.partition(".")[0] == "ipywidgets":
            raise ImportError(name)
        return true_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)


def kind_of(bar: bars.Bar | None) -> str:
    """Tell a widget from text, and close it."""
    if bar is None:
        return "nothing"
    bar.close()
    return "widget" if hasattr(bar._bar, "container") else "text"


def made(**options: Any) -> str:
    return kind_of(make_bar(10, "f", "items", **options))


def test_nobody_sees_what_is_no_terminal(use_stderr: UseStderr) -> None:
    stream = use_stderr(False)
    assert made() == made(widget=False) == "nothing"
    assert stream.getvalue() == ""


def test_a_terminal_shows_text(use_stderr: UseStderr) -> None:
    terminal = use_stderr(True)
    assert made() == "text"
    assert "0/10" in terminal.getvalue()


def test_ipython_in_a_terminal_shows_text(
    use_stderr: UseStderr, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_stderr(True)
    use_shell(monkeypatch, FakeShell(kernel=None))
    assert made() == "text"


def test_a_kernel_shows_a_widget(
    use_stderr: UseStderr, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use_stderr(False)
    use_shell(monkeypatch, FakeShell(kernel=object()))
    assert made() == "widget"
    assert made(widget=False) == "text"


def test_a_kernel_without_ipywidgets_shows_text(
    use_stderr: UseStderr, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = use_stderr(False)
    use_shell(monkeypatch, FakeShell(kernel=object()))
    without_ipywidgets(monkeypatch)
    assert made() == made(widget=True) == "text"
    assert "0/10" in stream.getvalue()


@pytest.mark.parametrize(
    "command",
    [
        ["/usr/bin/python", "/usr/bin/jupyter-qtconsole"],
        ["/usr/bin/python", "-m", "qtconsole"],
        ["/usr/bin/jupyter-console"],
        ["python", "-m", "spyder"],
    ],
)
def test_a_kernel_that_a_console_started_shows_text(
    command: list[str], use_stderr: UseStderr, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_stderr(False)
    use_shell(monkeypatch, FakeShell(kernel=object()))
    monkeypatch.setattr("psutil.Process.cmdline", lambda _: command)
    assert made() == "text"
    assert made(widget=True) == "widget"


def test_a_notebook_of_that_name_is_no_console(
    use_stderr: UseStderr, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_stderr(False)
    use_shell(monkeypatch, FakeShell(kernel=object()))
    command = ["python", "/usr/bin/jupyter-lab", "--no-browser", "spyder.ipynb"]
    monkeypatch.setattr("psutil.Process.cmdline", lambda _: command)
    assert made() == "widget"


def test_a_user_can_turn_bars_off(use_stderr: UseStderr, monkeypatch: pytest.MonkeyPatch) -> None:
    use_stderr(True)
    monkeypatch.setenv("IPP_NONINTERACTIVE", "1")
    assert made() == made(widget=True) == made(widget=False) == "nothing"
    assert made(interactive=True) == "text", "the call says so itself"


def test_a_call_can_insist_or_refuse(
    use_stderr: UseStderr, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use_stderr(False)
    assert made(interactive=True) == "text"
    assert made(widget=True) == "widget"
    use_stderr(True)
    assert made(interactive=False) == "nothing"


@pytest.mark.parametrize("gone", ["none", "closed"])
def test_a_standard_error_that_is_gone_shows_nothing(
    gone: str, use_stderr: UseStderr, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = use_stderr(False)
    if gone == "closed":
        stream.close()
    else:
        monkeypatch.setattr(sys, "stderr", None)
    assert made() == "nothing"


@pytest.mark.parametrize("widget", [False, True])
def test_a_bar_starts_no_thread_and_leaves_tqdm_alone(
    widget: bool, use_stderr: UseStderr, capsys: pytest.CaptureFixture[str]
) -> None:
    use_stderr(True)
    before, interval = threading.enumerate(), tqdm.tqdm.monitor_interval
    has_lock = "_lock" in vars(tqdm.tqdm)
    bar = make_bar(10, "f", "items", widget=widget)
    assert bar is not None
    bar.show(5)
    assert threading.enumerate() == before
    bar.close()
    bar.close()
    assert tqdm.tqdm.monitor_interval == interval != 0
    assert ("_lock" in vars(tqdm.tqdm)) == has_lock, "a lock between processes may be a process"
    assert not [one for one in getattr(tqdm.tqdm, "_instances", ()) if one is bar._bar]


def test_a_bar_goes_on_when_only_time_does(
    use_stderr: UseStderr, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = use_stderr(True)
    now = [100.0]
    monkeypatch.setattr(bars.time, "monotonic", lambda: now[0])
    bar = make_bar(10, "f", "items")
    assert bar is not None
    lengths = []
    for n, past_s in ((0, 0.1), (0, 0.8), (0, 0.2), (3, 0.1), (3, 0.1)):
        now[0] += past_s
        before = len(terminal.getvalue())
        bar.show(n)
        lengths.append(len(terminal.getvalue()) > before)
    bar.close()
    assert lengths == [False, False, True, True, False]


def test_a_bar_without_a_total_counts(use_stderr: UseStderr) -> None:
    terminal = use_stderr(True)
    bar = make_bar(None, "f", "items")
    assert bar is not None
    bar.show(7)
    bar.close()
    assert "f: 7 items [" in terminal.getvalue()
    assert "%" not in terminal.getvalue()


def test_what_was_done_before_is_not_taken_for_speed(use_stderr: UseStderr) -> None:
    terminal = use_stderr(True)
    bar = make_bar(100, "f", "items", initial=90)
    assert bar is not None
    assert bar._bar.format_dict["initial"] == 90
    bar.close()
    assert "90/100 [00:00<?, ? items/s]" in terminal.getvalue()
