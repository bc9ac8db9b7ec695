"""Results without a cluster: what they need of a client, and tasks that end by hand."""

from __future__ import annotations

import pickle
import threading
from typing import Any

from hippodrome.client.results import slots
from hippodrome.client.results.result import AsyncResult
from hippodrome.protocol.messages import EngineId, Failure, MsgId, Result


class QuietIO:
    """What results need of the I/O thread."""

    def check_may_wait(self) -> None:
        """Any thread may."""

    def wait_on(self, condition: threading.Condition, timeout: float | None) -> None:
        condition.wait(timeout)

    def describe(self, engine: int) -> dict[str, Any]:
        return {"engine_id": engine}


class QuietClient:
    """What results need of a client."""

    def __init__(self) -> None:
        self._io = QuietIO()
        self._kept: dict[MsgId, tuple[AsyncResult, int]] = {}

    def _forget(self, msg_ids: list[str]) -> None:
        """Nothing is kept."""

    def abort(self, jobs: Any, block: bool) -> None:
        """Nothing runs."""


def single(client: Any) -> AsyncResult:
    return AsyncResult(client, [MsgId("m_0")], "f", single=True)


def several(client: Any, n: int) -> AsyncResult:
    return AsyncResult(client, [MsgId(f"m_{i}") for i in range(n)], "f", single=False)


def ok(value: Any) -> Result:
    return Result(MsgId("m"), "ok", EngineId(0), 1, 10.0, 12.0, pickle.dumps(value))


def failed() -> Result:
    return Result(MsgId("m"), "error", EngineId(1), failure=Failure("ValueError", "no", "trace"))


def deliver(result: AsyncResult, index: int, what: Result) -> None:
    slots.deliver(result, index, what, (), 100.0)
