"""What is shown of what comes, and what is said of the rest."""

from __future__ import annotations

import io
import json
import sys
from typing import Any

import pytest

from hippodrome.client.looks import viewer
from hippodrome.client.looks.viewer import OutputStream
from hippodrome.protocol.messages import Display, MsgId, Piece, Result, Shown


class Shower:
    """A result of one task, whose viewers the test plays to."""

    def __init__(self) -> None:
        self.result: Result | None = None

    @property
    def slots(self) -> list[Any]:
        return [None if self.result is None else (self.result, (), 1.0)]

    def add_viewer(self, viewer: Any) -> None:
        """Take no note of it."""

    def remove_viewer(self, viewer: Any) -> None:
        """Take no note of it."""

    def result_of(self, index: int) -> Result | None:
        return self.result

    def engine_of(self, index: int) -> int:
        return 3


def display(at: int, text: str, kind: str = "display_data") -> Display:
    return Display(kind, json.dumps({"data": {"text/plain": text}}).encode(), at)


def piece(at: int, text: str) -> Piece:
    return Piece(MsgId("t"), 1, "display", at, display=display(at, text))


def show(pieces: list[Piece], displays: list[Display]) -> None:
    """Let *pieces* come, and then a result with *displays*."""
    shower = Shower()
    shown = Shown(displays) if displays else None
    with OutputStream(shower) as stream:  # type: ignore[arg-type]  # all that it needs
        for one in pieces:
            stream.put(0, one)
        shower.result = Result(MsgId("t"), "ok", None, 1, shown=shown)


def test_displays_that_did_not_come_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    show([piece(0, "a"), piece(5, "b")], [])
    lines = ["[output:3]", "a", "[output:3] (4 displays are not shown)", "[output:3]", "b"]
    assert capsys.readouterr().out.splitlines() == lines


def test_what_a_console_cannot_say_is_shown_in_another_form(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    console = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", console)
    text = Piece(MsgId("t"), 1, "stdout", 0, "5 \N{EURO SIGN}\n")
    show([text, piece(0, "\ud800")], [])
    words = console.buffer.getvalue()  # type: ignore[attr-defined]
    assert words == b"[stdout:3] 5 \\u20ac\n[output:3]\n\\ud800\n"


def test_without_a_console_nothing_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    show([Piece(MsgId("t"), 1, "stdout", 0, "half a line"), piece(0, "a")], [])


def test_displays_that_were_replaced_are_not_missed(capsys: pytest.CaptureFixture[str]) -> None:
    show([], [display(7, "last version")])
    assert capsys.readouterr().out.splitlines() == ["[output:3]", "last version"]


def test_too_many_displays_are_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    n = 2 * viewer.DISPLAY_BURST // viewer.DISPLAY_COST
    show([piece(at, "small") for at in range(n)], [])
    out = capsys.readouterr().out
    assert n // 4 < out.count("small") < n
    assert "displays are not shown)" in out


def test_a_large_display_is_shown_if_it_comes_first(capsys: pytest.CaptureFixture[str]) -> None:
    show([piece(0, "x" * (viewer.DISPLAY_BURST + 1))], [])
    assert capsys.readouterr().out.count("x") == viewer.DISPLAY_BURST + 1


def test_what_waits_to_be_shown_is_limited() -> None:
    stream = OutputStream(Shower())  # type: ignore[arg-type]
    for at in range(100):
        stream.put(0, piece(at, "x" * (1 << 20)))
    assert stream._queue.qsize() <= 1 + (viewer.QUEUE >> 20)


def test_what_comes_right_after_something_was_left_out_is_left_out_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 100.0
    monkeypatch.setattr(viewer.time, "monotonic", lambda: now)
    stream = OutputStream(Shower())  # type: ignore[arg-type]
    places = iter(range(0, 10 * viewer.BURST, viewer.BURST // 2))

    def shown(text: str) -> str:
        stream._show(0, Piece(MsgId("t"), 1, "stdout", next(places), text))
        return capsys.readouterr().out

    assert shown("x" * (viewer.BURST + 1)).count("x") == viewer.BURST
    now += 0.9 * viewer.QUIET_S
    assert shown("too early") == "", "there is room again, but a line now and then tells nothing"
    now += 0.2 * viewer.QUIET_S
    assert shown("late enough\n").endswith("late enough\n")
    assert shown("and more\n").endswith("and more\n")
