"""The record that is kept of a task."""

from __future__ import annotations

import msgspec

from hippodrome.protocol.messages import Digest, EngineId, Failure, MsgId, Options, PeerId, Shown
from hippodrome.store.large import Large, are_kept

DAMAGED = "expired"  # the status of a task whose end was damaged on disk


class TaskRecord(msgspec.Struct, gc=False):
    """One task, from its submission to its end.

    Times are seconds since the epoch; ``received`` is when the hub saw it end. ``payload`` and
    ``result`` are pickles as they travelled; they are empty when the pickle is the first of the
    buffers. Of ``n_buffers`` buffers ``buffers`` holds all, the large ones by name, or none if
    nothing is known of them; likewise for the result. ``number`` orders records by submission.
    ``damage`` says what of it was damaged on disk, and is missing therefore.
    """

    msg_id: MsgId
    client: PeerId
    queue: str
    submitted: float
    number: int = 0
    function: Digest = Digest(b"")
    options: Options | None = None
    payload: bytes = b""
    n_buffers: int = 0
    buffers: tuple[bytes | Large, ...] = ()
    status: str = ""
    engine: EngineId | None = None
    engine_uuid: PeerId = PeerId("")
    attempt: int = 0
    started: float | None = None
    completed: float | None = None
    received: float | None = None
    result: bytes = b""
    n_result_buffers: int = 0
    result_buffers: tuple[bytes | Large, ...] = ()
    failure: Failure | None = None
    stdout: str = ""
    stderr: str = ""
    shown: Shown | None = None
    resubmitted: MsgId | None = None
    damage: str = ""

    @property
    def is_finished(self) -> bool:
        return self.received is not None

    @property
    def label(self) -> str:
        return self.options.label if self.options else ""

    @property
    def is_call_kept(self) -> bool:
        return are_kept(self.n_buffers, self.buffers)

    @property
    def is_result_kept(self) -> bool:
        return are_kept(self.n_result_buffers, self.result_buffers)
