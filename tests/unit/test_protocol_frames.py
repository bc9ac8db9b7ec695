"""Heads, versions and the dealing out of buffer frames."""

from __future__ import annotations

import msgspec
import pytest

from hippodrome.errors import ProtocolError, ProtocolVersionError
from hippodrome.protocol import frames
from hippodrome.protocol.messages import PROTOCOL, Beat, Bye, Hello, PeerId, ShutDownDone


def test_a_head_that_is_too_short_is_refused() -> None:
    with pytest.raises(ProtocolError, match="15 bytes"):
        frames.read_head(b"x" * 15)


def test_an_unnumbered_message_is_a_single_frame_with_number_zero() -> None:
    (frame,) = frames.unnumbered(Beat())
    number, acknowledged, body = frames.read_head(frame)
    assert (number, acknowledged, frames.decode(body)) == (0, 0, Beat())


def test_the_hello_of_another_version_names_both_versions() -> None:
    hello = Hello(PROTOCOL + 1, "client", "task", PeerId("c"), 1)
    with pytest.raises(ProtocolVersionError, match=f"protocol {PROTOCOL}, .* {PROTOCOL + 1};"):
        frames.decode(frames.encode(hello))


def test_the_hello_of_a_version_with_other_fields_is_still_known_as_such() -> None:
    with pytest.raises(ProtocolVersionError):
        frames.decode(msgspec.msgpack.encode(["hello", PROTOCOL + 1, {"everything": "new"}]))


def test_messages_do_not_change_wires() -> None:
    with pytest.raises(ProtocolError):
        frames.decode_hub(frames.encode(Bye()))
    with pytest.raises(ProtocolError):
        frames.decode(frames.encode(ShutDownDone()))


def test_buffers_are_dealt_out_in_order() -> None:
    assert list(frames.take_all([1, 0, 2], [b"a", b"b", b"c"])) == [(b"a",), (), (b"b", b"c")]


@pytest.mark.parametrize("counts", [[1], [4], [-1, 4], [2, 2], []])
def test_buffers_that_do_not_add_up_are_refused_before_the_first_is_dealt_out(
    counts: list[int],
) -> None:
    with pytest.raises(ProtocolError, match="3 came"):
        frames.take_all(counts, [b"a", b"b", b"c"])


def test_a_reader_refuses_to_deal_out_more_than_there_is() -> None:
    reader = frames.BufferReader([b"a", b"b"])
    assert reader.take(1) == (b"a",)
    for n in (2, -1):
        with pytest.raises(ProtocolError):
            reader.take(n)
    with pytest.raises(ProtocolError, match="1 buffer frames too many"):
        reader.check_empty()
    assert reader.take(1) == (b"b",)
    reader.check_empty()
