"""Whatever a task does, it has an outcome."""

from __future__ import annotations

import math
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hippodrome.engine import executor as executor_module
from hippodrome.engine import namespace
from hippodrome.engine.attempts import StartAttempt
from hippodrome.engine.executor import AttemptEnded, Executor
from hippodrome.engine.output import OutputCapture
from hippodrome.errors import UnmetDependency
from hippodrome.protocol.frames import decode, encode
from hippodrome.protocol.messages import Digest, MsgId, Outcome, Outcomes
from hippodrome.serialize import FunctionPickler, dumps_call, loads, set_namespace


@pytest.fixture
def executor() -> Iterator[Executor]:
    before = namespace.install()
    yield Executor(OutputCapture())
    set_namespace(None)
    sys.modules["__main__"] = before


def run(executor: Executor, f: Callable[..., Any], *args: Any) -> AttemptEnded:
    function = FunctionPickler().pickle(f)
    call = dumps_call(args, {})
    digest = Digest(function.digest)
    start = StartAttempt(1, MsgId("t"), 1, digest, call.payload, call.buffers, function.data)
    return executor.run(start)


def test_a_result_comes_back(executor: Executor) -> None:
    ended = run(executor, lambda x: x + 1, 41)
    assert ended.status == "ok"
    assert loads(ended.payload, ended.buffers) == 42
    assert ended.run_s >= 0.0


def test_a_task_that_replaces_the_clock_does_not_change_those_behind_it(
    executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = time.time()
    monkeypatch.setattr(time, "time", lambda: 1e20)
    monkeypatch.setattr(time, "monotonic", lambda: -1e20)
    ended = run(executor, lambda: None)
    monkeypatch.undo()
    assert before <= ended.started <= time.time()
    assert 0.0 <= ended.run_s < 60.0


@pytest.mark.parametrize("odd", [math.inf, -math.inf, math.nan, 1e20, -1.0])
def test_a_clock_that_makes_no_sense_makes_no_message_that_the_controller_refuses(
    executor: Executor, monkeypatch: pytest.MonkeyPatch, odd: float
) -> None:
    """Some programs find whoever has a clock by its old name, and give him another."""
    monkeypatch.setattr(executor_module, "_wall_s", lambda: odd)
    monkeypatch.setattr(executor_module, "_clock_s", iter([0.0, odd, 0.0]).__next__)
    ended = run(executor, lambda: None)
    outcome = Outcome(MsgId("t"), 1, ended.status, ended.started, ended.started, ended.run_s)
    assert decode(encode(Outcomes([outcome])))


def test_large_buffers_are_frames_and_belong_to_the_outcome_alone(executor: Executor) -> None:
    namespace.push({"kept": bytearray(b"x" * 100_000)})

    def read() -> Any:
        import pickle

        return pickle.PickleBuffer(kept)  # type: ignore[name-defined] # noqa: F821

    ended = run(executor, read)
    namespace.user_namespace()["kept"][0] = ord("y")
    assert len(ended.buffers) == 1
    assert bytes(ended.buffers[0])[:1] == b"x", "what a later task does must not reach it"


class BadText(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")


class BadPickle(Exception):
    def __reduce__(self) -> Any:
        raise ValueError("no pickle")


class BadAttributes(Exception):
    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)


def exits() -> None:
    sys.exit(3)


def interrupts() -> None:
    raise KeyboardInterrupt


def recurses() -> None:
    recurses()


def divides() -> None:
    1 / 0


def has_bad_text() -> None:
    raise BadText


def has_bad_pickle() -> None:
    raise BadPickle("text")


def has_bad_attributes() -> None:
    raise BadAttributes


def has_a_surrogate() -> None:
    raise ValueError("\udcff")


def is_huge() -> None:
    raise ValueError("x" * 10_000_000)


def is_a_group() -> None:
    raise ExceptionGroup("several", [ValueError("one"), KeyError("two")])


def runs_out_of_memory() -> None:
    bytearray(1 << 60)


def stops_a_generator() -> None:
    raise StopIteration(1)


def leaves_a_generator() -> None:
    raise GeneratorExit


def returns_a_lock() -> Any:
    return threading.Lock()


async def fails_later() -> None:
    raise LookupError("later")


@pytest.mark.parametrize(
    ("nasty", "ename"),
    [
        (exits, "SystemExit"),
        (interrupts, "KeyboardInterrupt"),
        (recurses, "RecursionError"),
        (divides, "ZeroDivisionError"),
        (has_bad_text, "BadText"),
        (has_bad_pickle, "BadPickle"),
        (has_bad_attributes, "BadAttributes"),
        (has_a_surrogate, "ValueError"),
        (is_huge, "ValueError"),
        (is_a_group, "ExceptionGroup"),
        (runs_out_of_memory, "MemoryError"),
        (stops_a_generator, "StopIteration"),
        (leaves_a_generator, "GeneratorExit"),
        (returns_a_lock, "SerializationError"),
        (fails_later, "LookupError"),
    ],
)
def test_a_nasty_task_is_an_error_and_the_next_one_runs(
    executor: Executor, nasty: Callable[[], Any], ename: str
) -> None:
    ended = run(executor, nasty)
    assert ended.status == "error"
    assert ended.failure is not None
    assert ended.failure.ename == ename
    assert len(ended.failure.evalue) <= 64 * 1024
    assert run(executor, abs, -1).status == "ok"


def test_the_type_of_a_result_that_cannot_be_pickled_is_named(executor: Executor) -> None:
    failure = run(executor, returns_a_lock).failure
    assert failure is not None
    assert "lock" in failure.evalue


def test_an_unmet_dependency_is_no_error(executor: Executor) -> None:
    def refuse() -> None:
        raise UnmetDependency("not here")

    assert run(executor, refuse).status == "unmet"


def test_a_function_that_cannot_be_loaded_is_an_error(executor: Executor) -> None:
    ended = executor.run(StartAttempt(1, MsgId("t"), 1, Digest(b"d"), b"", (), b"no pickle"))
    assert ended.status == "error"


def test_coroutines_are_awaited_on_one_loop(executor: Executor) -> None:
    async def loop_id() -> int:
        import asyncio

        await asyncio.sleep(0)
        return id(asyncio.get_running_loop())

    first, second = (run(executor, loop_id) for _ in range(2))
    assert loads(first.payload) == loads(second.payload)
    executor.close()


def test_output_belongs_to_the_task(executor: Executor, monkeypatch: pytest.MonkeyPatch) -> None:
    from hippodrome.engine.output import TaskStream

    monkeypatch.setattr(sys, "stdout", TaskStream(executor._output, 1, "<stdout>"))

    def greet(name: str) -> None:
        print("hello", name)

    assert run(executor, greet, "you").stdout == "hello you\n"
    assert run(executor, greet, "you two").stdout == "hello you two\n"
    assert run(executor, abs, 1).stdout == ""


def test_a_task_that_forks_and_returns_twice_has_one_outcome(executor: Executor) -> None:
    def fork() -> int:
        return os.fork()

    ended = run(executor, fork)
    child = loads(ended.payload)
    assert child > 0, "the child must not come this far"
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
