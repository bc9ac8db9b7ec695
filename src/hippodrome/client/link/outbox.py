"""Between the threads of a program and a client's I/O thread: what the ones hand to the other."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from hippodrome.client.link.events import (
    ClientAction,
    ClientEvent,
    Places,
    Submitted,
    Turned,
    Waiter,
)
from hippodrome.client.link.outstanding import OutstandingTasks
from hippodrome.process.wakepipe import WakePipe
from hippodrome.protocol.messages import MsgId

Place = tuple[Waiter, int]


class Outbox(deque[ClientEvent]):
    """The events that wait for the I/O thread; any thread appends, and that one takes.

    There is no lock, and no event is missed. Who appends looks at `is_awake` afterwards, and wakes
    the thread if it is false. The thread sets it to false when it has found nothing, and then looks
    again. So either it sees the event at its second look; or the event was appended after that, and
    whoever did so sees false and wakes it. To be woken twice, or in vain, costs one turn of a loop.
    Each append, look and assignment is one step of the interpreter.

    A task goes from here to those that are pending in the core, and on to those that are resolving,
    and is entered in the next place before it leaves the last. So whoever looks in that order finds
    it. As it takes long to look through what is here, that comes second if a single task is looked
    for, and the core is asked once more after it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.wakes: WakePipe = WakePipe()
        self.is_awake: bool = False

    def wake(self) -> None:
        """Let the I/O thread look; if it has ended, nothing happens, and `post` settles all."""
        self.is_awake = True
        self.wakes.wake()

    def empty(
        self,
        handle: Callable[[ClientEvent], list[ClientAction]],
        perform: Callable[[list[ClientAction]], None],
    ) -> None:
        """Hand over all that is there, and only then ask to be woken again."""
        while True:
            if not self:
                self.is_awake = False
                if not self:
                    return
                self.is_awake = True
            while self:
                actions = handle(self[0])
                self.popleft()
                if actions:
                    perform(actions)
            perform(handle(Turned()))

    def outstanding(self, tasks: OutstandingTasks) -> set[MsgId]:
        """Return the tasks without a result: those that wait here, and *tasks* of the core."""
        found = {msg_id for msg_ids, _, _ in self._submitted() for msg_id in msg_ids}
        return found.union(tasks.pending, tasks.resolving)

    def waiters(self, tasks: OutstandingTasks) -> dict[MsgId, Waiter]:
        """Return the tasks without a result, each with whoever waits for it."""
        found = {one: waiter for msg_ids, waiter, _ in self._submitted() for one in msg_ids}
        places = tasks.pending.copy() | tasks.resolving.copy()  # copies are made in one step
        return found | {msg_id: waiter for msg_id, (_, waiter, _) in places.items()}

    def whereabouts(self, msg_id: MsgId, tasks: OutstandingTasks) -> Place | None:
        """Return where the result of a task goes that waits here or is among *tasks*."""
        found = _in_core(msg_id, tasks) or self._find(msg_id)
        return found or _in_core(msg_id, tasks)

    def _submitted(self) -> Iterator[Places]:
        for event in list(self):  # which is made in one step
            if isinstance(event, Submitted):
                yield event.places()

    def _find(self, msg_id: MsgId) -> Place | None:
        for msg_ids, waiter, first in self._submitted():
            if msg_id in msg_ids:
                return waiter, first + msg_ids.index(msg_id)
        return None


def _in_core(msg_id: MsgId, tasks: OutstandingTasks) -> Place | None:
    found = tasks.pending.get(msg_id) or tasks.resolving.get(msg_id)
    return None if found is None else found[1:]
