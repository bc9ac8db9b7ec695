"""Which large buffers are kept: within the budget, of tasks there are, the latest."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from hippodrome.hub.larder.book import Book
from hippodrome.protocol.messages import MsgId
from hippodrome.store.large import Large

LIMIT = 100
NAMES = st.lists(st.sampled_from("abcdef"), min_size=1, max_size=3, unique=True)


class BookMachine(RuleBasedStateMachine):
    """A book keeps what a plain list of buffers and owners would."""

    def __init__(self) -> None:
        super().__init__()
        self.book = Book(LIMIT)
        self.kept: list[tuple[Large, set[str]]] = []  # the first to go comes first
        self.n_keys = 1000
        self.n_old = 1000

    def drop_excess(self) -> list[Large]:
        dropped = []
        while sum(large.size_bytes for large, _ in self.kept) > LIMIT:
            dropped.append(self.kept.pop(0)[0])
        return dropped

    @rule(names=NAMES, size=st.integers(0, LIMIT + 10))
    def add(self, names: list[str], size: int) -> None:
        self.n_keys += 1
        large = Large(self.n_keys, size)
        self.kept.append((large, set(names)))
        assert self.book.add(large, [MsgId(n) for n in names]) == self.drop_excess()

    @rule(found=st.lists(st.tuples(NAMES, st.integers(0, LIMIT)), max_size=3))
    def add_old(self, found: list[tuple[list[str], int]]) -> None:
        self.n_old -= len(found)
        old = [(Large(self.n_old + i, size), set(names)) for i, (names, size) in enumerate(found)]
        self.kept = old + self.kept
        given = [(large, [MsgId(n) for n in names]) for large, names in old]
        assert self.book.add_old(given) == self.drop_excess()

    @rule(name=st.sampled_from("abcdef"))
    def release(self, name: str) -> None:
        freed = [large for large, names in self.kept if names == {name}]
        for _, names in self.kept:
            names.discard(name)
        self.kept = [(large, names) for large, names in self.kept if names]
        released = self.book.release(MsgId(name))
        assert sorted(each.key for each in released) == sorted(each.key for each in freed)

    @rule(data=st.data())
    def touch(self, data: st.DataObject) -> None:
        if self.kept:
            place = data.draw(st.integers(0, len(self.kept) - 1))
            self.book.touch(self.kept[place][0])
            self.kept.append(self.kept.pop(place))

    @rule(data=st.data())
    def drop(self, data: st.DataObject) -> None:
        if self.kept:
            large, _ = self.kept.pop(data.draw(st.integers(0, len(self.kept) - 1)))
            self.book.drop(large)
            self.book.drop(large)

    @invariant()
    def they_agree(self) -> None:
        self.book.check()
        assert len(self.book) == len(self.kept)
        assert all(large in self.book for large, _ in self.kept)
        assert set(self.book.owners()) == {name for _, names in self.kept for name in names}


TestBook = BookMachine.TestCase
