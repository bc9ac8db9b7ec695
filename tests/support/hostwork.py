"""Work for engines on other hosts, to be under way while something befalls them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Final

import numpy as np

from support.tasks import noting

SIZE_BYTES: Final = 60_000_000
N_NUMBERS: Final = 5_000_000
N_TASKS: Final = 40
NAP_S: Final = 0.05


def some_bytes(n_bytes: int = SIZE_BYTES) -> Any:
    """Return bytes that nothing compresses or has already."""
    return np.random.default_rng(time.monotonic_ns()).integers(0, 256, n_bytes, np.uint8)


class Work:
    """A transfer each way and tasks, under way together; each task notes that it was run."""

    def __init__(self, rc: Any, folder: Path) -> None:
        self._rc = rc
        self._array = some_bytes()
        rc[0].execute(f"import numpy as np; made = np.arange({N_NUMBERS})", block=True)
        view = rc.load_balanced_view()
        self._notes = [folder / f"{number}" for number in range(N_TASKS)]
        self._tasks = [view.apply_async(noting(), str(note), NAP_S) for note in self._notes]
        self._pushed = rc[0].push({"sent": self._array})
        self._pulled = rc[0].pull("made")

    def check(self, timeout_s: float) -> None:
        """Wait until all has come; each task was run once, and each byte is right."""
        deadline = time.monotonic() + timeout_s

        def left_s() -> float:
            return max(0.1, deadline - time.monotonic())

        self._pushed.get(timeout=left_s())
        assert (self._pulled.get(timeout=left_s()) == np.arange(N_NUMBERS)).all()
        lengths = [task.get(timeout=left_s()) for task in self._tasks]
        assert lengths == [len(str(note)) for note in self._notes]
        assert [note.read_text() for note in self._notes] == ["x"] * N_TASKS
        self._rc[0].execute("total = int(sent.sum())").get(timeout=left_s())
        assert self._rc[0].pull("total").get(timeout=left_s()) == int(self._array.sum())
