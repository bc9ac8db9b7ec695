"""What `ipcluster status` says, in words."""

from __future__ import annotations

from typing import Any

import pytest

from hippodrome.apps.showstatus import _storage

NOTHING_LARGE: dict[str, Any] = {"buffers": 0, "bytes": 0, "state": "ok"}


@pytest.mark.parametrize(
    ("store", "said"),
    [
        ("memory", "1 task in memory"),
        ("sqlite", "all in a file; of these 1 task in memory too"),
        ("none", "none are kept"),
    ],
)
def test_records_at_hand_are_not_taken_for_all_of_a_file(store: str, said: str) -> None:
    storage = {"store": store, "records": 1, "state": "ok", "note": "", "large": NOTHING_LARGE}
    assert _storage(storage) == said
