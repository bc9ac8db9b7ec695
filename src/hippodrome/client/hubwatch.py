"""Asking the hub; what of its answers are results of tasks comes when it does, and not by itself.

Whoever waits for results of tasks that somebody else submitted, or whose result was fetched before,
is served by one thread of the client that asks again and again, less often the longer it takes.
"""

from __future__ import annotations

import pickle
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from hippodrome.client.link.widget_comms import repeat
from hippodrome.client.results.hubresult import AsyncHubResult, Found
from hippodrome.errors import ControllerLost, ProtocolError, RemoteError
from hippodrome.protocol.frames import Buffer, take_all
from hippodrome.protocol.messages import Fetched, MsgId
from hippodrome.serialize.twofold import twofold

if TYPE_CHECKING:
    from hippodrome.client.link.io_thread import IOThread

ASK_FIRST_S: Final = 0.02
ASK_AT_MOST_S: Final = 0.5
ASK_FOR: Final = 1000  # tasks in one question

_BUILTINS: Final[dict[str, type[Exception]]] = {
    "KeyError": KeyError,
    "RuntimeError": RuntimeError,
    "TypeError": TypeError,
    "ValueError": ValueError,
}


def ask(io: IOThread, name: str, **arguments: Any) -> Any:  # Any: whatever the hub answers
    """Ask the hub, and wait for the answer.

    Raises:
        KeyError, RuntimeError, TypeError, ValueError: what was asked makes no sense to the hub. As
            it was the hub that said so, the error is a `RemoteError` too.
        ResultExpired: the hub does not keep what was asked for.
        ControllerLost: there is no controller.
    """
    return ask_for_all(io, name, **arguments)[0]


def ask_for_all(io: IOThread, name: str, **arguments: Any) -> tuple[Any, Sequence[Buffer]]:
    """Ask as `ask` does; return the answer and what came along with it."""
    reply = io.ask(name, **arguments)
    try:
        return reply.result(), reply.buffers
    except RemoteError as error:
        kind = _BUILTINS.get(error.ename)
        if kind is None:
            raise
        original = kind(error.evalue)
        raise twofold(error, original, pickle.dumps(original)) from None


def fetch(io: IOThread, msg_ids: Sequence[MsgId]) -> list[Found]:
    """Return what the hub knows of some tasks, and buffers of results; errors as of `ask`."""
    found: list[Found] = []
    while len(found) < len(msg_ids):  # the answer holds as many as fit into it
        part = list(msg_ids[len(found) : len(found) + ASK_FOR])
        answer, buffers = ask_for_all(io, "results", msg_ids=part)
        fetched = msgspec.convert(answer, list[Fetched])
        if not 0 < len(fetched) <= len(part):
            raise ProtocolError(f"{len(fetched)} results came, {len(part)} were asked for")
        counts = [one.result.n_buffers if one.result is not None else 0 for one in fetched]
        found += zip(fetched, take_all(counts, buffers), strict=True)
    return found


def take(result: AsyncHubResult, index: int, found: Found) -> bool:
    """Let *result* take what the hub said of one task; return whether that has ended."""
    if found[0].result is not None:
        repeat(result._client, found[0].result)
    return result._take(index, found)


class HubWatch:
    """Asks the hub for results until all have come.

    Args:
        io: leads to the hub.
    """

    def __init__(self, io: IOThread) -> None:
        self._io = io
        self._lock = threading.Lock()
        self._waiting: list[tuple[AsyncHubResult, int]] = []
        self._thread: threading.Thread | None = None
        self._news = threading.Event()

    def add(self, waiting: list[tuple[AsyncHubResult, int]]) -> None:
        """Deliver these results when they come."""
        with self._lock:
            self._waiting += waiting
            self._news.set()
            if self._thread is None:
                name = "hippodrome-hub"
                thread = threading.Thread(target=self._run, name=name, daemon=True)
                thread.start()  # it waits for the lock; if it cannot start, the next one may
                self._thread = thread

    def _run(self) -> None:
        pause_s = ASK_FIRST_S
        while True:
            with self._lock:
                self._waiting = [(r, i) for r, i in self._waiting if not r.done()]
                waiting = list(self._waiting)
                if not waiting:
                    self._thread = None
                    return
            parts = (waiting[n : n + ASK_FOR] for n in range(0, len(waiting), ASK_FOR))
            n_ended = sum(map(self._serve, parts))
            has_news = self._news.wait(pause_s)
            self._news.clear()
            pause_s = ASK_FIRST_S if n_ended or has_news else min(2 * pause_s, ASK_AT_MOST_S)

    def _serve(self, waiting: list[tuple[AsyncHubResult, int]]) -> int:
        """Deliver what has come; return of how many tasks."""
        try:
            fetched = fetch(self._io, [result.msg_ids[i] for result, i in waiting])
        except Exception as error:  # whatever it is, nobody may wait in vain
            if len(waiting) > 1 and not isinstance(error, ControllerLost):
                return sum(self._serve([one]) for one in waiting)  # which of them was purged?
            ended = waiting
            for result, i in waiting:
                result._lose(i, error)
        else:
            pairs = zip(waiting, fetched, strict=True)
            ended = [(result, i) for (result, i), one in pairs if take(result, i, one)]
        gone = {(id(result), i) for result, i in ended}
        with self._lock:
            self._waiting = [(r, i) for r, i in self._waiting if (id(r), i) not in gone]
        return len(ended)
