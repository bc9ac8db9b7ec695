"""What is kept of a task."""

from __future__ import annotations

import msgspec

from hippodrome.protocol.messages import EngineId, Failure, MsgId, PeerId


class TaskRecord(msgspec.Struct, gc=False):
    """One task, from its submission to its end.

    Times are seconds since the epoch; ``received`` is when the hub saw it end. ``payload`` and
    ``result`` are pickles as they travelled, empty when they were too large to be kept here.
    """

    msg_id: MsgId
    client: PeerId
    queue: str
    submitted: float
    label: str = ""
    payload: bytes = b""
    status: str = ""
    engine: EngineId | None = None
    attempt: int = 0
    started: float | None = None
    completed: float | None = None
    received: float | None = None
    result: bytes = b""
    failure: Failure | None = None
    stdout: str = ""
    stderr: str = ""

    @property
    def is_finished(self) -> bool:
        return self.received is not None

    @property
    def size_bytes(self) -> int:
        return len(self.payload) + len(self.result) + len(self.stdout) + len(self.stderr)
