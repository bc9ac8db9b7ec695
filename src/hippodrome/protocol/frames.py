"""Messages to frames and back; whatever does not fit is a `ProtocolError` and nothing else.

A message is one *head* frame and any number of *buffer* frames. The head is eight bytes of
message number, eight bytes of acknowledgement (both little-endian; see `stream`), and the
msgpack encoding of a record from `messages`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from itertools import repeat
from typing import Any, Final

import msgspec

from hippodrome.errors import ProtocolError, ProtocolVersionError
from hippodrome.protocol import messages
from hippodrome.protocol.messages import PROTOCOL, HubMessage, Message, PeerMessage
from hippodrome.protocol.reading import decode_any, read

Buffer = Any  # bytes, memoryview, or the transport's own frame: passed on, never looked into
Frames = list[Buffer]

_NUMBERS = struct.Struct("<QQ")
HEAD_SIZE = _NUMBERS.size

encode: Final[Callable[[Any], bytes]] = msgspec.msgpack.Encoder().encode
_decode_peer = msgspec.msgpack.Decoder(PeerMessage).decode
_decode_hub = msgspec.msgpack.Decoder(HubMessage).decode


def head(number: int, acknowledged: int, body: Buffer) -> bytes:
    """Return the head frame of a message; *number* 0 is for messages outside the stream."""
    packed: bytes = _NUMBERS.pack(number, acknowledged) + body
    return packed


def read_head(frame: Any) -> tuple[int, int, memoryview]:
    """Return number, acknowledgement and body of a head frame.

    Raises:
        ProtocolError: the frame is too short.
    """
    view = memoryview(frame)
    if len(view) < HEAD_SIZE:
        raise ProtocolError(f"a head frame of {len(view)} bytes; the least is {HEAD_SIZE}")
    number, acknowledged = _NUMBERS.unpack_from(view)
    return number, acknowledged, view[HEAD_SIZE:]


def decode(body: bytes | memoryview) -> PeerMessage:
    """Return the message that a peer sent.

    Raises:
        ProtocolVersionError: it is the `Hello` of another protocol version.
        ProtocolError: it is no message.
    """
    try:
        message: PeerMessage = read(_decode_peer, body, "a message")
    except ProtocolError:
        _check_version(body)
        raise
    if isinstance(message, messages.Hello) and message.protocol != PROTOCOL:
        raise _version_error(message.protocol)
    return message


def decode_hub(body: bytes | memoryview) -> HubMessage:
    """Return the message that came over the link between scheduler and hub.

    Raises:
        ProtocolError: it is no message.
    """
    message: HubMessage = read(_decode_hub, body, "a message between scheduler and hub")
    return message


def unnumbered(message: Message) -> Frames:
    """Return the frames of a message that stands outside the stream."""
    return [head(0, 0, encode(message))]


class BufferReader:
    """Deals out the buffer frames of a message to the items that own them."""

    def __init__(self, frames: Sequence[Buffer]) -> None:
        self._frames = frames
        self._next = 0

    def take(self, n: int) -> tuple[Buffer, ...]:
        """Return the next *n* frames.

        Raises:
            ProtocolError: there are fewer, or *n* is negative.
        """
        if n == 0:
            return ()
        taken = tuple(self._frames[self._next : self._next + n]) if n > 0 else ()
        if len(taken) != n:
            raise ProtocolError(f"an item claims {n} buffer frames, {len(taken)} are left")
        self._next += n
        return taken

    def check_empty(self) -> None:
        """Raise ProtocolError if a frame belongs to nobody."""
        if self._next != len(self._frames):
            raise ProtocolError(f"{len(self._frames) - self._next} buffer frames too many")


def take_all(counts: Sequence[int], frames: Sequence[Buffer]) -> Iterator[tuple[Buffer, ...]]:
    """Deal out *frames* to items that own ``counts[i]`` each.

    Raises:
        ProtocolError: too few or too many frames; raised before anything is dealt out.
    """
    if not frames and not any(counts):
        return repeat((), len(counts))
    if any(n < 0 for n in counts) or sum(counts) != len(frames):
        raise ProtocolError(f"items claim {sum(counts)} buffer frames, {len(frames)} came")
    reader = BufferReader(frames)
    return (reader.take(n) for n in counts)


def _check_version(body: bytes | memoryview) -> None:
    """Raise if *body* looks like the `Hello` of another version, whatever else it holds."""
    try:
        fields = read(decode_any, body, "anything")
    except ProtocolError:
        return
    match fields:
        case ["hello", int(version), *_] if version != PROTOCOL:
            raise _version_error(version)


def _version_error(version: int) -> ProtocolVersionError:
    return ProtocolVersionError(
        f"this side speaks protocol {PROTOCOL}, the other side protocol {version}; "
        "install the same version of hippodrome on both"
    )
