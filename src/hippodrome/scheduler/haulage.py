"""Where objects are, and how they get from host to host: through here, and never all at once.

An object is a large buffer under the name of its segment. It lies in *places*: at hosts, with
clients that have it to offer, and `HERE`, on the controller's own host. A *haul* brings one from a
place that has it to all that need it now: it is asked for in windows, and each piece that comes is
passed on at once, to all of them. So what is in memory here is a window for each haul under way,
whatever the size of the object and however many hosts get it.

A haul ends when the last of those who get it has all of it. Who falls far behind the others goes on
in a haul of its own. If a place is lost on the way, another one that has the object goes on where
it was. Pure: messages go in, and go out by `post`; files are a shelf's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Final, Protocol

from hippodrome.errors import ProtocolError
from hippodrome.protocol import messages as m
from hippodrome.protocol.frames import Buffer, Frames
from hippodrome.protocol.messages import PeerId
from hippodrome.protocol.pieces import MOST_BYTES, PIECE_BYTES
from hippodrome.segments.carrier import ObjectStore

HERE: Final = PeerId("")
WINDOW_BYTES: Final = 8 << 20
MOST_HAULS: Final = 4  # under way; those that stand still do not count
MOST_TO_ONE: Final = 4  # place, so that who takes nothing holds up only himself
STILL_S: Final = 1.0
GONE: Final = "its host has gone"

Post = Callable[[PeerId, m.Message, Frames], bool]


class HostShelf(ObjectStore, Protocol):
    """The objects of this host."""

    def whole(self, name: str) -> Buffer:
        """Return an object; OSError if it is not there."""

    def is_shared(self, name: str) -> bool:
        """Tell whether others on this host can map an object that is here."""


@dataclass(slots=True)
class Haul:
    """An object on its way.

    Attributes:
        number: of the haul.
        name: of the object.
        source: who gives it.
        sinks: who gets it, and up to where each has it.
        asked: up to here it was asked for.
        came: up to here it was passed on.
        size: of the object; -1 before the first piece has come.
        moved_at: when something of it was moved last.
    """

    number: int
    name: str
    source: PeerId
    sinks: dict[PeerId, int]
    asked: int
    came: int
    size: int
    moved_at: float

    def limit(self) -> int:
        """Return up to where it may be under way."""
        limit = min(self.sinks.values()) + WINDOW_BYTES
        return min(limit, self.size) if self.size >= 0 else limit


class Haulage:
    """All objects that are, or are to be, elsewhere than `HERE` alone.

    Args:
        post: sends a message to a place; tells whether that is connected.
        shelf: the files of this host.

    Attributes:
        now: the time, in seconds of a monotonic clock.
        n_changes: counts what has come to a place, and what never will.
    """

    def __init__(self, post: Post, shelf: ObjectStore | None = None) -> None:
        self.now: float = 0.0
        self.n_changes: int = 0
        self._post = post
        self._shelf = shelf
        self._places: dict[str, set[PeerId]] = {}
        self._wanted: dict[str, dict[PeerId, int]] = {}  # and what is there of it; oldest first
        self._hauls: dict[int, Haul] = {}
        self._of_name: dict[str, list[Haul]] = {}
        self._failed: dict[str, dict[PeerId, str]] = {}
        self._begun: dict[str, set[PeerId]] = {}  # places that have been sent some of it
        self._frees: dict[PeerId, list[str]] = {}
        self._freed: list[str] = []
        self._n_hauls = 0
        self._may_begin = False  # something has changed since nothing more could be begun

    # ------------------------------------------------------------ where objects are

    def note(self, names: Iterable[str], place: PeerId) -> None:
        """Objects were announced by who has them; those that lie `HERE` alone are not noted."""
        if place != HERE:
            for name in names:
                self._places.setdefault(name, set()).add(place)

    def is_at(self, name: str, place: PeerId) -> bool:
        """Tell whether a place has all of an object."""
        places = self._places.get(name)
        return place in places if places is not None else place == HERE

    def why_not(self, name: str, place: PeerId) -> str | None:
        """Return why an object cannot be brought to a place; None if nothing is known."""
        return self._failed.get(name, {}).get(place)

    def bring(self, name: str, place: PeerId) -> bool:
        """See to it that an object gets to a place; return whether it is there."""
        if self.is_at(name, place):
            return True
        is_under_way = any(place in haul.sinks for haul in self._of_name.get(name, ()))
        if not is_under_way and self.why_not(name, place) is None:
            self._wanted.setdefault(name, {}).setdefault(place, 0)
            self._may_begin = True
        return False

    def hand_over(self, name: str, place: PeerId) -> None:
        """An object is its receiver's from now on, who removes it."""
        places = self._places.get(name)
        if places is not None:
            places.discard(place)
            self._begun.get(name, places).discard(place)

    def free(self, names: Iterable[str]) -> None:
        """Nobody needs these objects any more."""
        self._may_begin = True
        for name in names:
            self._freed.append(name)
            self._failed.pop(name, None)
            self._wanted.pop(name, None)
            places = self._places.pop(name, set()) | self._begun.pop(name, set())
            for haul in self._of_name.pop(name, ()):
                del self._hauls[haul.number]
                places.add(haul.source)
            for place in places - {HERE}:
                self._frees.setdefault(place, []).append(name)

    def take_freed(self) -> list[str]:
        """Return the objects that nobody needs any more, once."""
        freed, self._freed = self._freed, []
        return freed

    def lose(self, place: PeerId) -> None:
        """A place is gone, with all that it had."""
        self._frees.pop(place, None)
        for places in (*self._places.values(), *self._begun.values()):
            places.discard(place)
        for name in [name for name, wanted in self._wanted.items() if place in wanted]:
            self._fail(name, place, GONE)
        for haul in list(self._hauls.values()):
            if place in haul.sinks:
                self._fail_sink(haul, place, GONE)
            if haul.source == place and haul.number in self._hauls:
                self._go_on_elsewhere(haul)

    # ------------------------------------------------------------ what comes

    def receive(self, place: PeerId, message: m.Message, frames: Frames) -> None:
        """Take a message of a place.

        Raises:
            ProtocolError: it makes no sense.
        """
        match message:
            case m.Slice():
                self._on_slice(place, message, frames)
            case m.Have(number, _, upto):
                haul = self._hauls.get(number)
                if haul is not None and haul.sinks.get(place, upto) < upto <= haul.came:
                    haul.sinks[place] = upto
                    haul.moved_at = self.now
                    self._go_on(haul)
            case m.Without(number, name, reason):
                self._on_without(place, number, name, reason)
            case _:
                raise ProtocolError(f"a {type(message).__name__} on a data channel")

    def _on_slice(self, place: PeerId, slice_: m.Slice, frames: Frames) -> None:
        haul = self._hauls.get(slice_.haul)
        if haul is None or haul.source != place or slice_.at < haul.came:
            return  # of a haul that has ended, or that goes on from elsewhere
        n = memoryview(frames[0]).nbytes if len(frames) == 1 else 0
        is_next = slice_.at == haul.came and 0 < n <= haul.asked - slice_.at
        fits = slice_.size == haul.size or (haul.size < 0 and slice_.size <= MOST_BYTES)
        if not (is_next and fits and slice_.at + n <= slice_.size):
            self._go_on_elsewhere(haul)
            raise ProtocolError(f"a piece of {n} bytes that is not the next of an object")
        haul.size = slice_.size
        self._pass_on(haul, frames[0], n)
        self._go_on(haul)

    def _on_without(self, place: PeerId, number: int, name: str, reason: str) -> None:
        haul = self._hauls.get(number)
        if haul is None or haul.name != name:
            return
        if place in haul.sinks:
            self._fail_sink(haul, place, reason)
        elif place == haul.source:
            self._go_on_elsewhere(haul)

    # ------------------------------------------------------------ hauls

    def turn(self) -> None:
        """Begin what there is room for, and tell places what they need not keep."""
        if self._frees:
            frees, self._frees = self._frees, {}
            for place, names in frees.items():
                self._post(place, m.Free(names), [])
        if self._wanted and self._may_begin:
            self._may_begin = False
            for name, sinks in _take_startable(self._wanted, self._hauls.values(), self.now):
                self._begin(name, sinks)

    def tick(self, now: float) -> None:
        """It is *now*: see to what stands still."""
        self.now = now
        self._may_begin = True
        for haul in list(self._hauls.values()):
            if now - haul.moved_at >= STILL_S:
                self._let_others_go_on(haul)
        self.turn()

    def _begin(self, name: str, sinks: dict[PeerId, int]) -> None:
        """Begin hauls of one object: of those who have as much of it, one."""
        for start in set(sinks.values()):
            these = {place: there for place, there in sinks.items() if there == start}
            source = self._source_of(name)
            if source is None:
                for place in these:
                    self._fail(name, place, "nobody has it any more")
                continue
            self._n_hauls += 1
            self._begun.setdefault(name, set()).update(these)
            haul = Haul(self._n_hauls, name, source, these, start, start, -1, self.now)
            self._hauls[haul.number] = haul
            self._of_name.setdefault(name, []).append(haul)
            self._go_on(haul)

    def _source_of(self, name: str) -> PeerId | None:
        places = self._places.get(name, {HERE})
        return HERE if HERE in places else next(iter(sorted(places)), None)

    def _go_on(self, haul: Haul) -> None:
        """Note who has all of it, and move as much as may be under way."""
        for place, there in list(haul.sinks.items()):
            if there == haul.size:
                del haul.sinks[place]
                self._places.setdefault(haul.name, {HERE}).add(place)
                self.n_changes += 1
        if not haul.sinks:
            self._end(haul)
        elif haul.source == HERE:
            self._read_on(haul)
        else:
            limit = haul.limit()
            if limit - haul.asked >= WINDOW_BYTES // 4 or haul.asked < limit == haul.size:
                give = m.Give(haul.number, haul.name, haul.asked, limit)
                if self._post(haul.source, give, []):
                    haul.asked = limit

    def _read_on(self, haul: Haul) -> None:
        try:
            assert self._shelf is not None
            haul.size = self._shelf.size(haul.name)
            while haul.sinks and haul.came < (limit := haul.limit()):
                n = min(PIECE_BYTES, limit - haul.came)
                piece = self._shelf.read(haul.name, haul.came, n)
                haul.asked = haul.came + n
                self._pass_on(haul, piece, n)
        except (OSError, AssertionError):
            self._go_on_elsewhere(haul)

    def _pass_on(self, haul: Haul, piece: Buffer, n: int) -> None:
        """Give a piece to all who are to get it."""
        at, haul.came, haul.moved_at = haul.came, haul.came + n, self.now
        slice_ = m.Slice(haul.number, haul.name, at, haul.size)
        for place in list(haul.sinks):
            if place != HERE:
                if not self._post(place, slice_, [piece]):
                    self._fail_sink(haul, place, GONE)
                continue
            try:
                assert self._shelf is not None
                self._shelf.put(haul.name, at, haul.size, piece)
            except (OSError, AssertionError) as error:
                self._fail_sink(haul, place, f"the controller has no room for it: {error}")
            else:
                haul.sinks[place] = haul.came

    def _go_on_elsewhere(self, haul: Haul) -> None:
        """Go on with who else has it, from where each of those is who get it."""
        self._places.setdefault(haul.name, {HERE}).discard(haul.source)
        if haul.came == haul.size:
            return  # all of it is on its way
        self._end(haul)
        self._wanted.setdefault(haul.name, {}).update(dict.fromkeys(haul.sinks, haul.came))

    def _let_others_go_on(self, haul: Haul) -> None:
        """Let those who have all that came go on without those who do not take it."""
        slow = {place: there for place, there in haul.sinks.items() if there < haul.came}
        if 0 < len(slow) < len(haul.sinks) and haul.asked == haul.came:
            quick = dict.fromkeys((p for p in haul.sinks if p not in slow), haul.came)
            haul.sinks = slow
            self._wanted.setdefault(haul.name, {}).update(quick)
        elif haul.asked == haul.came and not slow:  # its source was not connected
            self._go_on(haul)

    def _fail_sink(self, haul: Haul, place: PeerId, reason: str) -> None:
        haul.sinks.pop(place, None)
        self._fail(haul.name, place, reason)
        if not haul.sinks:
            self._end(haul)

    def _fail(self, name: str, place: PeerId, reason: str) -> None:
        self._wanted.get(name, {}).pop(place, None)
        self._failed.setdefault(name, {})[place] = reason
        self.n_changes += 1

    def _end(self, haul: Haul) -> None:
        self._may_begin = True
        if self._hauls.pop(haul.number, None) is not None:
            others = self._of_name[haul.name]
            others.remove(haul)
            if not others:
                del self._of_name[haul.name]

    def check(self) -> None:
        """Assert that hauls are under way for those alone who lack the object."""
        assert sorted(h.number for some in self._of_name.values() for h in some) == sorted(
            self._hauls
        )
        for haul in self._hauls.values():
            assert haul.sinks, "a haul for nobody"
            for place, there in haul.sinks.items():
                assert 0 <= there <= haul.came <= haul.asked <= there + WINDOW_BYTES
                assert not self.is_at(haul.name, place)


def _take_startable(
    wanted: dict[str, dict[PeerId, int]], hauls: Collection[Haul], now: float
) -> list[tuple[str, dict[PeerId, int]]]:
    """Take out of *wanted* what there is room for beside *hauls*."""
    n = sum(now - haul.moved_at < STILL_S for haul in hauls)
    n_to = Counter(place for haul in hauls for place in haul.sinks)
    chosen: list[tuple[str, dict[PeerId, int]]] = []
    for name, sinks in list(wanted.items()):
        if n + len(chosen) >= MOST_HAULS:
            break
        free = {place: at for place, at in sinks.items() if n_to[place] < MOST_TO_ONE}
        if free:
            chosen.append((name, free))
            n_to.update(free.keys())
        if len(free) == len(sinks):
            del wanted[name]
        else:
            wanted[name] = {place: at for place, at in sinks.items() if place not in free}
    return chosen
