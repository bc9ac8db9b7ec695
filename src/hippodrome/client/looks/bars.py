"""Progress bars, where there is somebody to see them."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path
from typing import Any, Final

from hippodrome.display import running_shell

_IDLE_S: Final = 1.0  # between updates of the time alone
_CONSOLES: Final = frozenset(
    {"jupyter-console", "jupyter_console", "jupyter-qtconsole", "qtconsole", "spyder"}
)
_own_lock: Final = threading.RLock()


class Bar:
    """A progress bar that somebody sees.

    Args:
        bar: drawn by tqdm.
    """

    def __init__(self, bar: Any) -> None:
        self._bar = bar
        self._shown = time.monotonic()

    def show(self, n: int) -> None:
        """Show that *n* are done, and how long that took."""
        now = time.monotonic()
        if n == self._bar.n and now - self._shown < _IDLE_S:
            return
        self._bar.n = n
        self._shown = now
        self._bar.refresh()

    def clear(self) -> None:
        """Make room for a line of text, until the bar is drawn again."""
        self._bar.clear()

    def close(self) -> None:
        """Leave the bar as it is, and go to the next line. Idempotent."""
        self._bar.close()


def make_bar(
    total: int | None,
    description: str,
    unit: str,
    *,
    initial: int = 0,
    widget: bool | None = None,
    interactive: bool | None = None,
) -> Bar | None:
    """Return a progress bar; None if there is nobody to see it.

    Args:
        total: how much there is to do; None if nobody knows.
        description: what is done.
        unit: what is counted.
        initial: how much has been done before, at another speed.
        widget: whether it is a notebook's widget; None finds out. Without ipywidgets it is text.
        interactive: whether there is somebody; None finds out.
    """
    if interactive is None:
        is_off = bool(os.environ.get("IPP_NONINTERACTIVE"))
        interactive = not is_off and (bool(widget) or is_kernel() or _is_terminal())
    if not interactive:
        return None
    if widget is None:
        widget = is_kernel() and not _is_kernel_of_console()
    make = _widget if widget and _has_widgets() else _text
    # Chunks of results come in bursts: the mean speed says more than the latest.
    options = {"total": total, "desc": description, "unit": f" {unit}", "initial": initial}
    return Bar(make(smoothing=0, **options))


def is_kernel() -> bool:
    """Whether this process is the kernel of a notebook, or of a console."""
    return getattr(running_shell(), "kernel", None) is not None


def _is_kernel_of_console() -> bool:
    """Whether a console started this kernel: it can show text only, and does not say so."""
    import psutil

    try:
        command = psutil.Process(os.getppid()).cmdline()
    except psutil.Error:
        return False
    return any(Path(word).stem in _CONSOLES for word in command[:3])  # python -m console


def _is_terminal() -> bool:
    """Whether the standard error, where bars go, is a terminal."""
    stream = sys.stderr  # None without a console; another thread may exchange it
    return stream is not None and not getattr(stream, "closed", False) and stream.isatty()


def _has_widgets() -> bool:
    try:
        import ipywidgets  # noqa: F401
    except ImportError:
        return False
    return True


def _text(**options: Any) -> Any:  # Any: a bar of tqdm
    from tqdm import tqdm

    return _without_helpers(tqdm)(dynamic_ncols=True, **options)


def _widget(**options: Any) -> Any:  # Any: a bar of tqdm
    from tqdm.notebook import tqdm_notebook

    return _without_helpers(tqdm_notebook)(**options)


def _without_helpers(base: Any) -> Any:  # Any: classes of tqdm
    """Return a subclass that starts no threads or processes; *base* is as it was."""
    made: Any = type("Bar", (base,), {"monitor_interval": 0})
    # To make tqdm's own lock, which is one between processes, may start a process. Who has bars of
    # tqdm beside ours has made it, and they must not write into each other's lines.
    made.set_lock(getattr(base, "_lock", _own_lock))
    return made
