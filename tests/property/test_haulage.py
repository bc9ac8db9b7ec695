"""Objects get whole to all who need them, whatever is lost, slow or in between."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hippodrome.errors import ProtocolError
from hippodrome.protocol import messages as m
from hippodrome.protocol.frames import Buffer, Frames
from hippodrome.protocol.messages import PeerId
from hippodrome.scheduler import haulage
from hippodrome.scheduler.haulage import HERE, Haulage

A, B, C, CLIENT = (PeerId(name) for name in ("a", "b", "c", "client"))
PIECE, WINDOW = 10, 40


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(haulage, "PIECE_BYTES", PIECE)
    monkeypatch.setattr(haulage, "WINDOW_BYTES", WINDOW)


def content(name: str) -> bytes:
    return bytes(random.Random(name).randbytes(random.Random(name).randint(1, 300)))


class MemoryShelf:
    """The controller's own files, in memory."""

    def __init__(self) -> None:
        self.files: dict[str, bytearray] = {}
        self.is_full = False

    def put(self, name: str, at: int, size: int, data: Buffer) -> None:
        if self.is_full:
            raise OSError("full")
        file = self.files.setdefault(name, bytearray())
        assert len(file) == at, "a hole, or something twice"
        file += data

    def size(self, name: str) -> int:
        return len(self._file(name))

    def read(self, name: str, at: int, n: int) -> bytes:
        return bytes(self._file(name)[at : at + n])

    def _file(self, name: str) -> bytearray:
        if name not in self.files:
            raise FileNotFoundError(name)
        return self.files[name]


@dataclass
class Place:
    """A host or client that does what it is asked, when it is its turn."""

    name: PeerId
    world: World
    has: dict[str, bytes] = field(default_factory=dict)
    parts: dict[str, bytearray] = field(default_factory=dict)
    inbox: deque[tuple[m.Message, Frames]] = field(default_factory=deque)
    outbox: deque[tuple[m.Message, Frames]] = field(default_factory=deque)
    is_full: bool = False

    def read_one(self) -> None:
        message, frames = self.inbox.popleft()
        match message:
            case m.Give(haul, name, start, upto):
                data = self.has.get(name)
                if data is None:
                    self.outbox.append((m.Without(haul, name, "not here"), []))
                    return
                for at in range(start, min(upto, len(data)), PIECE):
                    piece = data[at : min(at + PIECE, upto, len(data))]
                    self.outbox.append((m.Slice(haul, name, at, len(data)), [piece]))
            case m.Slice(haul, name, at, size):
                if self.is_full:
                    self.outbox.append((m.Without(haul, name, "full"), []))
                    return
                part = self.parts.setdefault(name, bytearray())
                assert len(part) == at, "a hole, or something twice"
                part += frames[0]
                self.outbox.append((m.Have(haul, name, len(part)), []))
                if len(part) == size:
                    self.has[name] = bytes(self.parts.pop(name))
            case m.Free(names):
                for name in names:
                    self.has.pop(name, None)
                    self.parts.pop(name, None)


class World:
    """Some places around a haulage."""

    def __init__(self, *names: PeerId) -> None:
        self.shelf = MemoryShelf()
        self.haulage = Haulage(self.post, self.shelf)
        self.places = {name: Place(name, self) for name in names}
        self.now = 0.0

    def post(self, place: PeerId, message: m.Message, frames: Frames) -> bool:
        if place not in self.places:
            return False
        self.places[place].inbox.append((message, [bytes(frame) for frame in frames]))
        return True

    def hear_one(self, place: Place) -> None:
        message, frames = place.outbox.popleft()
        self.haulage.receive(place.name, message, frames)

    def lose(self, name: PeerId) -> None:
        self.places.pop(name, None)
        self.haulage.lose(name)

    def step(self, rng: random.Random) -> bool:
        """Let one thing happen; return whether there was anything."""
        self.haulage.turn()
        busy = [p for p in self.places.values() if p.inbox or p.outbox]
        if not busy:
            return False
        place = rng.choice(busy)
        if place.inbox and (not place.outbox or rng.random() < 0.5):
            place.read_one()
        else:
            self.hear_one(place)
        self.haulage.check()
        return True

    def settle(self, rng: random.Random) -> None:
        for _ in range(20):
            while self.step(rng):
                pass
            self.now += 1.5
            self.haulage.tick(self.now)
        assert not self.step(rng)

    def under_way(self) -> int:
        ends = [*(p.inbox for p in self.places.values()), *(p.outbox for p in self.places.values())]
        return sum(len(f[0]) for end in ends for message, f in end if isinstance(message, m.Slice))


def put(world: World, name: str, place: PeerId) -> None:
    if place == HERE:
        world.shelf.files[name] = bytearray(content(name))
    else:
        world.places[place].has[name] = content(name)
        world.haulage.note([name], place)


def at(world: World, name: str, place: PeerId) -> bytes | None:
    if place == HERE:
        return bytes(world.shelf.files[name])
    return world.places[place].has.get(name)


PLACES = [HERE, A, B, C, CLIENT]


@given(st.integers(0, 2**32), st.lists(st.sampled_from("xyzuvw"), min_size=1, unique=True))
@settings(max_examples=200, deadline=None)
def test_objects_get_whole_to_all_who_need_them(seed: int, names: list[str]) -> None:
    rng = random.Random(seed)
    world = World(A, B, C, CLIENT)
    wanted = []
    for name in names:
        put(world, name, rng.choice(PLACES))
    for _ in range(rng.randint(1, 12)):
        name, place = rng.choice(names), rng.choice(PLACES)
        world.haulage.bring(name, place)
        wanted.append((name, place))
        for _ in range(rng.randint(0, 40)):
            world.step(rng)
    world.settle(rng)
    for name, place in wanted:
        assert world.haulage.bring(name, place)
        assert at(world, name, place) == content(name)
    world.haulage.free(names)
    world.settle(rng)
    for place in world.places.values():
        assert not place.has
        assert not place.parts
    assert not world.haulage._hauls
    assert not world.haulage._places


@given(st.integers(0, 2**32))
@settings(max_examples=200, deadline=None)
def test_whatever_is_lost_each_need_is_met_or_said_to_be_in_vain(seed: int) -> None:
    rng = random.Random(seed)
    world = World(A, B, C, CLIENT)
    names = ["x", "y", "z"]
    wanted = []
    for name in names:
        for place in rng.sample(PLACES, 2):
            put(world, name, place)
    for _ in range(10):
        name, place = rng.choice(names), rng.choice(PLACES)
        world.haulage.bring(name, place)
        wanted.append((name, place))
        for _ in range(rng.randint(0, 40)):
            world.step(rng)
        what = rng.random()
        if what < 0.15 and world.places:
            world.lose(rng.choice(list(world.places)))
        elif what < 0.3 and world.places:
            rng.choice(list(world.places.values())).is_full = True
        elif what < 0.35:
            world.shelf.files.pop(rng.choice(names), None)
        elif what < 0.4:
            world.shelf.is_full = True
    for _ in range(3):  # what has vanished is noticed when it is asked for
        for name, place in wanted:
            world.haulage.bring(name, place)
        world.settle(rng)
    for name, place in wanted:
        if place != HERE and place not in world.places:
            continue
        if world.haulage.bring(name, place):
            if place != HERE or name in world.shelf.files:
                assert at(world, name, place) == content(name)
        else:
            assert world.haulage.why_not(name, place)
    world.haulage.free(names)
    world.settle(rng)
    assert not any(place.has or place.parts for place in world.places.values())
    book = world.haulage
    kept = [book._places, book._begun, book._failed, book._wanted, book._hauls]
    assert not any(kept)


def test_no_more_is_under_way_than_the_window_of_each_haul() -> None:
    rng = random.Random(1)
    world = World(A, B, CLIENT)
    for i in range(20):
        world.places[CLIENT].has[f"n{i}"] = bytes(5_000)
        world.haulage.note([f"n{i}"], CLIENT)
        world.haulage.bring(f"n{i}", A)
        world.haulage.bring(f"n{i}", B)
    most = 0
    while world.step(rng):
        most = max(most, world.under_way())
    assert most <= 2 * WINDOW * haulage.MOST_HAULS, "to two places"
    assert len(world.places[A].has) == len(world.places[B].has) == 20


def test_each_byte_is_asked_for_once_however_many_get_it() -> None:
    rng = random.Random(2)
    world = World(A, B, C, CLIENT)
    world.places[CLIENT].has["x"] = bytes(1_000)
    world.haulage.note(["x"], CLIENT)
    for place in (A, B, C, HERE):
        world.haulage.bring("x", place)
    asked = []
    post = world.haulage._post

    def note(place: PeerId, message: m.Message, frames: Frames) -> bool:
        if isinstance(message, m.Give):
            asked.append(message.upto - message.start)
        return post(place, message, frames)

    world.haulage._post = note
    world.settle(rng)
    assert 1_000 <= sum(asked) <= 1_000 + WINDOW
    assert [world.haulage.is_at("x", place) for place in (A, B, C, HERE)] == [True] * 4


def test_who_does_not_read_does_not_hold_up_the_others() -> None:
    rng = random.Random(3)
    world = World(A, B, CLIENT)
    world.places[CLIENT].has["x"] = bytes(1_000)
    world.haulage.note(["x"], CLIENT)
    world.haulage.bring("x", A)
    world.haulage.bring("x", B)
    stopped = world.places.pop(B)
    queue: deque[tuple[m.Message, Frames]] = stopped.inbox
    world.haulage._post = lambda place, message, frames: (
        queue.append((message, frames)) is None
        if place == B
        else world.post(place, message, frames)
    )
    world.settle(rng)
    assert world.haulage.is_at("x", A)
    assert not world.haulage.is_at("x", B)
    world.places[B] = stopped
    world.settle(rng)
    assert world.haulage.is_at("x", B)
    assert stopped.has["x"] == bytes(1_000)


def test_who_takes_nothing_holds_up_only_himself() -> None:
    rng = random.Random(4)
    world = World(A, B, CLIENT)
    names = [f"n{i}" for i in range(50)]
    for name in names:
        world.places[A].has[name] = bytes(500)
        world.haulage.note([name], A)
        world.haulage.bring(name, CLIENT)
    stopped = world.places.pop(CLIENT)
    queue = stopped.inbox
    world.haulage._post = lambda place, message, frames: (
        queue.append((message, [bytes(frame) for frame in frames])) is None
        if place == CLIENT
        else world.post(place, message, frames)
    )
    world.settle(rng)
    for name in names:
        world.haulage.bring(name, B)
    world.settle(rng)
    assert all(world.haulage.is_at(name, B) for name in names)
    held = sum(len(frames[0]) for message, frames in queue if isinstance(message, m.Slice))
    assert held <= haulage.MOST_TO_ONE * WINDOW
    world.places[CLIENT] = stopped
    world.settle(rng)
    assert stopped.has.keys() == set(names)


@pytest.mark.parametrize(
    ("chunk", "frames"),
    [
        (m.Slice(1, "x", 0, 100), []),
        (m.Slice(1, "x", 0, 100), [b""]),
        (m.Slice(1, "x", 0, 100), [b"1", b"2"]),
        (m.Slice(1, "x", 0, 5), [b"0123456789"]),
        (m.Slice(1, "x", 5, 100), [b"0123456789"]),
        (m.Slice(1, "x", 0, -1), [b"0123456789"]),
        (m.Slice(1, "x", 0, 1 << 60), [b"0123456789"]),
        (m.Slice(1, "x", 0, 100), [bytes(WINDOW + 1)]),
    ],
)
def test_a_piece_that_does_not_fit_ends_the_haul_and_nothing_else(
    chunk: m.Slice, frames: Frames
) -> None:
    world = World(A, CLIENT)
    world.haulage.note(["x"], CLIENT)
    world.haulage.bring("x", A)
    world.haulage.turn()
    with pytest.raises(ProtocolError):
        world.haulage.receive(CLIENT, chunk, frames)
    world.haulage.turn()
    assert world.haulage.why_not("x", A)
    world.haulage.receive(CLIENT, m.Slice(99, "x", 0, 10), [b"0123456789"])
    world.haulage.receive(CLIENT, m.Have(99, "x", 10), [])
    world.haulage.receive(A, m.Have(1, "x", 1 << 62), [])
    world.haulage.check()
