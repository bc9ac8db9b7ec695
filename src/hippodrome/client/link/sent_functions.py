"""Which functions the controller has been sent, and the pickles that it may ask for again."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from hippodrome.protocol.frames import Buffer
from hippodrome.protocol.messages import Digest

REMEMBERED: Final = 4096


@dataclass(slots=True)
class NamedFunction:
    """A function by its digest; *blob* is kept while tasks need it, then it is among the *idle*."""

    digest: Digest
    blob: bytes
    idle: OrderedDict[Digest, NamedFunction]
    n_outstanding: int = 0
    is_sent: bool = False

    def release(self, n: int = 1) -> None:
        """*n* tasks less need it."""
        self.n_outstanding -= n
        if not self.n_outstanding:
            self.blob = b""
            self.idle[self.digest] = self


class FunctionBook:
    """All functions of the tasks that are outstanding, and many that were sent before.

    Args:
        remembered: how many of the latter; the least recently needed go first.
    """

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._remembered = remembered
        self._functions: dict[Digest, NamedFunction] = {}
        self._idle: OrderedDict[Digest, NamedFunction] = OrderedDict()

    def need(self, digest: Digest, blob: bytes, n: int = 1) -> NamedFunction:
        """Note that *n* more tasks need a function."""
        function = self._functions.get(digest)
        if function is None:
            if len(self._idle) > self._remembered:
                oldest, _ = self._idle.popitem(last=False)
                del self._functions[oldest]
            function = self._functions[digest] = NamedFunction(digest, blob, self._idle)
        elif not function.n_outstanding:
            self._idle.pop(digest, None)
            function.blob = blob
        function.n_outstanding += n
        return function

    def take_unsent(self, digests: Iterable[Digest]) -> tuple[list[Digest], list[Buffer]]:
        """Return which of *digests* have not been sent, and their pickles; now they have."""
        new = [d for d in dict.fromkeys(digests) if not self._functions[d].is_sent]
        for digest in new:
            self._functions[digest].is_sent = True
        return new, [self._functions[digest].blob for digest in new]

    def kept(self, digests: Sequence[Digest]) -> list[NamedFunction]:
        """Return those of *digests* whose pickle is here."""
        known = [self._functions[digest] for digest in digests if digest in self._functions]
        return [function for function in known if function.blob]

    def forget_sendings(self) -> None:
        """The controller is another one, which has been sent nothing yet."""
        for function in self._functions.values():
            function.is_sent = False

    @property
    def digests(self) -> frozenset[Digest]:
        return frozenset(self._functions)

    def check(self, needed: Iterable[NamedFunction]) -> None:
        """Assert that the functions of all outstanding tasks, *needed*, are here and counted."""
        counts = Counter(function.digest for function in needed)
        for digest, function in self._functions.items():
            assert function.n_outstanding == counts.pop(digest, 0)
            assert function.blob or not function.n_outstanding
        assert not counts, "a function that is needed was forgotten"
        idle = [d for d, function in self._functions.items() if not function.n_outstanding]
        assert set(idle) == self._idle.keys()
