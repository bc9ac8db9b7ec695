"""Every message survives the wire, and any bytes are a message or a `ProtocolError`."""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hippodrome.errors import ProtocolError, ProtocolVersionError
from hippodrome.protocol import frames, messages
from hippodrome.protocol.link import Link
from hippodrome.protocol.messages import Message
from support.wire import HUB_TYPES, PEER_TYPES, any_of, records


def read(body: bytes, decode: Any) -> Message | None:
    """Return the message in *body*; None if it was refused in the permitted way."""
    try:
        message: Message = decode(body)
    except (ProtocolError, ProtocolVersionError):
        return None
    return message


DECODERS = [(frames.decode, PEER_TYPES), (frames.decode_hub, HUB_TYPES)]
both_decoders = pytest.mark.parametrize(("decode", "types_"), DECODERS, ids=["peer", "hub"])


@pytest.mark.parametrize("cls", PEER_TYPES, ids=lambda cls: cls.__name__)
def test_each_peer_message_survives_the_wire(cls: type[Message]) -> None:
    @settings(max_examples=15)
    @given(records(cls))
    def survives(message: Message) -> None:
        assert frames.decode(frames.encode(message)) == message

    survives()


@pytest.mark.parametrize("cls", HUB_TYPES, ids=lambda cls: cls.__name__)
def test_each_hub_message_survives_the_wire(cls: type[Message]) -> None:
    @settings(max_examples=15)
    @given(records(cls))
    def survives(message: Message) -> None:
        assert frames.decode_hub(frames.encode(message)) == message

    survives()


def test_every_message_type_travels_on_exactly_one_of_the_two_wires() -> None:
    everything = {cls for cls in Message.__subclasses__() if cls.__module__ == messages.__name__}
    assert everything == {*PEER_TYPES, *HUB_TYPES}
    assert not {*PEER_TYPES} & {*HUB_TYPES}


@given(number=st.integers(0, 2**64 - 1), acknowledged=st.integers(0, 2**64 - 1), body=st.binary())
def test_a_head_survives_the_wire(number: int, acknowledged: int, body: bytes) -> None:
    got = frames.read_head(frames.head(number, acknowledged, body))
    assert (got[0], got[1], bytes(got[2])) == (number, acknowledged, body)


@both_decoders
@given(body=st.binary(max_size=200))
def test_random_bytes_are_refused_quietly(body: bytes, decode: Any, types_: Any) -> None:
    read(body, decode)


@both_decoders
@given(data=st.data())
def test_a_truncated_message_is_refused(data: st.DataObject, decode: Any, types_: Any) -> None:
    body = frames.encode(data.draw(any_of(types_)))
    cut = data.draw(st.integers(0, len(body) - 1))
    assert read(body[:cut], decode) is None


@both_decoders
@given(data=st.data())
def test_a_message_with_flipped_bits_is_a_message_or_refused(
    data: st.DataObject, decode: Any, types_: Any
) -> None:
    body = bytearray(frames.encode(data.draw(any_of(types_))))
    for _ in range(data.draw(st.integers(1, 4))):
        bit = data.draw(st.integers(0, 8 * len(body) - 1))
        body[bit // 8] ^= 1 << bit % 8
    read(bytes(body), decode)


@both_decoders
@given(data=st.data())
def test_a_message_with_foreign_parts_is_a_message_or_refused(
    data: st.DataObject, decode: Any, types_: Any
) -> None:
    """Two messages spliced: lengths that lie, fields of other types."""
    first = frames.encode(data.draw(any_of(types_)))
    second = frames.encode(data.draw(any_of(types_)))
    cut = data.draw(st.integers(0, len(first)))
    read(first[:cut] + second[data.draw(st.integers(0, len(second))) :], decode)


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=5)
    | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=12,
)  # fmt: skip
TAGS = [cls.__struct_config__.tag for cls in (*PEER_TYPES, *HUB_TYPES)]


@both_decoders
@given(tag=st.sampled_from(TAGS), fields=st.lists(ANY_JSON, max_size=8))
def test_a_known_tag_with_wrong_fields_is_a_message_or_refused(
    tag: str, fields: list[Any], decode: Any, types_: Any
) -> None:
    read(msgspec.msgpack.encode([tag, *fields]), decode)


HELLO = b"\xa5hello"
SUBMIT = b"\xa6submit"
TRAPS = {
    "deep lists": b"\x91" * 100_000,
    "deep lists in a field": b"\x92" + HELLO + b"\x91" * 100_000,
    "deep maps in a field": b"\x92" + HELLO + b"\x81" * 100_000,
    "a list of four billion": b"\xdd\xff\xff\xff\xff",
    "four billion fields": b"\xdd\xff\xff\xff\xff" + SUBMIT,
    "four billion tasks": b"\x92" + SUBMIT + b"\xdd\xff\xff\xff\xff",
    "two billion tasks, ten here": b"\x92" + SUBMIT + b"\xdd\x7f\xff\xff\xff" + b"\x90" * 10,
    "a map of four billion": b"\x92" + HELLO + b"\xdf\xff\xff\xff\xff",
    "a text of four gigabytes": b"\x92" + HELLO + b"\xdb\xff\xff\xff\xff",
    "bytes of four gigabytes": b"\x92" + HELLO + b"\xc6\xff\xff\xff\xff",
    "a map keyed by a map": b"\x92" + HELLO + b"\x81\x81\x01\x02\x01",
    "a time out of range": b"\x92" + HELLO + b"\xc7\x0c\xff" + b"\xff" * 12,
    "an unknown extension": b"\x92" + HELLO + b"\xc7\x01\x05\x00",
    "nothing": b"",
    "text that is not UTF-8": b"\x92\xa3bye\xa2\xff\xfe",
    "bytes after the end": frames.encode(messages.Bye("x")) + b"\x00",
}


@pytest.mark.parametrize("trap", TRAPS)
@pytest.mark.parametrize("decode", [frames.decode, frames.decode_hub])
def test_a_trap_is_refused_without_harm(trap: str, decode: Any) -> None:
    with pytest.raises((ProtocolError, ProtocolVersionError)):
        decode(TRAPS[trap])


@given(parts=st.lists(st.binary(max_size=60), max_size=4))
def test_a_link_survives_any_frames(parts: list[bytes]) -> None:
    link = Link("client", "task", messages.PeerId("c"))
    with contextlib.suppress(ProtocolError, ProtocolVersionError):
        link.receive(list(parts))
    link.stream.check()


@given(
    number=st.integers(0, 3) | st.integers(0, 2**64 - 1),
    acknowledged=st.integers(0, 3) | st.integers(0, 2**64 - 1),
    body=any_of(PEER_TYPES).map(frames.encode) | st.binary(max_size=30),
    sent=st.integers(0, 3),
    is_open=st.booleans(),
)
def test_a_link_survives_any_message_at_any_moment(
    number: int, acknowledged: int, body: bytes, sent: int, is_open: bool
) -> None:
    link = Link("client", "task", messages.PeerId("c"))
    link.hello()
    link.is_open = is_open
    for _ in range(sent):
        link.send(messages.Abort())
    with contextlib.suppress(ProtocolError, ProtocolVersionError):
        link.receive([frames.head(number, acknowledged, body)])
    link.stream.check()
