"""The hub's shell when the scheduler is gone: nothing that it says may wait for a listener."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import zmq

from hippodrome.hub.config import ControllerConfig
from hippodrome.hub.core import HubCore
from hippodrome.hub.server import Controller, tell
from hippodrome.process.signals import stop_pipe
from hippodrome.protocol import messages as m
from hippodrome.protocol.frames import encode

BLOCKS_MS = 5_000  # what waits, waits for so long and no longer
AT_ONCE_S = 3.0
JOINED = m.Joined(m.EngineInfo(m.EngineId(0), m.PeerId("e"), m.PeerId("n"), "host", 1, "alive"))


class Scheduler:
    """One of which nobody knows yet that it has ended."""

    def __init__(self) -> None:
        self.ended_fd, self._write_fd = os.pipe()

    def wait(self, timeout_s: float) -> int | None:
        return None

    def close(self) -> None:
        os.close(self.ended_fd)
        os.close(self._write_fd)


class Core(HubCore):
    """One that has something to say at each tick."""

    says: m.Message = JOINED

    def tick(self, now: float, wall: float) -> list[m.Message]:
        return [self.says]


@contextmanager
def link_to_nobody() -> Iterator[zmq.Socket[bytes]]:
    """Yield the hub's end of a pair whose other end was there, and has gone."""
    with zmq.Context() as context, context.socket(zmq.PAIR) as link:
        link.linger, link.sndhwm, link.sndtimeo = 0, 0, BLOCKS_MS
        link.bind("inproc://hub")
        with context.socket(zmq.PAIR) as other:
            other.connect("inproc://hub")
            other.send(b"here")
            assert link.recv() == b"here"
        assert not link.poll(100)  # a turn of the loop, in which the end is noticed
        yield link


def test_nothing_is_said_to_a_scheduler_that_is_gone_and_nobody_waits() -> None:
    started = time.monotonic()
    with link_to_nobody() as link:
        assert not tell(link, JOINED)
    assert time.monotonic() - started < AT_ONCE_S


@pytest.mark.parametrize(("says", "code"), [(JOINED, 1), (m.ShutDown("enough"), 0)])
def test_a_hub_whose_scheduler_dies_while_it_speaks_ends(
    says: m.Message, code: int, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(Core, "says", says)
    scheduler: Any = Scheduler()
    started = time.monotonic()
    with stop_pipe() as stop_fd, link_to_nobody() as link:
        controller = Controller(ControllerConfig(tmp_path), stop_fd, None, lambda: None)
        assert controller._serve_with(Core(), link, scheduler) == code
    scheduler.close()
    assert time.monotonic() - started < AT_ONCE_S


def test_an_answer_leaves_before_the_next_question_is_looked_at(
    tmp_path: Path, monkeypatch: Any
) -> None:
    handled: list[m.Message] = []

    def handle(core: HubCore, message: m.Message, buffers: object) -> list[m.Message]:
        handled.append(message)
        return [JOINED]

    monkeypatch.setattr(Core, "handle", handle)
    with stop_pipe() as stop_fd, zmq.Context() as context, context.socket(zmq.PAIR) as link:
        link.bind("inproc://hub")
        with context.socket(zmq.PAIR) as scheduler:
            scheduler.connect("inproc://hub")
            for _ in range(3):
                scheduler.send(encode(m.Awake()))
            assert link.poll(5_000)
            controller = Controller(ControllerConfig(tmp_path), stop_fd, None, lambda: None)
            said = controller._turn(Core(), link, {link}, [])
            assert [(next(said), len(handled)) for _ in range(4)] == [
                (JOINED, 0), (JOINED, 1), (JOINED, 2), (JOINED, 3)
            ]  # fmt: skip
            assert list(said) == []
