"""All calls of a client take the same steps in the same order."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, Final

import pytest

from hippodrome.client.history import History
from hippodrome.client.link.events import SubmittedBundle, SubmittedDirect, TaskSubmitted
from hippodrome.client.link.outstanding import TASKS_PER_MESSAGE
from hippodrome.client.results.result import AsyncResult
from hippodrome.client.submitting import Dispatch, Submissions
from hippodrome.client.views.balanced import LoadBalancedView
from hippodrome.protocol.messages import EngineId, MsgId, Options
from hippodrome.serialize import Function, Pickled
from support.results import QuietClient

PREFIX: Final = "c0ffee_"
F: Final = Function(b"d" * 16, b"code", "f")
SMALL: Final = Pickled(b"small")
LARGE: Final = Pickled(b"large", (b"buffer",))
ENGINES: Final = [EngineId(3), EngineId(5)]


class Door:
    """A door behind which nothing is, and who stands around it.

    Args:
        breaks_at: the number of the post at which Ctrl-C comes.
    """

    def __init__(self, breaks_at: int = 0) -> None:
        self.steps: list[str] = []
        self.events: list[Any] = []
        self.book = History(PREFIX)
        io: Any = SimpleNamespace(post=self.post, lend=self.lend, lends_in_place=False)
        self.out = Submissions(io, PREFIX)
        self.own: Any = SimpleNamespace(add=lambda result: self.steps.append("told"))
        self._breaks_at = breaks_at

    def post(self, event: Any) -> None:
        if len(self.events) + 1 == self._breaks_at:
            raise KeyboardInterrupt
        self.events.append(event)
        self.steps.append("posted" if not self.book else "posted late")

    def lend(self, msg_id: str, buffers: Sequence[Any]) -> Sequence[Any]:
        self.steps.append("lent")
        return buffers

    def result(self, n: int) -> AsyncResult:
        return AsyncResult(QuietClient(), self.out.new_ids(n), "f", single=n == 1)  # type: ignore[arg-type]

    def to_any(self, *calls: Pickled, options: Options | None = None) -> AsyncResult:
        result = self.result(len(calls))
        self.out.to_any(result, F, calls, options, (self.book,), self.own)
        return result

    def to_named(self, *calls: Pickled) -> AsyncResult:
        result = self.result(len(calls) * len(ENGINES))
        self.out.to_named(result, F, [(one, ENGINES) for one in calls], "a", (self.book,), self.own)
        return result

    def again(self, *calls: Pickled, engines: Sequence[EngineId] | None = None) -> AsyncResult:
        result = self.result(len(calls))
        dispatches = [Dispatch(F, one, Options(label="a"), engines) for one in calls]
        self.out.again(result, dispatches, (self.book,), self.own)
        return result


WAYS: Final[dict[str, Callable[..., AsyncResult]]] = {
    "to any": Door.to_any,
    "to named": Door.to_named,
    "again": Door.again,
    "again by name": lambda door, *calls: door.again(*calls, engines=ENGINES[:1]),
}


class Uncounted(History):
    """A history that must not be searched."""

    def __contains__(self, msg_id: object) -> bool:
        raise AssertionError("all of it would be looked at")


def outstanding_in(book: History, *results: AsyncResult) -> set[str]:
    """Return what a view with that history has outstanding, of a client that has *results*."""
    tasks = {msg_id: result for result in results for msg_id in result.msg_ids}
    io = SimpleNamespace(outstanding_results=lambda: tasks)
    client: Any = SimpleNamespace(session="c0ffee", block=False, _io=io)
    view = LoadBalancedView(client)
    view._history = book
    return view.outstanding


def test_what_is_outstanding_costs_nothing_for_what_has_ended() -> None:
    door, other = Door(), Door()
    other.out.new_ids(100)
    door.book = Uncounted(PREFIX)
    door.book._append_numbers(1_000, 1_000_000)
    mine, more, of_others = door.to_any(SMALL, SMALL), door.to_named(SMALL), other.to_any(SMALL)
    assert outstanding_in(door.book, mine, more, of_others) == {*mine.msg_ids, *more.msg_ids}
    door.book.clear()
    assert outstanding_in(door.book, mine, more, of_others) == set()
    last = door.to_any(SMALL)
    assert outstanding_in(door.book, mine, more, last) == {*last.msg_ids}


@pytest.mark.parametrize(
    ("change", "left"),
    [
        (lambda book: book.append("c0ffee_9"), {1, 2, 9}),
        (lambda book: book.remove("c0ffee_1"), {2}),
        (lambda book: book.insert(0, "c0ffee_9"), {1, 2, 9}),
        (lambda book: book.__setitem__(slice(None), ["c0ffee_2", "c0ffee_9"]), {2, 9}),
    ],
)
def test_what_somebody_puts_into_a_history_or_takes_out_counts(change: Any, left: set[int]) -> None:
    door = Door()
    mine = door.to_any(SMALL, SMALL)
    others = AsyncResult(mine._client, [MsgId("c0ffee_9")], "f", single=True)
    change(door.book)
    assert outstanding_in(door.book, mine, others) == {f"{PREFIX}{n}" for n in left}
    last = door.to_any(SMALL)
    assert outstanding_in(door.book, last) == {*last.msg_ids}


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("way", WAYS)
def test_who_waits_is_told_before_and_histories_after(way: str, n: int) -> None:
    door = Door()
    result = WAYS[way](door, *[LARGE] * n)
    assert door.steps == ["told", *["lent", "posted"] * n]
    assert door.book == result.msg_ids
    assert {event.waiter for event in door.events} == {result}


@pytest.mark.parametrize("way", WAYS)
def test_what_was_posted_when_ctrl_c_came_is_in_the_history_and_nothing_else(way: str) -> None:
    door = Door(breaks_at=3)
    with pytest.raises(KeyboardInterrupt):
        WAYS[way](door, *[LARGE] * 4)
    assert len(door.events) == 2
    assert list(door.book) == [f"{PREFIX}{n + 1}" for n in range(4 if way == "to named" else 2)]


def test_tasks_without_buffers_go_together_and_each_knows_its_place() -> None:
    door = Door()
    result = door.to_any(*[SMALL] * (TASKS_PER_MESSAGE + 2), LARGE, SMALL)
    bundle, rest, large, last = door.events
    assert len(bundle.bundle.msg_ids) == TASKS_PER_MESSAGE
    assert (bundle.first, rest.first) == (0, TASKS_PER_MESSAGE)
    assert (large.index, last.index) == (TASKS_PER_MESSAGE + 2, TASKS_PER_MESSAGE + 3)
    assert [type(event) for event in (bundle, rest)] == [SubmittedBundle] * 2
    assert [type(event) for event in (large, last)] == [TaskSubmitted] * 2
    assert [*bundle.bundle.msg_ids, *rest.bundle.msg_ids] == result.msg_ids[:-2]


def test_named_engines_have_a_task_each() -> None:
    door = Door()
    result = door.to_named(SMALL, SMALL)
    assert all(type(event) is SubmittedDirect for event in door.events)
    assert [event.first for event in door.events] == [0, 2]
    assert [event.message.targets for event in door.events] == [ENGINES, ENGINES]
    posted = itertools.chain.from_iterable(event.message.msg_ids for event in door.events)
    assert list(posted) == result.msg_ids
    assert [result._tasks.engine_of(i) for i in range(4)] == [*ENGINES, *ENGINES]


def test_a_result_says_of_its_call_what_was_asked_for() -> None:
    options = Options(label="a", retries=2)
    assert Door().to_any(SMALL, options=options).metadata["label"] == "a"
    assert Door().again(SMALL).metadata["label"] == "a"
    assert Door().again(SMALL, engines=ENGINES[:1])._tasks.engine_of(0) == ENGINES[0]


def test_only_the_memory_of_the_caller_is_waited_for() -> None:
    assert not Door().to_any(LARGE).sent
    assert not Door().to_named(LARGE).sent
    assert Door().to_any(SMALL).sent
    assert Door().again(LARGE).sent, "it came from the hub"
