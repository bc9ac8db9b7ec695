"""Large messages are cut for their way and put together again, and only so much is on its way."""

from __future__ import annotations

import itertools
import os

import pytest

from hippodrome.errors import ProtocolError
from hippodrome.protocol import frames
from hippodrome.protocol.frames import Frames, encode
from hippodrome.protocol.inflight import InFlight
from hippodrome.protocol.link import Link
from hippodrome.protocol.messages import Beat, Bye, Part, PeerId, Sync
from hippodrome.protocol.pieces import FRAME_BYTES, MANY_FRAMES, MAPPED_BYTES, Joiner, Pieces
from hippodrome.protocol.session import Session
from hippodrome.protocol.stream import SIZES, Sizes, Stream
from support.memory import Watch

SMALL = Sizes(whole=60, piece=20, window=100, owed=40)
LARGE = b"0123456789" * 30


def parts(whole: Frames, piece_bytes: int) -> list[tuple[Part, Frames]]:
    pieces = Pieces(whole, piece_bytes)
    return [pieces.make(index) for index in range(len(pieces))]


def joined(cut: list[tuple[Part, Frames]], joiner: Joiner) -> Frames:
    *others, last = [joiner.take(part, buffers) for part, buffers in cut]
    assert not any(others)
    assert last is not None
    return last


def connected(sizes: Sizes) -> tuple[Link, Session]:
    peer, session = Link("client", "task", PeerId("c"), sizes=sizes), Session(sizes)
    (hello,) = peer.hello()
    message = frames.decode(frames.read_head(hello[0])[2])
    for answer in session.greet(message):  # type: ignore[arg-type]  # it is a Hello
        peer.receive(answer)
    return peer, session


WHOLES = [
    [b"body"],
    [b"body", b""],
    [b"", b"body", b"", b"", b"x" * 21, b""],
    [b"x" * 20, b"y" * 20],
    [b"x" * 7] * 30,
    [b"body", os.urandom(3 * MAPPED_BYTES + 1), b"", os.urandom(MAPPED_BYTES)],
]


@pytest.mark.parametrize("whole", WHOLES, ids=range(len(WHOLES)))
@pytest.mark.parametrize("piece_bytes", [1, 7, 20, 1 << 20])
def test_what_is_cut_is_put_together_again(whole: Frames, piece_bytes: int) -> None:
    piece_bytes = max(piece_bytes, sum(map(len, whole)) // 1000)
    cut = parts(whole, piece_bytes)
    assert all(sum(map(len, buffers)) <= piece_bytes for _, buffers in cut)
    joiner = Joiner()
    for _ in range(2):
        assert joined(cut, joiner) == whole


def test_nothing_is_copied_when_a_message_is_cut() -> None:
    data = bytearray(b"x" * 100)
    _, second = parts([b"", data], 50)
    data[60] = ord("y")
    assert bytes(second[1][0]) == b"x" * 10 + b"y" + b"x" * 39


def test_what_was_put_together_can_be_written_to_and_is_not_shared_with_children() -> None:
    (_, large) = joined(parts([b"body", b"x" * MAPPED_BYTES], 1 << 20), Joiner())
    child = os.fork()
    if not child:
        large[0] = ord("y")
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert bytes(large[:2]) == b"xx"
    large[1] = ord("z")
    assert bytes(large[:3]) == b"xzx"


@pytest.mark.parametrize(
    ("sizes", "buffers"),
    [([-1, 5], [b"x"]), ([2**63, 2**63], [b"x"]), ([3], [b"four"]), ([0, 0], [b"x"])],
)
def test_what_cannot_be_is_refused_and_the_rest_of_it_passed_over(
    sizes: list[int], buffers: Frames
) -> None:
    joiner = Joiner()
    with pytest.raises(ProtocolError):
        joiner.take(Part(sizes), buffers)
    assert joiner.take(Part(), [b"more"]) is None
    assert joiner.take(Part([1]), [b"x"]) == [b"x"]


def test_a_message_that_is_too_large_is_refused_at_its_first_part() -> None:
    joiner = Joiner(most_bytes=10)
    with pytest.raises(ProtocolError, match="a message of 11 bytes; the most is 10"):
        joiner.take(Part([6, 5]), [b"x"])
    assert joiner.take(Part(), [b"more"]) is None


def test_a_few_bytes_cannot_be_very_many_frames() -> None:
    joiner = Joiner()
    for sizes in ([0] * MANY_FRAMES + [9], [1] * (MANY_FRAMES + 1)):
        with pytest.raises(ProtocolError, match="frames"):
            joiner.take(Part(sizes), [b"x" * sum(sizes)])
        assert joiner.take(Part(), [b"more of it"]) is None
    assert joined([(Part([1] * MANY_FRAMES), [b"x" * MANY_FRAMES])], joiner) == [b"x"] * MANY_FRAMES
    many = [FRAME_BYTES] * (MANY_FRAMES + 1)
    assert joiner.take(Part(many), [b"its beginning"]) is None
    assert joiner.is_joining


def test_a_part_of_nothing_is_refused() -> None:
    with pytest.raises(ProtocolError, match="a part of no message"):
        Joiner().take(Part(), [b"x"])


def test_a_message_in_the_middle_of_another_one_is_refused_with_it() -> None:
    joiner = Joiner()
    joiner.take(Part([5]), [b"x"])
    with pytest.raises(ProtocolError, match="in the middle of another"):
        joiner.take(Part([1]), [b"y"])
    assert joiner.take(Part(), [b"more"]) is None
    assert not joiner.is_joining


def test_what_was_only_announced_takes_no_memory() -> None:
    watch = Watch([os.getpid()])
    joiner = Joiner()
    joiner.take(Part([1 << 30] * 8), [b"x"])
    assert joiner.is_joining
    assert max(watch.growth_mb().values()) < 64


# ---------------------------------------------------------------- streams


def test_a_large_message_goes_in_pieces_and_arrives_as_one() -> None:
    peer, session = connected(SMALL)
    out = session.stream.post(encode(Bye("large")), [LARGE])
    n = 0
    while out:
        received = peer.receive(out.pop(0))
        n += 1
        for reply in received.replies:
            sync = frames.decode(frames.read_head(reply[0])[2])
            assert isinstance(sync, Sync)
            out += session.stream.on_sync(sync)
    assert n > 10
    assert received.message == Bye("large")
    assert received.buffers == [LARGE]


def test_only_so_much_is_under_way_until_it_is_acknowledged() -> None:
    stream = Stream(SMALL)
    out = stream.post(encode(Bye()), [LARGE])
    assert len(out) == SMALL.window // SMALL.piece
    assert stream.is_behind
    assert stream.post(encode(Bye("small"))) == [], "nothing overtakes"
    stream.acknowledge(2)
    assert len(stream.release()) == 2
    stream.check()


def test_a_message_that_is_larger_than_the_window_goes_alone() -> None:
    stream = Stream(Sizes(whole=1000, window=100))
    assert len(stream.post(b"small")) == 1
    assert stream.post(b"x" * 500) == []
    stream.acknowledge(1)
    assert len(stream.release()) == 1


def test_what_waits_is_not_asked_for() -> None:
    """It has a number, but has not been lost."""
    stream, other = Stream(SMALL), Stream(SMALL)
    for parts_ in stream.post(encode(Bye()), [LARGE]):
        other.receive(frames.read_head(parts_[0])[0], 0)
    sync = frames.decode(frames.read_head(stream.sync()[0])[2])
    assert isinstance(sync, Sync)
    (answer,) = other.on_sync(sync)
    assert frames.decode(frames.read_head(answer[0])[2]) == Sync(0, other.received)


def test_a_reconnect_in_the_middle_goes_on_where_it_was() -> None:
    stream = Stream(SMALL)
    first = stream.post(encode(Bye()), [LARGE])
    again = stream.resume(3)
    numbers = [frames.read_head(parts_[0])[0] for parts_ in again]
    assert numbers == list(range(4, len(first) + 4))
    assert list(map(bytes, again[0][1:])) == list(map(bytes, first[3][1:]))


def test_a_new_session_begins_a_large_message_from_its_first_piece() -> None:
    stream = Stream(SMALL)
    stream.post(encode(Bye()), [LARGE])
    stream.acknowledge(3)
    out = stream.restart()
    assert [frames.read_head(parts_[0])[0] for parts_ in out] == [1, 2, 3, 4, 5]
    part = frames.decode(frames.read_head(out[0][0])[2])
    assert isinstance(part, Part)
    assert part.sizes[1:] == [len(LARGE)]
    stream.check()


def test_beats_do_not_wait_behind_a_large_message() -> None:
    peer, _ = connected(SMALL)
    peer.send(Bye(), [LARGE])
    assert peer.stream.is_behind
    assert len(peer.send(Beat())) == 1


def test_nothing_that_is_only_to_look_at_is_added_to_what_waits() -> None:
    stream = Stream(SMALL)
    flight = InFlight(stream, 1000, 1000)
    assert flight.has_room()
    stream.post(encode(Bye()), [LARGE])
    assert not flight.has_room()


def test_the_usual_window_never_makes_both_sides_wait() -> None:
    assert SIZES.window > SIZES.owed + SIZES.whole
    stream, other = Stream(), Stream()
    whole = b"x" * SIZES.whole
    on_way = list(itertools.chain.from_iterable(stream.post(whole) for _ in range(100)))
    n = 0
    while on_way:
        n += 1
        parts_ = on_way.pop(0)
        other.receive(frames.read_head(parts_[0])[0], 0, len(parts_[0]))
        if other.acknowledgement_due():
            stream.acknowledge(other.received)
            on_way += stream.release()
    assert n == 100
