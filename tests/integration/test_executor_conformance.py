"""CPython's own tests of executors, futures, `wait` and `as_completed`, with ours in their place.

Some installations of Python come without their tests; then those of Debian's are taken, and if
there are none, nothing here can run. A test that does not apply is named below with the reason.
"""

from __future__ import annotations

import logging
import sys
import unittest
from collections.abc import Iterator, Mapping
from concurrent.futures._base import PENDING
from importlib import import_module
from types import ModuleType
from typing import Any, Final

import pytest

from hippodrome.client.results.future import LazyFuture

HOME: Final = "test.test_concurrent_futures"
IS_PACKAGE: Final = sys.version_info >= (3, 12)
DEBIANS: Final = f"/usr/lib/python3.{sys.version_info.minor}/test"


def load(name: str) -> ModuleType:
    """Import a part of CPython's tests: the one file that there was, or a file of the package."""
    return import_module(f"{HOME}.{name}" if IS_PACKAGE else HOME)


def look_at_debians(path: str = DEBIANS) -> None:
    """Let CPython's tests be found where Debian has them; here, and in engines."""
    import test

    if path not in test.__path__:
        test.__path__.append(path)


try:
    look_at_debians()
    executors, waiting, completing, shutdown, future = map(
        load, ("executor", "test_wait", "test_as_completed", "test_shutdown", "test_future")
    )
except ImportError as error:
    pytest.skip(
        f"this Python is installed without its own tests ({error}): executors are not compared",
        allow_module_level=True,
    )

OF_A_PROGRAM: Final = "starts a program that makes an executor without a cluster"
NO_POOL: Final = "the executor of a view starts no workers, so it takes no max_workers"
FIRST_COUNTS: Final = "a reply and the loss of a connection may both end a future: the first counts"
EXECUTOR_EXEMPT: Final = {
    "test_max_workers_negative": NO_POOL,
    "test_map_exception": "an error on an engine is a RemoteError, which has that one as its cause",
}
SHUTDOWN_EXEMPT: Final = {
    "test_cancel_futures": "expects one to start at once; test_client_scripts has our own",
    "test_interpreter_shutdown": OF_A_PROGRAM,
    "test_submit_after_interpreter_shutdown": OF_A_PROGRAM,
    "test_hang_gh83386": OF_A_PROGRAM,
    "test_hang_gh94440": NO_POOL,
}
FUTURE_EXEMPT: Final = {
    "test_multiple_set_result": FIRST_COUNTS,
    "test_multiple_set_exception": FIRST_COUNTS,
    "test_running": "a client is not told that a task runs",
    "test_cancel": "looks for a private state between cancelled and told so, which is not needed",
}


def without(tests: type, exempt: Mapping[str, str]) -> type:
    """Return the class *tests* with those of its methods skipped that are in *exempt*.

    Releases of Python differ in what they test.
    """
    skipped = {
        name: unittest.skip(reason)(getattr(tests, name))
        for name, reason in exempt.items()
        if hasattr(tests, name)
    }
    return type(tests.__name__, (tests,), skipped)


class Future(LazyFuture[Any]):
    """Ours, by the name that is expected where it is shown."""


def create_future(state: str = PENDING, exception: Any = None, result: Any = None) -> Future:
    made = Future()
    made._state, made._exception, made._result = state, exception, result
    return made


class OnACluster(unittest.TestCase):
    """Gives each test an executor of its own."""

    worker_count = 2

    @pytest.fixture(autouse=True)
    def executor_of_the_cluster(self, client: Any) -> Iterator[None]:
        client[:].apply_sync(look_at_debians)
        self.executor = client.executor()
        self.executor_type = type(self.executor)
        yield
        self.executor.shutdown()


class TestExecutor(without(executors.ExecutorTest, EXECUTOR_EXEMPT), OnACluster):  # type: ignore[misc]
    pass


class TestShutdown(without(shutdown.ExecutorShutdownTest, SHUTDOWN_EXEMPT), OnACluster):  # type: ignore[misc]
    pass


class TestWait(waiting.WaitTests, OnACluster):  # type: ignore[misc]
    pass


class TestAsCompleted(completing.AsCompletedTests, OnACluster):  # type: ignore[misc]
    pass


class TestFuture(without(future.FutureTests, FUTURE_EXEMPT)):  # type: ignore[misc]
    @pytest.fixture(autouse=True)
    def futures_of_ours(self, monkeypatch: pytest.MonkeyPatch) -> None:
        ours = {"Future": Future, "create_future": create_future}
        states = {name: vars(value) for name, value in vars(future).items() if "_FUTURE" in name}
        made = {
            name: create_future(state["_state"], state["_exception"], state["_result"])
            for name, state in states.items()
        }
        for name, value in (ours | made).items():
            monkeypatch.setattr(future, name, value)
        # where pytest listens, the logging module says nothing itself
        monkeypatch.setattr(
            logging.getLogger("concurrent.futures"), "handlers", [logging.lastResort]
        )
