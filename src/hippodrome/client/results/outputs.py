"""Texts and displays that tasks have shown, as users read them, also while tasks run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final  # Any: displayed data

from msgspec.structs import replace

from hippodrome.protocol.messages import Cut, Display, EngineId, Piece, Result, Shown

LIVE_CHARACTERS: Final = 1 << 20  # of each stream of a task that runs
NOTHING: Final = Shown()


class LiveOutput:
    """The output that a running task has shown, as far as it has come.

    Attributes:
        attempt: the one that runs.
        engine: where it runs.
    """

    def __init__(self) -> None:
        self.attempt: int = 0
        self.engine: EngineId | None = None
        self._texts: dict[str, list[str]] = {}
        self._ends: dict[str, int] = {}
        self._room: dict[str, int] = {}

    def add(self, piece: Piece, engine: EngineId | None = None) -> None:
        """Add what came from *engine*; a new attempt begins anew."""
        self.engine = engine
        if piece.attempt != self.attempt:
            self.attempt = piece.attempt
            self._texts, self._ends, self._room = {}, {}, {}
        if piece.display is not None:
            return
        stream, end = piece.stream, self._ends.get(piece.stream, 0)
        texts = self._texts.setdefault(stream, [])
        room = self._room.get(stream, LIVE_CHARACTERS)
        if room > 0:
            if piece.at > end:
                texts.append(gap_note(piece.at - end))
            texts.append(piece.text[:room])
        self._room[stream] = room - len(piece.text)
        self._ends[stream] = piece.at + len(piece.text)

    def text(self, stream: str) -> str:
        """Return what came of a stream."""
        return "".join(self._texts.get(stream, ()))


def with_last_words(result: Result, live: LiveOutput) -> Result:
    """Return the result of a task whose engine was lost with what came before that."""
    if result.attempt not in {0, live.attempt}:  # 0: nobody says which
        return result
    return replace(result, stdout=live.text("stdout"), stderr=live.text("stderr"))


def gap_note(n: int) -> str:
    """Return what stands in the place of *n* characters that are not shown."""
    return f"\n[{n} characters are not shown]\n"


def rest(text: str, cut: Cut, seen: int) -> tuple[int, str]:
    """Return what of a whole text comes after its first *seen* characters.

    Args:
        text: with a note where it is cut.
        cut: where it is cut.
        seen: counts the missing ones too.

    Returns:
        how many characters are left out, and the rest behind them.
    """
    if not cut.dropped or seen < cut.kept:
        return 0, text[seen:]  # and the note in it says what is missing
    tail_begins = cut.kept + cut.dropped
    tail = text[cut.kept + cut.note :]
    if seen < tail_begins:
        return tail_begins - seen, tail
    return 0, tail[seen - tail_begins :]


def rests(result: Result, seen: dict[str, int]) -> Iterator[Piece]:
    """Yield what a task has shown besides what is *seen* of each stream."""
    shown = result.shown or NOTHING
    for stream, text, cut in (
        ("stdout", result.stdout, shown.stdout_cut),
        ("stderr", result.stderr, shown.stderr_cut),
    ):
        if result.status == "lost" and stream in seen:
            continue  # nothing but that has come
        position = seen.get(stream, 0)
        missing, left = rest(text, cut, position)
        if left:
            yield Piece(result.msg_id, result.attempt, stream, position + missing, left)
    for display in shown.displays:
        if display.at >= seen.get("display", 0):
            yield Piece(result.msg_id, result.attempt, "display", display.at, display=display)


def content_of(display: Display) -> dict[str, Any]:
    """Return a display as a notebook would store it."""
    content: dict[str, Any] = json.loads(display.content)
    return {"output_type": display.kind, **content}


def displays_of(result: Result) -> list[dict[str, Any]]:
    """Return all that a task displayed, in order, its value included."""
    shown = (result.shown or NOTHING).displays
    return [content_of(each) for each in shown if each.kind != "clear_output"]


def outputs_of(result: Result) -> list[dict[str, Any]]:
    """Return what a task displayed explicitly."""
    return [one for one in displays_of(result) if one["output_type"] != "execute_result"]


def value_of(result: Result) -> dict[str, Any] | None:
    """Return what the value of a cell's last expression shows."""
    found = [one for one in displays_of(result) if one["output_type"] == "execute_result"]
    return found[-1] if found else None
