"""Two threads in the client's own parts: its I/O thread, views, executors, viewers.

See test_client_races for results and futures.
"""

from __future__ import annotations

from concurrent.futures import Future
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest

from hippodrome.client.history import History
from hippodrome.client.link.core import ClientCore
from hippodrome.client.link.delivery import Reply
from hippodrome.client.link.events import Closing, Question, TaskSubmitted
from hippodrome.client.link.io_thread import IOThread
from hippodrome.client.looks.viewer import OutputStream
from hippodrome.client.results.result import AsyncResult
from hippodrome.client.views.balanced import LoadBalancedView
from hippodrome.client.views.executor import ViewExecutor
from hippodrome.errors import ControllerLost
from hippodrome.protocol.messages import (
    Digest,
    EngineId,
    MsgId,
    PeerId,
    Piece,
    Result,
    ResultBundle,
    Task,
)
from support.interleaving import interleavings
from support.results import QuietClient, single


def task(msg_id: str, waiter: AsyncResult) -> TaskSubmitted:
    return TaskSubmitted(Task(MsgId(msg_id), Digest(b"d" * 16), b"", 0, None), b"f", (), waiter)


class Talk:
    """An I/O thread that does not run: the test does what it would do."""

    def __init__(self) -> None:
        self.client: Any = QuietClient()
        self.core = ClientCore(PeerId("c"), {})
        self.io = IOThread(self.core, {})
        self.waiter = single(self.client)
        self.found: list[Any] = []

    def find(self) -> None:
        """As `Client._find`, and what is outstanding."""
        has_result = MsgId("m_0") not in self.io.outstanding
        assert self.waiter.done() or not has_result, "whoever waits would not wait for it"
        self.found.append(self.io.find(MsgId("m_0")) or self.client._kept.get(MsgId("m_0")))

    def submit(self) -> None:
        self.io._empty_outbox()

    def resolve(self) -> None:
        self.io._perform(self.core.tasks._resolve(Result(MsgId("m_0"), "ok", EngineId(0), 1)))

    def resolve_bundle(self) -> None:
        bundle = ResultBundle([MsgId("m_0")], EngineId(0), 1, [1.0], [1.0], [b""])
        self.io._perform([self.core.tasks._resolve_all(bundle)])

    def fail(self) -> None:
        """The thread has come upon an error between the end of a task and telling of it."""
        self.core.tasks._resolve(Result(MsgId("m_0"), "ok", EngineId(0), 1))
        self.io._fail("a bug")

    def close(self) -> None:
        self.io._outbox.wakes.close()


def test_a_task_is_found_wherever_it_is_just_then() -> None:
    def make() -> Talk:
        talk = Talk()
        talk.io._outbox.append(task("m_0", talk.waiter))
        return talk

    def make_submitted() -> Talk:
        talk = make()
        talk.submit()
        return talk

    steps = (
        (make, Talk.submit),
        (make_submitted, Talk.resolve),
        (make_submitted, Talk.resolve_bundle),
    )
    for prepare, step in steps:
        for calls in ((step, Talk.find), (Talk.find, step)):
            for talk in interleavings(prepare, *calls):
                talk.close()
                assert talk.found == [(talk.waiter, 0)]
                assert not talk.core.tasks.resolving


def test_no_task_is_forgotten_when_the_thread_fails_while_it_tells_of_it() -> None:
    talk = Talk()
    talk.io._outbox.append(task("m_0", talk.waiter))
    talk.submit()
    talk.fail()
    talk.close()
    with pytest.raises(ControllerLost, match="a bug"):
        talk.waiter.get(1)


def test_what_is_asked_while_the_thread_ends_is_answered() -> None:
    def make() -> Any:
        talk = Talk()
        talk.core.handle(Closing("over"))
        return SimpleNamespace(talk=talk, reply=Reply(talk.io.check_may_wait))

    def ask(shared: Any) -> None:
        shared.talk.io.post(Question("history", b"\x80", shared.reply))

    def end(shared: Any) -> None:
        shared.talk.io._has_ended = True
        shared.talk.io._settle()

    for calls in ((ask, end), (end, ask)):
        for shared in interleavings(make, *calls):
            shared.talk.close()
            assert shared.reply.done()


def test_who_sees_that_a_client_closes_sees_that_it_wants_to() -> None:
    def make() -> Talk:
        talk = Talk()
        talk.io._thread = SimpleNamespace(ident=1)  # type: ignore[assignment]  # as if it ran
        return talk

    def look(talk: Talk) -> None:
        talk.found.append((bool(talk.io._outbox), talk.io._is_leaving))

    for talk in interleavings(make, lambda talk: talk.io.leave("enough"), look):
        talk.close()
        assert talk.found != [(True, False)], "its good-bye would be thrown away"


def test_a_controller_that_comes_back_while_it_is_missed_leaves_a_reason() -> None:
    def make() -> Any:
        talk = Talk()
        talk.io._lost = ControllerLost("silence")
        return SimpleNamespace(talk=talk, errors=[])

    def ask(shared: Any) -> None:
        try:
            shared.talk.io.post(Question("history", b"\x80", Reply(shared.talk.io.check_may_wait)))
        except ControllerLost as error:
            shared.errors.append(str(error))

    def regain(shared: Any) -> None:
        shared.talk.io._lost = None

    for shared in interleavings(make, ask, regain):
        shared.talk.close()
        assert shared.errors in ([], ["silence"])


# ---- views


def make_view() -> Any:
    client = SimpleNamespace(session="fake", block=False, _io=None)
    return SimpleNamespace(view=LoadBalancedView(client), found=[])  # type: ignore[arg-type]


def test_flags_that_two_threads_set_are_both_set() -> None:
    for shared in interleavings(
        make_view,
        lambda shared: shared.view.set_flags(label="a label"),
        lambda shared: shared.view.set_flags(retries=3),
    ):
        assert (shared.view.label, shared.view.retries) == ("a label", 3)


def test_threads_that_ask_a_view_for_its_executor_get_the_same_one() -> None:
    def ask(shared: Any) -> None:
        shared.found.append(shared.view.executor)

    for shared in interleavings(make_view, ask, ask):
        assert shared.found[0] is shared.found[1]


def test_an_executor_that_is_shut_down_waits_for_what_is_just_submitted() -> None:
    class Submitting:
        """A view whose calls end when the client is waited for."""

        def __init__(self) -> None:
            self.client: Any = self
            self.made: list[Future[int]] = []

        def apply_async(self, f: Any) -> Future[int]:
            self.made.append(Future())
            return self.made[-1]

        def wait(self, jobs: list[Future[int]]) -> None:
            for job in jobs:
                job.set_result(1)

    def make() -> Any:
        view: Any = Submitting()
        return SimpleNamespace(view=view, executor=ViewExecutor(view))

    def submit(shared: Any) -> None:
        with suppress(RuntimeError):  # it has been shut down
            shared.executor.submit(abs)

    def shut_down(shared: Any) -> None:
        shared.executor.shutdown()

    for calls in ((submit, shut_down), (shut_down, submit)):
        for shared in interleavings(make, *calls):
            assert all(made.done() for made in shared.view.made)


def test_ids_of_others_keep_their_places_in_a_history() -> None:
    def make() -> History:
        return History("ours_")

    for history in interleavings(
        make,
        lambda history: history.append(MsgId("theirs")),
        lambda history: history.append(MsgId("others'")),
    ):
        assert sorted(history) == ["others'", "theirs"]


def test_what_waits_to_be_shown_is_counted_by_two_threads() -> None:
    text = Piece(MsgId("t"), 1, "stdout", 0, "x" * 100)

    def make() -> Any:
        stream = OutputStream(single(QuietClient())._tasks)
        stream.put(0, text)
        return stream

    def take(stream: Any) -> None:
        stream._show = lambda index, piece: None
        stream._queue.put((-1, None))
        stream._run()

    for stream in interleavings(make, lambda stream: stream.put(0, text), take):
        n_left = sum(100 for _ in range(stream._queue.qsize()) if stream._queue.get()[1])
        assert stream._n_put - stream._n_taken == n_left
    for stream in interleavings(make, take, lambda stream: stream.put(0, text)):
        n_left = sum(100 for _ in range(stream._queue.qsize()) if stream._queue.get()[1])
        assert stream._n_put - stream._n_taken == n_left
