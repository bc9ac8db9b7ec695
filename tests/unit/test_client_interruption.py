"""What Ctrl-C says and does, without a cluster: results are delivered by hand."""

from __future__ import annotations

from typing import Any

import pytest

from hippodrome.client import interruption
from hippodrome.client.history import History
from hippodrome.client.interruption import OwnCalls, check_on_interrupt, give_up, tell_who_goes_on
from hippodrome.client.link.events import AbortRequested
from hippodrome.client.results import slots
from hippodrome.client.results.result import AsyncResult
from hippodrome.protocol.messages import Failure, MsgId, Result


class FakeIO:
    def __init__(self) -> None:
        self.posted: list[Any] = []

    def post(self, event: Any) -> None:
        self.posted.append(event)

    def check_may_wait(self) -> None:
        pass

    def wait_on(self, condition: Any, timeout: float | None) -> None:
        raise KeyboardInterrupt


class FakeClient:
    def __init__(self) -> None:
        self._io = FakeIO()
        self.on_interrupt = "abort"
        self.history = History("a_")
        self.forgotten: list[str] = []

    def _forget(self, msg_ids: list[str]) -> None:
        self.forgotten += msg_ids

    def _tell_who_goes_on(self, results: Any, error: BaseException) -> None:
        tell_who_goes_on(self, results, error)  # type: ignore[arg-type]


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(interruption, "PROMPT_S", 0.0)
    return FakeClient()


def result_of(client: Any, n: int, fname: str = "work") -> AsyncResult:
    first = len(client.history)
    msg_ids = [MsgId(f"a_{first + i}") for i in range(n)]
    client.history._append_numbers(first, n)
    return AsyncResult(client, msg_ids, fname, single=n == 1)


def end(result: AsyncResult, index: int, status: str, ename: str = "") -> None:
    failure = Failure(ename, "") if ename else None
    msg_id = result.msg_ids[index]
    slots.deliver(result, index, Result(msg_id, status, None, failure=failure), (), 0.0)


def notes_of(error: BaseException) -> list[str]:
    return getattr(error, "__notes__", [])


def test_only_tasks_that_have_not_ended_are_interrupted_and_all_are_told_of(client: Any) -> None:
    done, result, error = result_of(client, 1), result_of(client, 4), KeyboardInterrupt()
    end(done, 0, "ok")
    end(result, 0, "ok")
    end(result, 1, "aborted", "TaskAborted")
    end(result, 2, "error", "KeyboardInterrupt")
    give_up(client, [done, result], error)
    (event,) = client._io.posted
    assert event.interrupt
    assert "a_4" in event.msg_ids
    assert "a_0" not in event.msg_ids
    (note,) = notes_of(error)
    assert note == (
        "4 tasks of work: 1 done before, 1 aborted, 1 interrupted, "
        "1 told to stop, but has not done so yet"
    )
    assert not client.forgotten
    end(result, 3, "error", "KeyboardInterrupt")
    assert client.forgotten == result.msg_ids


def test_what_is_said_inside_is_replaced_by_what_is_true_outside(client: Any) -> None:
    result, other, error = result_of(client, 2), result_of(client, 3), KeyboardInterrupt()
    error.add_note("somebody's")
    tell_who_goes_on(client, [other], error)
    tell_who_goes_on(client, [result], error)
    give_up(client, [result], error)
    said = notes_of(error)
    assert said[0] == "somebody's"
    assert said[1].startswith("3 tasks of work go on: rc.get_result(rc.history[2:5]) ")
    assert said[2].startswith("2 tasks of work: ")
    assert len(said) == 3


def test_nothing_is_said_or_done_if_all_ended_in_that_moment(client: Any) -> None:
    result, error = result_of(client, 1), KeyboardInterrupt()
    end(result, 0, "ok")
    give_up(client, [result], error)
    tell_who_goes_on(client, [result], error)
    assert not notes_of(error)
    assert not client._io.posted


def test_who_does_not_wait_is_no_statement_to_end(client: Any) -> None:
    for calls, error in (
        (OwnCalls(client, is_waiting=False), KeyboardInterrupt()),
        (OwnCalls(client), ValueError("of the user")),
    ):
        calls.add(result_of(client, 1))
        calls.__exit__(type(error), error, None)
        assert not notes_of(error)
    assert not client._io.posted


def test_tasks_whose_place_in_the_history_is_not_known_are_found_among_those_under_way(
    client: Any,
) -> None:
    result, error = (
        AsyncResult(client, [MsgId("a_7"), MsgId("a_8")], "f", single=False),
        KeyboardInterrupt(),
    )
    tell_who_goes_on(client, [result], error)
    assert "rc.get_result(rc.outstanding)" in notes_of(error)[0]


def test_a_wait_that_is_interrupted_says_that_the_task_goes_on(client: Any) -> None:
    result = result_of(client, 1)
    with pytest.raises(KeyboardInterrupt) as caught:
        result.get()
    assert notes_of(caught.value)[0].startswith("1 task of work goes on: rc.get_result('a_0') gets")


def test_on_interrupt_is_checked() -> None:
    assert check_on_interrupt("detach") == "detach"
    with pytest.raises(ValueError, match="on_interrupt is 'abort' or 'detach', not 'go'"):
        check_on_interrupt("go")


def test_calls_that_are_given_up_are_interrupted_together(client: Any) -> None:
    """One by one, an engine would begin the second when the first has been interrupted."""
    calls = [result_of(client, 2), result_of(client, 1)]
    give_up(client, calls, KeyboardInterrupt())
    assert client._io.posted == [AbortRequested(("a_0", "a_1", "a_2"), interrupt=True)]
