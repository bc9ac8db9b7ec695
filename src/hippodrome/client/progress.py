"""Waiting with a progress bar, where there is somebody to see it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION
from typing import TYPE_CHECKING, Any

from hippodrome.client.future import check_seconds

if TYPE_CHECKING:
    from hippodrome.client.asyncresult import AsyncResult


def is_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return type(shell).__name__ == "ZMQInteractiveShell"


def make_bar(total: int, description: str, unit: str, widget: bool | None = None) -> Any:
    """Return a progress bar; None if there is neither a terminal nor a notebook."""
    if os.environ.get("IPP_NONINTERACTIVE"):
        return None
    if widget is None:
        widget = is_notebook()
    if not widget and not sys.stderr.isatty():
        return None
    if widget:
        from tqdm.notebook import tqdm
    else:
        from tqdm import tqdm
    return tqdm(total=total, desc=description, unit=unit)


def wait_with_bar(
    result: AsyncResult,
    interval: float,
    timeout: float | None,
    widget: bool | None,
    return_when: str,
) -> bool:
    """Wait for *result* and show how far it is; see `AsyncResult.wait_interactive`."""
    stops_early = return_when == FIRST_EXCEPTION
    return wait_showing(
        lambda step: bool(result.wait(step)) or (stops_early and result._n_failed > 0),
        lambda: result.progress,
        make_bar(len(result), result._fname, "tasks", widget),
        interval,
        timeout,
    ) and (result.done() or stops_early)


def wait_showing(
    wait: Callable[[float], bool],
    progress: Callable[[], int],
    bar: Any,
    interval: float,
    timeout: float | None,
) -> bool:
    """Call *wait* with a time in seconds until it is true or *timeout* is over; update *bar*."""
    check_seconds(timeout)
    deadline = None if timeout is None or timeout < 0 else time.monotonic() + timeout
    done = False
    try:
        while not done:
            left_s = interval if deadline is None else deadline - time.monotonic()
            done = wait(max(0.0, min(interval, left_s)))
            if bar is not None:
                bar.update(progress() - bar.n)
            if not done and deadline is not None and time.monotonic() >= deadline:
                return False
    finally:
        if bar is not None:
            bar.close()
    return True
