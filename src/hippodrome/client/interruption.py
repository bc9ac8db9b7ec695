"""What Ctrl-C does to calls that somebody waits for.

Who interrupts a statement that submits calls and waits for them wants none of it any more: these
calls are aborted, and those that run get a KeyboardInterrupt, unless the client is told otherwise.
Who waits for calls of an earlier statement only stops waiting. Either way the exception says what
has become of them.
"""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Self  # Any: a signal's handler

from hippodrome.briefly import brief
from hippodrome.client.link.events import AbortRequested
from hippodrome.client.looks.words import count
from hippodrome.errors import ClusterError, RemoteError

if TYPE_CHECKING:
    from hippodrome.client.results.future import T
    from hippodrome.client.results.mapresult import AsyncMapResult
    from hippodrome.client.results.owner import Owner
    from hippodrome.client.results.result import AsyncResult
    from hippodrome.protocol.messages import MsgId

ABORT: Final = "abort"
DETACH: Final = "detach"
PROMPT_S: Final = 1.0  # tasks may take so long to end before the prompt is given back
STEP_S: Final = 0.05


def check_on_interrupt(value: object) -> str:
    """Return *value*.

    Raises:
        ValueError: it is none of those that there are.
    """
    if value in (ABORT, DETACH):
        return str(value)
    raise ValueError(f"on_interrupt is {ABORT!r} or {DETACH!r}, not {value!r}")


class InterruptFlag:
    """Notes each Ctrl-C, from `__enter__` to `__exit__`.

    A KeyboardInterrupt comes anywhere: in the callback of a weak reference, where Python drops it,
    or halfway through a submission. A flag is not lost. In other threads than the main one there
    is no Ctrl-C.
    """

    def __init__(self) -> None:
        self._n = 0
        self._saved: Any = None
        self._is_main = threading.current_thread() is threading.main_thread()

    def __enter__(self) -> Self:
        if self._is_main:
            self._saved = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._is_main:
            signal.signal(signal.SIGINT, self._saved)

    def _note(self, signum: int, frame: object) -> None:
        self._n += 1

    def take(self) -> bool:
        """Return whether there was one, and forget it."""
        if not self._n:
            return False
        self._n -= 1
        return True


class OwnCalls:
    """The calls of a statement that waits for them; a context manager around all of it.

    Args:
        client: whose calls.
        is_waiting: whether the statement waits; if not, Ctrl-C in it is no concern of its calls.
    """

    def __init__(self, client: Owner, is_waiting: bool = True) -> None:
        self._client = client
        self._is_waiting = is_waiting
        self._results: list[AsyncResult] = []

    def add(self, result: AsyncResult) -> None:
        """Count *result* among them; before anything of it is submitted."""
        if self._is_waiting:
            self._results.append(result)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if self._results and is_ctrl_c(error):
            give_up(self._client, self._results, error)


def is_ctrl_c(error: BaseException | None) -> bool:
    """Whether *error* was raised here, rather than by a task that was interrupted."""
    return isinstance(error, KeyboardInterrupt) and not isinstance(error, RemoteError)


def give_up(client: Owner, results: Iterable[AsyncResult], error: BaseException | None) -> None:
    """End the calls of the statement that *error* ends, as `on_interrupt` says; tell of them.

    Raises:
        KeyboardInterrupt: one more Ctrl-C: the calls are ending, and nobody waits for that.
    """
    left = [result for result in results if not result.done()]
    if not left:
        return
    if client.on_interrupt == DETACH:
        tell_who_goes_on(client, left, error)
        return
    try:
        with InterruptFlag() as flag:
            interrupt_together(left)
            _wait_a_moment(left, flag)
    except KeyboardInterrupt:  # in the moment before the flag was there
        interrupt_together(left)
        raise
    finally:
        _tell(error, _what_became_of(left), left)
        for result in left:
            result.add_done_callback(_forget)


@brief
def own_items(
    result: AsyncMapResult[T], deadline: float | None = None, keeps: bool = False
) -> Iterator[T]:
    """Yield the items of a map to who has nothing else of it; see `AsyncMapResult`.

    Ctrl-C does what it does to the calls of a statement, as nobody could get them any more.
    """
    try:
        yield from result._until(deadline, keeps)
    except KeyboardInterrupt as error:
        if is_ctrl_c(error):
            give_up(result._client, [result], error)
        raise


def tell_who_goes_on(
    client: Owner, results: Iterable[AsyncResult], error: BaseException | None
) -> None:
    """Say in a note on *error* how many tasks nobody waits for now, and how to get at them."""
    left = [result for result in results if not result.done()]
    if not left:
        return
    n_left = sum(result._tasks.left for result in left)
    verb = "goes on" if n_left == 1 else "go on"
    _tell(
        error,
        f"{_named(n_left, left)} {verb}: {_getting(client, left)} gets the results, now or later; "
        "its interrupt() ends the tasks, and rc.abort() those that have not begun",
        left,
    )


# ---- ending


def interrupt_together(results: Sequence[AsyncResult]) -> None:
    """Do for all *results*, of one client, what `AsyncResult.interrupt` does for one.

    One by one, an engine whose task has been interrupted would begin the next that it has.
    """
    if not results:
        return
    msg_ids = dict.fromkeys(msg_id for result in results for msg_id in result.msg_ids)
    with suppress(ClusterError):  # without a controller there is nothing to abort
        results[0]._client._io.post(AbortRequested(tuple(msg_ids), interrupt=True))


def _wait_a_moment(results: Iterable[AsyncResult], flag: InterruptFlag) -> None:
    """Wait until all have ended, but not for long, and not if the user wants the prompt now."""
    deadline = time.monotonic() + PROMPT_S
    for result in results:
        while not result.done():
            left_s = deadline - time.monotonic()
            if flag.take() or left_s <= 0:
                return
            result.wait(min(STEP_S, left_s))


def _forget(result: Any) -> None:  # Any: an AsyncResult, as a callback gets it
    """Keep nothing for a statement that is over; the hub has what ended before."""
    result._client._forget(result.msg_ids)


# ---- telling


class _Note(str):
    """A note of ours.

    Attributes:
        about: the results that it tells of, by identity.
    """

    __slots__ = ("about",)
    about: frozenset[int]


def _tell(error: BaseException | None, text: str, results: Iterable[AsyncResult]) -> None:
    """Note *text*, in the place of what was said of the same *results* further inside."""
    if error is None:
        return
    note = _Note(text)
    note.about = frozenset(map(id, results))
    others = getattr(error, "__notes__", [])
    error.__notes__ = [
        one for one in others if not (isinstance(one, _Note) and one.about <= note.about)
    ]
    error.add_note(note)


def _what_became_of(results: Sequence[AsyncResult]) -> str:
    """Say how the tasks ended, or that some have not."""
    n_all = sum(len(result.msg_ids) for result in results)
    ends = Counter(_end_of(result, i) for result in results for i in range(len(result.msg_ids)))
    if n_all == 1:
        return f"{_named(1, results)} was {next(iter(ends))}"
    said = [f"{ends[end]:,} {end}" for end in _ENDS if ends[end]]
    return f"{_named(n_all, results)}: {', '.join(said)}"


_STOPPING: Final = "told to stop, but has not done so yet"
_ENDS: Final = ("done before", "aborted", "interrupted", _STOPPING)


def _end_of(result: AsyncResult, index: int) -> str:
    ended = result._tasks.result_of(index)
    if ended is None:
        return _STOPPING
    if ended.failure is not None and ended.failure.ename == "KeyboardInterrupt":
        return "interrupted"
    return "aborted" if ended.status == "aborted" else "done before"


def _named(n: int, results: Sequence[AsyncResult]) -> str:
    names = {result._about.fname.rpartition(".<locals>.")[2] for result in results}
    return count(n, "task") + (f" of {names.pop()}" if len(names) == 1 else "")


def _getting(client: Owner, results: Sequence[AsyncResult]) -> str:
    """Return the call that gets the results again."""
    msg_ids: list[MsgId] = [msg_id for result in results for msg_id in result.msg_ids]
    if len(msg_ids) == 1:
        return f"rc.get_result({msg_ids[0]!r})"
    place = client.history._place_of(msg_ids)
    if place is None:
        return "rc.get_result(rc.outstanding)"
    return f"rc.get_result(rc.history[{place}:{place + len(msg_ids)}])"
