"""An engine that leaves says so once, whatever else would make it leave before it is gone."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest

from hippodrome.engine.listener import Listener
from hippodrome.engine.server import RunningEngine
from hippodrome.process.wakepipe import WakePipe


class Leaving:
    """As much of an engine as it takes to leave, and what its supervisor hears of it."""

    def __init__(self) -> None:
        self.status_fd, write_fd = os.pipe()
        self.engine = RunningEngine.__new__(RunningEngine)
        self.engine.exit_code, self.engine.is_leaving = 0, False
        self.engine._config = SimpleNamespace(status_fd=write_fd)  # type: ignore[assignment]
        self.engine._wakes = WakePipe()

    def said(self) -> list[str]:
        os.close(self.engine._config.status_fd)
        with open(self.status_fd, encoding="utf-8") as status:
            return status.read().splitlines()


def test_the_first_reason_and_code_count() -> None:
    leaving = Leaving()
    leaving.engine.leave("the controller said good-bye", 0)
    leaving.engine.leave("the controller refused", 255)
    assert leaving.said() == ["left 0 the controller said good-bye"]
    assert leaving.engine.exit_code == 0


def test_an_engine_whose_listener_fails_says_why_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would hear nothing any more, and nobody would know; so, its supervisor knows at once."""
    ends: list[int] = []
    monkeypatch.setattr(os, "_exit", ends.append)
    leaving = Leaving()
    reports: list[str] = []
    leaving.engine.report = reports.append  # type: ignore[method-assign]
    listener = Listener.__new__(Listener)  # without a socket to listen to
    listener._engine = leaving.engine
    listener._run()
    assert "the I/O thread failed: AttributeError" in reports[0]
    assert leaving.said() == []
    assert ends == [1]
