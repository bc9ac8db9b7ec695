"""What widgets of engines say reaches a kernel once, whatever of it is lost on the way."""

from __future__ import annotations

import json
import sys
import types
from typing import Any

import pytest

from hippodrome.client.link import widget_comms
from hippodrome.client.link.widget_comms import CommRelay, repeat
from hippodrome.protocol.messages import CommMessage, MsgId, Piece, Result, Shown

TASK = MsgId("c_1")


class FakeComm:
    """A comm of a kernel, which notes what is sent over it."""

    def __init__(self, kernel: FakeKernel, comm_id: str) -> None:
        self._kernel = kernel
        self._comm_id = comm_id

    def open(self, **parts: Any) -> None:
        self._kernel.comms[self._comm_id] = self
        self._note("comm_open", parts)

    def send(self, **parts: Any) -> None:
        self._note("comm_msg", parts)

    def close(self, **parts: Any) -> None:
        del self._kernel.comms[self._comm_id]
        self._note("comm_close", parts)

    def on_msg(self, callback: Any) -> None:
        self.answer = callback

    def on_close(self, callback: Any) -> None:
        pass

    def _note(self, kind: str, parts: dict[str, Any]) -> None:
        self._kernel.sent.append((kind, self._comm_id, parts["data"].get("n")))


class FakeKernel:
    """What the package ``comm`` is in a kernel."""

    def __init__(self) -> None:
        self.comms: dict[str, FakeComm] = {}
        self.sent: list[tuple[str, str, int | None]] = []
        self.is_broken = False

    def get_comm_manager(self) -> FakeKernel:
        return self

    def create_comm(self, primary: bool, comm_id: str, **names: Any) -> FakeComm:
        if self.is_broken:
            raise OSError("the kernel is closing")
        return FakeComm(self, comm_id)


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> FakeKernel:
    kernel = FakeKernel()
    monkeypatch.setitem(sys.modules, "comm", kernel)  # type: ignore[arg-type]
    monkeypatch.setattr(widget_comms, "is_kernel", lambda: True)
    return kernel


class Waiter(types.SimpleNamespace):
    """Stands for an AsyncResult."""

    __hash__ = object.__hash__


@pytest.fixture
def waiter() -> Any:
    return Waiter(_client=Waiter())


def message(kind: str, at: int, comm_id: str = "bar") -> CommMessage:
    content = {"comm_id": comm_id, "data": {"n": at}, "metadata": {}, "engine": 0}
    return CommMessage(kind, json.dumps(content).encode(), [], at)


OPEN, FIRST, LAST, CLOSE = (
    message("comm_open", 0),
    message("comm_msg", 1),
    message("comm_msg", 2),
    message("comm_close", 3),
)


def live(one: CommMessage, attempt: int = 1) -> Piece:
    return Piece(TASK, attempt, "comm", one.at, comm=one)


def ended(*kept: CommMessage, attempt: int = 1) -> Result:
    return Result(TASK, "ok", 0, attempt, shown=Shown(comms=list(kept)))


def kinds(kernel: FakeKernel) -> list[tuple[str, int | None]]:
    return [(kind, n) for kind, _, n in kernel.sent]


def test_each_message_is_passed_on_once(kernel: FakeKernel, waiter: Any) -> None:
    relay = CommRelay()
    relay.show(waiter, live(OPEN))
    relay.show(waiter, live(FIRST))
    relay.end(waiter, ended(OPEN, FIRST, LAST))
    assert kinds(kernel) == [("comm_open", 0), ("comm_msg", 1), ("comm_msg", 2)]


def test_what_was_lost_on_the_way_comes_with_the_result(kernel: FakeKernel, waiter: Any) -> None:
    relay = CommRelay()
    relay.show(waiter, live(LAST))  # of a comm that nobody has opened
    assert kernel.sent == []
    relay.end(waiter, ended(OPEN, LAST, CLOSE))
    assert kinds(kernel) == [("comm_open", 0), ("comm_msg", 2), ("comm_close", 3)]
    assert not kernel.comms


def test_a_retried_task_makes_its_widgets_anew(kernel: FakeKernel, waiter: Any) -> None:
    relay = CommRelay()
    relay.show(waiter, live(OPEN))
    again = message("comm_open", 0, "other")
    relay.end(waiter, ended(again, attempt=2))
    assert [comm_id for _, comm_id, _ in kernel.sent] == ["bar", "other"]


def test_results_of_long_ago_change_no_widget_that_is_there(kernel: FakeKernel) -> None:
    client: Any = Waiter()
    other = message("comm_open", 4, "other")
    repeat(client, ended(OPEN, LAST))
    repeat(client, ended(OPEN, LAST, other))
    assert kinds(kernel) == [("comm_open", 0), ("comm_msg", 2), ("comm_open", 4)]


def test_a_kernel_that_fails_costs_the_message_only(
    kernel: FakeKernel, waiter: Any, caplog: pytest.LogCaptureFixture
) -> None:
    kernel.is_broken = True
    CommRelay().end(waiter, ended(OPEN, LAST))
    assert kernel.sent == []
    assert "a widget's message was dropped" in caplog.text


def test_elsewhere_nothing_happens(waiter: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "comm", FakeKernel())  # type: ignore[arg-type]
    relay = CommRelay()  # imported somehow, but this is no kernel
    relay.show(waiter, live(OPEN))
    relay.end(waiter, ended(OPEN))
    monkeypatch.delitem(sys.modules, "comm")
    relay.end(waiter, ended(OPEN))
    repeat(waiter._client, ended(OPEN))


def test_a_client_that_is_gone_hears_no_frontend(kernel: FakeKernel) -> None:
    client: Any = Waiter()
    repeat(client, ended(OPEN))
    del client
    kernel.comms["bar"].answer({"content": {"comm_id": "bar", "data": {}}})
