"""The attempts that an engine was given: which one starts next, and which never will.

- They start strictly in the order of their serial numbers, each at most once. One whose function
  is missing holds up everything behind it.
- One that was dropped, or superseded by a newer one of the same task, never starts.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator

from hippodrome.engine.attempts import Item, StartAttempt
from hippodrome.engine.pickles import FunctionPickles
from hippodrome.protocol.bundles import ids_of
from hippodrome.protocol.ids import client_of
from hippodrome.protocol.messages import MsgId, Outcome, OutcomeBundle


class AttemptQueue:
    """Attempts from their coming until they begin, and the one that runs.

    Args:
        function_bytes: how much to keep of functions that nothing here calls for now.
        early_drop_limit: how many drops of attempts that have not come to remember.

    Attributes:
        running: the attempt that has begun and not ended.
        functions: what they call; those of items in the queue are in use.
        n_early_drops: how many drops are remembered.
    """

    def __init__(self, function_bytes: int, early_drop_limit: int) -> None:
        self.running: StartAttempt | None = None
        self.functions: FunctionPickles = FunctionPickles(function_bytes)
        self._items: deque[Item] = deque()
        self._newest: dict[MsgId, Item] = {}  # of each task, unless acknowledged or dropped
        self._next_serial = 0
        self._early_drops: OrderedDict[tuple[MsgId, int], None] = OrderedDict()
        self._early_drop_limit = early_drop_limit

    # what comes

    def put(self, items: Iterable[Item]) -> list[tuple[MsgId, int]]:
        """Queue what is new of *items*; return the attempts that by this will never start."""
        superseded: list[tuple[MsgId, int]] = []
        for item in items:
            if item.serial >= self._next_serial:
                self._next_serial = item.serial + len(item.msg_ids)
                superseded += self._enqueue(item)
        return superseded

    def _enqueue(self, item: Item) -> list[tuple[MsgId, int]]:
        superseded: list[tuple[MsgId, int]] = []
        if self._early_drops or not self._newest.keys().isdisjoint(item.msg_ids):
            for msg_id in item.msg_ids:
                superseded += self._admit(item, msg_id)
        else:
            self._newest.update(dict.fromkeys(item.msg_ids, item))
        self._items.append(item)
        self.functions.use(item.function)
        return superseded

    def _admit(self, item: Item, msg_id: MsgId) -> list[tuple[MsgId, int]]:
        """Let one attempt start, unless it is dropped or superseded; return what is superseded."""
        number = item.attempt
        if (msg_id, number) in self._early_drops:
            del self._early_drops[msg_id, number]
            item.drop(msg_id)
            return []  # it was named in a `Dropped` already
        older = self._newest.get(msg_id)
        if older is not None and number <= older.attempt:
            item.drop(msg_id)
            return [] if number == older.attempt else [(msg_id, number)]
        self._newest[msg_id] = item
        if older is None or not older.drop(msg_id):
            return []
        return [(msg_id, older.attempt)]

    def drop(self, msg_id: MsgId, number: int) -> bool:
        """See to it that this attempt does not start; return False if it is too late for that."""
        item = self._newest.get(msg_id)
        if item is None or number > item.attempt:
            self._early_drops[msg_id, number] = None
            if len(self._early_drops) > self._early_drop_limit:
                self._early_drops.popitem(last=False)
            return True
        if number < item.attempt or not item.drop(msg_id):
            return False  # superseded, which has been told, or begun
        del self._newest[msg_id]
        return True

    def drop_cells_like(self, failed: StartAttempt) -> list[tuple[MsgId, int]]:
        """Drop, and return, the calls of the same function by the same client."""
        client = client_of(failed.msg_id)
        dropped: list[tuple[MsgId, int]] = []
        for item in self._items:
            if item.function != failed.function:
                continue
            for msg_id in item.queued:
                if client_of(msg_id) == client and item.drop(msg_id):
                    del self._newest[msg_id]
                    dropped.append((msg_id, item.attempt))
        return dropped

    # what goes

    def begin(self) -> StartAttempt | None:
        """Return the attempt that starts now; None if there is none or its function is missing.

        Complexity:
            O(1), amortized over the dropped attempts that are passed over.
        """
        item = self.head()
        if item is None:
            return None
        function = item.function
        pickle = self.functions.get(function)
        if pickle is None:
            return None
        i = item.n_begun
        item.n_begun = i + 1
        self.running = start = StartAttempt(
            item.serial + i,
            item.msg_ids[i],
            item.attempt,
            function,
            item.payloads[i],
            item.buffers,
            pickle,
            item.serial if len(item.msg_ids) > 1 else 0,
        )
        item.buffers = ()
        return start

    def head(self) -> Item | None:
        """Return what the next attempt is of, with those that will not start passed over."""
        items = self._items
        while items:
            item = items[0]
            n = len(item.msg_ids)
            if item.dropped:
                while item.n_begun < n and item.msg_ids[item.n_begun] in item.dropped:
                    item.n_begun += 1
            if item.n_begun < n:
                return item
            items.popleft()
            self.functions.hold(item.function)
        return None

    def forget(self, ended: Iterable[Outcome | OutcomeBundle]) -> None:
        """Forget attempts of which the controller knows how they ended."""
        for outcome in ended:
            for msg_id in ids_of(outcome):
                item = self._newest.get(msg_id)
                if item is not None and item.attempt == outcome.attempt:
                    del self._newest[msg_id]

    def clear(self) -> None:
        """The controller has forgotten all of it, but not what runs."""
        for item in self._items:
            self.functions.release(item.function)
        self._items.clear()
        self._newest.clear()
        self._early_drops.clear()
        self.functions.asked.clear()
        self._next_serial = 0

    # looking in

    @property
    def n_early_drops(self) -> int:
        return len(self._early_drops)

    def queued(self) -> Iterator[tuple[MsgId, int]]:
        """Yield the attempts that may still start, in order."""
        return ((msg_id, item.attempt) for item in self._items for msg_id in item.queued)

    def check(self) -> None:
        """Assert every invariant."""
        serials = [item.serial for item in self._items]
        assert serials == sorted(set(serials)), "the queue is in serial order"
        for item in self._items:
            assert item.serial + len(item.msg_ids) <= self._next_serial
            assert len(item.msg_ids) == len(item.payloads)
        queued = {(id(item), m) for item in self._items for m in item.queued}
        newest = {(id(item), m) for m, item in self._newest.items() if m in item.queued}
        assert queued == newest, "what is queued is the newest attempt"
        assert all(m not in (item.dropped or ()) for m, item in self._newest.items())
        assert len(self._early_drops) <= self._early_drop_limit
        self.functions.check()
