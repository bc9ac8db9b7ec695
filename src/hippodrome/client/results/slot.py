"""What came of one task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from hippodrome.protocol.frames import Buffer
from hippodrome.protocol.messages import Result

Outcome = tuple[Any, Exception | None]  # Any: whatever the task returned


class Slot(msgspec.Struct, eq=False):
    """What came, when it did, and the value or error that this is, once it has been decoded."""

    result: Result
    buffers: Sequence[Buffer]
    received: float
    outcome: Outcome | None = None
