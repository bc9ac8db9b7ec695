"""The output that one task shows: how much is kept, and how much is passed on at once.

- Of each stream the first and the last half million characters are kept, of displays as many as
  have room, and all of that goes with the outcome.
- Between two looks at it, only so much is set aside to be shown while the task runs. Places tell
  where something is missing.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from typing import Final

from hippodrome.engine.attempts import Value
from hippodrome.engine.comms import Comms
from hippodrome.protocol.messages import CommMessage, Cut, Display, Shown

HALF: Final = 1 << 19  # characters that are kept of the beginning, and of the end
LIVE: Final = 1 << 15  # characters of each stream between two looks at it
DISPLAY_BYTES: Final = 1 << 24  # of all displays of a task
DISPLAY_COST_BYTES: Final = 256  # of each, besides its content
LIVE_DISPLAY_BYTES: Final = 1 << 19  # between two looks, on average
LIVE_DISPLAY_BURST: Final = 1 << 22
STREAMS: Final = ("stdout", "stderr")
_LOOSE: Final = 1 << 13  # characters; a million single ones would take a hundred times their size

Collected = tuple[str, str, Shown | None, Sequence[Value]]  # the last is what was published
LivePiece = tuple[str, int, str | Display | CommMessage]  # stream, place, what


class Text:
    """The beginning and the end of a text, and what of it nobody has looked at yet."""

    __slots__ = ("_fresh", "_fresh_at", "_fresh_room", "_head", "_is_held_back", "_loose",
                 "_loose_size", "_room", "_tail", "_tail_size", "total")  # fmt: skip

    def __init__(self) -> None:
        self.total: int = 0
        self._loose: list[str] = []
        self._loose_size = 0
        self._head: list[str] = []
        self._room = HALF
        self._tail: deque[str] = deque()
        self._tail_size = 0
        self._fresh: list[str] = []
        self._fresh_at = 0
        self._fresh_room = LIVE
        self._is_held_back = False

    def add(self, text: str) -> None:
        """Append *text*."""
        if text:
            self.total += len(text)
            self._loose.append(text)
            self._loose_size += len(text)
            if self._loose_size >= _LOOSE:
                self._settle()

    def _settle(self) -> None:
        """Put what has been added where it belongs."""
        text = "".join(self._loose)
        self._loose, self._loose_size = [], 0
        if self._fresh_room > 0:
            self._fresh.append(text[: self._fresh_room])
            self._fresh_room -= len(text)
        if self._room:
            kept = text[: self._room]
            self._head.append(kept)
            self._room -= len(kept)
            text = text[len(kept) :]
        if text:
            self._tail.append(text[-HALF:])
            self._tail_size += len(self._tail[-1])
            while self._tail_size - len(self._tail[0]) >= HALF:
                self._tail_size -= len(self._tail.popleft())

    def skip(self, n: int) -> None:
        """Leave out *n* characters."""
        self._settle()
        self.total += n
        self._room = self._fresh_room = self._tail_size = 0
        self._tail.clear()

    def take_fresh(self) -> tuple[int, str] | None:
        """Return what was added since the last time, and its place; at most `LIVE` characters.

        A line that has just been begun is held back until the next time: it is likely to be
        half of what one print writes, and others may come between its halves.
        """
        self._settle()
        text, at = "".join(self._fresh), self._fresh_at
        end = len(text)
        if at + end == self.total and not text.endswith("\n"):
            end = text.rfind("\n") + 1 or (end if self._is_held_back else 0)
        text, rest = text[:end], text[end:]
        self._is_held_back = bool(rest)
        self._fresh = [rest]
        self._fresh_at, self._fresh_room = self.total - len(rest), LIVE - len(rest)
        return (at, text) if text else None

    def collect(self) -> tuple[str, Cut | None]:
        """Return all that was kept, and where something is missing."""
        self._settle()
        head, tail = "".join(self._head), "".join(self._tail)[-HALF:]
        dropped = self.total - len(head) - len(tail)
        if not dropped:
            return head + tail, None
        note = f"\n[{dropped} characters were dropped]\n"
        return f"{head}{note}{tail}", Cut(len(head), dropped, len(note))


class Displays:
    """The displays that a task has made; by id, where one has an id."""

    __slots__ = ("_fresh", "_fresh_room_bytes", "_kept", "_room_bytes", "total")

    def __init__(self) -> None:
        self.total: int = 0
        self._kept: dict[object, Display] = {}
        self._room_bytes = DISPLAY_BYTES
        self._fresh: list[Display] = []
        self._fresh_room_bytes = LIVE_DISPLAY_BURST

    def add(self, display: Display, display_id: str | None) -> bool:
        """Add one that replaces that with the same id, or clears all; return if there is room."""
        self.total += 1
        if display.kind == "clear_output":
            self._room_bytes += sum(map(_cost, self._kept.values()))
            self._kept.clear()
        key = display.at if display_id is None else display_id
        old = self._kept.get(key)
        room_bytes = self._room_bytes + (_cost(old) if old is not None else 0) - _cost(display)
        if room_bytes < 0:
            return False
        self._room_bytes = room_bytes
        if self._fresh_room_bytes > 0:
            self._fresh_room_bytes -= _cost(display)
            self._fresh.append(display)
        if old is not None:
            content, at = display.content, display.at
            display = Display(old.kind, content, at, old.stdout, old.stderr)
        self._kept[key] = display
        return True

    def take_fresh(self) -> list[Display]:
        """Return what was added since the last time, if it was not too much."""
        fresh, self._fresh = self._fresh, []
        room = self._fresh_room_bytes + LIVE_DISPLAY_BYTES
        self._fresh_room_bytes = min(room, LIVE_DISPLAY_BURST)
        return fresh

    def collect(self) -> list[Display]:
        """Return all that there still is to see, in order."""
        return list(self._kept.values())


def _cost(display: Display) -> int:
    return len(display.content) + DISPLAY_COST_BYTES


class Latest:
    """The latest value that was published under each name."""

    __slots__ = ("_fresh", "_values")

    def __init__(self) -> None:
        self._values: dict[str, Value] = {}
        self._fresh: dict[str, Value] = {}

    def put(self, values: Sequence[Value]) -> None:
        """Take new values; each takes the place of that with the same name."""
        named = {value[0]: value for value in values}
        self._values.update(named)
        self._fresh.update(named)

    def take_fresh(self) -> list[Value]:
        """Return what is new since the last time."""
        fresh, self._fresh = self._fresh, {}
        return list(fresh.values())

    def collect(self) -> list[Value]:
        """Return all."""
        return list(self._values.values())


class Captured:
    """The output that one task has shown and published so far. Any thread."""

    __slots__ = ("_comms", "_displays", "_latest", "_lock", "_texts", "is_open")

    def __init__(self) -> None:
        self.is_open: bool = True
        self._lock = threading.RLock()  # a signal's handler may print while somebody prints
        self._texts = (Text(), Text())
        self._displays = Displays()
        self._comms = Comms()
        self._latest = Latest()

    def close(self) -> None:
        """The task is over: what its threads still write is not its output."""
        self.is_open = False

    def add(self, descriptor: int, text: str | int) -> None:
        """Append text; a number says how many characters of it are left out."""
        with self._lock:
            if isinstance(text, str):
                self._texts[descriptor - 1].add(encodable(text))
            else:
                self._texts[descriptor - 1].skip(text)

    def show(self, kind: str, content: bytes, display_id: str | None) -> None:
        """Add a display; it replaces one with the same id, and clearing removes all."""
        with self._lock:
            stdout, stderr = (text.total for text in self._texts)
            display = Display(kind, content, self._displays.total, stdout, stderr)
            if not self._displays.add(display, display_id):
                note = f"[a display of {len(content)} bytes was dropped: there are too many]\n"
                self._texts[1].add(note)

    def tell(self, kind: str, content: bytes, buffers: list[bytes], key: object) -> None:
        """Add what a widget says to a frontend; it replaces what has the same key."""
        with self._lock:
            if not self._comms.add(kind, content, buffers, key):
                note = f"[a widget's message of {len(content)} bytes was dropped: too many]\n"
                self._texts[1].add(note)

    def publish(self, values: Sequence[Value]) -> None:
        """Take values that the client may see."""
        with self._lock:
            self._latest.put(values)

    def take_values(self) -> list[Value]:
        """Return which values are new since the last time."""
        with self._lock:
            return self._latest.take_fresh()

    def take_fresh(self) -> list[LivePiece]:
        """Return what came since the last time."""
        with self._lock:
            found: list[LivePiece] = []
            for stream, text in zip(STREAMS, self._texts, strict=True):
                fresh = text.take_fresh()
                if fresh is not None:
                    found.append((stream, *fresh))
            found += [("comm", one.at, one) for one in self._comms.take_fresh()]
            return found + [("display", one.at, one) for one in self._displays.take_fresh()]

    def collect(self) -> Collected:
        """Return the two texts, whatever else was shown, and what was published."""
        with self._lock:
            (stdout, cut), (stderr, error_cut) = (text.collect() for text in self._texts)
            displays, comms = self._displays.collect(), self._comms.collect()
            values = self._latest.collect()
            if not displays and not comms and cut is None and error_cut is None:
                return stdout, stderr, None, values
            shown = Shown(displays, cut or Cut(), error_cut or Cut(), comms)
            return stdout, stderr, shown, values


def encodable(text: str) -> str:
    """Return *text* without what UTF-8 cannot say, so that no message fails for it."""
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
