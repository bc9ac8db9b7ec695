"""Numbered messages as they come, on either side: in order, whole, and decoded once."""

from __future__ import annotations

from dataclasses import dataclass, field

from hippodrome.errors import ProtocolError
from hippodrome.protocol.frames import Buffer, Frames, decode
from hippodrome.protocol.messages import Part, PeerMessage
from hippodrome.protocol.stream import Stream, Verdict, nbytes


@dataclass(slots=True)
class Received:
    """The outcome that one message had: something to handle, to send, both or neither.

    Attributes:
        message: what is to be handled.
        buffers: that belong to it.
        replies: what is to be sent, in order.
        body: of which *message* is the decoded form.
        error: why it has none.
    """

    message: PeerMessage | None = None
    buffers: Frames = field(default_factory=list)
    replies: list[Frames] = field(default_factory=list)
    body: Buffer = b""
    error: ProtocolError | None = None


def receive(
    stream: Stream, number: int, acknowledged: int, body: Buffer, frames: Frames
) -> Received:
    """Take a numbered message, of which *frames* is all. It may be acknowledged once it is handled.

    It counts as received even if it makes no sense, as it would be no better the next time.

    Raises:
        ProtocolError: it acknowledges what was never sent.
    """
    verdict = stream.receive(number, acknowledged, nbytes(frames))
    replies = stream.on_gap() if verdict is Verdict.GAP else []
    if stream.is_behind:
        replies += stream.release()
    if verdict is not Verdict.HANDLE:
        return Received(replies=replies)
    buffers = frames[1:]
    try:
        message = decode(body)
        if isinstance(message, Part):
            whole = stream.join(message, buffers)
            if whole is None:
                return Received(replies=replies)
            body, buffers = whole[0], whole[1:]
            message = decode(body)
    except ProtocolError as error:
        return Received(None, buffers, replies, body, error)
    return Received(message, buffers, replies, body)
