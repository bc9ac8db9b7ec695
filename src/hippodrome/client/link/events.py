"""Events go into the client's core, and actions come out of it: plain values.

Events are past tense, actions imperative. A *waiter* is whatever the caller wants its answer
delivered to; the core carries it and never looks into it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from hippodrome.protocol.frames import Buffer, Frames
from hippodrome.protocol.messages import (
    Answer,
    Datum,
    EngineId,
    EngineInfo,
    MsgId,
    Piece,
    Result,
    SubmitDirect,
    Task,
    TaskBundle,
)

Waiter = object
Places = tuple[Sequence[MsgId], Waiter, int]  # the first of them resolves as that number there


class ClientEvent(msgspec.Struct, frozen=True):
    """Something happened."""


class ClientAction(msgspec.Struct, frozen=True):
    """Something is to be done."""


# what the sockets and the clock tell


class Connected(ClientEvent, frozen=True):
    """Both channels have a new connection; the peer has to introduce itself."""


class FramesArrived(ClientEvent, frozen=True):
    """One multipart message came."""

    channel: str
    frames: Frames


class Ticked(ClientEvent, frozen=True):
    """Time went by; *now* is monotonic, in seconds."""

    now: float


class Renewed(ClientEvent, frozen=True):
    """There may be new connections, of which the controller does not know whose they are."""


class ControllerEnded(ClientEvent, frozen=True):
    """The controller's process has ended: nobody listens at its address."""


class Turned(ClientEvent, frozen=True):
    """Nothing more is waiting to be submitted: what was gathered may leave."""


# what the user asked for


class TaskSubmitted(ClientEvent, frozen=True, gc=False):
    """One load-balanced task; *blob* is its function's pickle, *index* its place in the waiter."""

    task: Task
    blob: bytes
    buffers: Sequence[Buffer]
    waiter: Waiter
    index: int = 0

    def places(self) -> Places:
        return (self.task.msg_id,), self.waiter, self.index


class SubmittedBundle(ClientEvent, frozen=True):
    """Tasks that differ in their arguments only; task ``i`` resolves as ``first + i``."""

    bundle: TaskBundle
    blob: bytes
    waiter: Waiter
    first: int

    def places(self) -> Places:
        return self.bundle.msg_ids, self.waiter, self.first


class SubmittedDirect(ClientEvent, frozen=True):
    """One call for named engines. The message's ``functions`` are filled in by the core.

    ``message.msg_ids[i]`` resolves as number ``first + i`` of the waiter.
    """

    message: SubmitDirect
    blob: bytes
    buffers: Sequence[Buffer]
    waiter: Waiter
    first: int = 0

    def places(self) -> Places:
        return self.message.msg_ids, self.waiter, self.first


Submitted = TaskSubmitted | SubmittedBundle | SubmittedDirect


class AbortRequested(ClientEvent, frozen=True):
    """These tasks must not start; None is all that are outstanding. Those that run may go on,
    unless *interrupt* says otherwise.
    """

    msg_ids: tuple[MsgId, ...] | None
    interrupt: bool = False


class Question(ClientEvent, frozen=True):
    """A question to the hub; *arguments* is a msgpack map."""

    name: str
    arguments: bytes
    waiter: Waiter


class FlushAsked(ClientEvent, frozen=True):
    """The controller wants to know when everything that was asked for before has been sent."""

    number: int


class Closing(ClientEvent, frozen=True):
    """The client leaves, or cannot go on."""

    reason: str


# what is to be done


class SendFrames(ClientAction, frozen=True):
    """Put one multipart message on a channel."""

    channel: str
    frames: Frames


class Resolve(ClientAction, frozen=True):
    """A task ended; never told twice for one msg_id."""

    result: Result
    buffers: Sequence[Buffer]
    waiter: Waiter
    index: int


class ResolveAll(ClientAction, frozen=True):
    """Tasks without buffers ended: each of *results* is for a waiter, at an index there."""

    results: Sequence[Result]
    waiters: list[Waiter]
    indices: list[int]


class Show(ClientAction, frozen=True):
    """A task that runs has shown something."""

    piece: Piece
    engine: EngineId | None
    waiter: Waiter
    index: int


class Publish(ClientAction, frozen=True):
    """A task that runs has published something."""

    datum: Datum
    buffers: Sequence[Buffer]
    waiter: Waiter
    index: int


class DeliverAnswer(ClientAction, frozen=True):
    """The answer to a question came."""

    waiter: Waiter
    answer: Answer
    buffers: Sequence[Buffer] = ()


class EnginesChanged(ClientAction, frozen=True):
    """The engines there are now, and those that left just now, each with a reason."""

    present: Mapping[EngineId, EngineInfo]
    left: Mapping[EngineId, str]


class Welcomed(ClientAction, frozen=True):
    """The controller has accepted this client and told which engines there are."""

    info: Mapping[str, str | int]


class Lose(ClientAction, frozen=True):
    """The controller is not there; *final* says that it will not come back.

    *refused* tells that it is there and does not accept this client; *code* is that of an error.
    *asked* tells that somebody has asked it to end.
    """

    reason: str
    final: bool
    refused: bool = False
    code: str = ""
    asked: bool = False


class Regain(ClientAction, frozen=True):
    """The controller was heard again after a silence."""


class Enqueue(ClientAction, frozen=True):
    """Come back to *event* behind all that the user has asked for by now."""

    event: ClientEvent


class TellUser(ClientAction, frozen=True):
    """Tell the user."""

    text: str


class Note(ClientAction, frozen=True):
    """Something for the log."""

    text: str
