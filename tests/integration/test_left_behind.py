"""What stays in the user's program, and what engines say of it."""

from __future__ import annotations

import threading
import traceback
from typing import Any

import pytest

import hippodrome as ipp

BEHIND = "your program has a `LOCK`, which was left behind: cannot pickle '_thread.lock' object"
LOCK = threading.Lock()


@ipp.interactive
def locked(_: Any = None) -> bool:
    return LOCK.locked()


def test_each_way_to_call_says_what_was_left_behind(client: Any) -> None:
    balanced, direct = client.load_balanced_view(), client[0]
    direct.push({"pushed": locked}, block=True)
    for call in (
        lambda: balanced.apply_sync(locked),
        lambda: balanced.map_sync(locked, range(4), chunksize=2),
        lambda: client[:].map_sync(locked, range(4)),
        lambda: list(balanced.executor.map(locked, range(2))),
        lambda: direct.execute("pushed()", block=True),
    ):
        with pytest.raises(ipp.error.KernelError) as caught:
            call()
        assert BEHIND in "".join(traceback.format_exception(caught.value))
    (error, *_) = balanced.map_sync(locked, range(2), return_exceptions=True)
    assert BEHIND in str(error)


def test_the_traceback_of_a_cell_says_what_was_left_behind(client: Any) -> None:
    client[0].push({"pushed": locked}, block=True)
    with pytest.raises(ipp.error.RemoteError) as caught:
        client[0].execute("pushed()", block=True)
    assert BEHIND in caught.value.traceback
