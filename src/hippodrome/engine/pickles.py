"""The pickles of the functions that attempts call, and those that are on their way."""

from __future__ import annotations

from collections.abc import Iterable

from hippodrome.protocol.frames import Buffer
from hippodrome.protocol.functions import FunctionCache
from hippodrome.protocol.messages import Digest


class FunctionPickles(FunctionCache):
    """Functions of attempts that have not begun are in use, and the one that was needed last.

    Args:
        limit_bytes: how much is kept of functions that are not in use.

    Attributes:
        asked: the functions that have been asked for and have not come.
    """

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(limit_bytes)
        self.asked: set[Digest] = set()
        self._held: Digest | None = None

    def hold(self, function: Digest) -> None:
        """Let the function that was needed last count as in use, however large: it may come again.

        It takes over the use of an item that has left the queue.
        """
        released = self._held
        if function != released:
            self._held = function
        if released is not None:
            self.release(released)

    def learn(self, digests: Iterable[Digest], pickles: Iterable[Buffer]) -> None:
        """Keep what has come."""
        for digest, pickled in zip(digests, pickles, strict=True):
            if digest not in self:
                self.put(digest, bytes(pickled))
            self.asked.discard(digest)

    def to_ask(self, digests: Iterable[Digest]) -> list[Digest]:
        """Return those of *digests* that are missing and were not asked for; they are now."""
        missing = [d for d in dict.fromkeys(digests) if d not in self and d not in self.asked]
        self.asked.update(missing)
        return missing

    def check(self) -> None:
        """Assert every invariant."""
        super().check()
        assert not any(digest in self for digest in self.asked), "what is here is not asked for"
