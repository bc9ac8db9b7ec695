"""What tasks show: text and displays, and whose they are.

- Text belongs to the task that runs, and in a thread to the task that started the thread. When
  that task is over, or none runs, the text goes where this process's own output goes.
- What is written to the descriptors behind Python's back belongs to the task that runs.
- A task that shows nothing costs next to nothing: what collects is made when there is something.
- Of each stream the first and the last half million characters are kept.
- Error output is passed on as well, so that whoever watches this process has its last lines.
- In a forked child these are ordinary streams.
"""

from __future__ import annotations

import io
import os
import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from hippodrome.engine.descriptors import Descriptor, buffer_lines
from hippodrome.protocol.messages import Cut, Display, Shown

HALF: Final = 1 << 19  # characters that are kept of the beginning, and of the end
LIVE: Final = 1 << 15  # characters of each stream between two looks at it
DISPLAY_BYTES: Final = 1 << 25  # of all displays of a task
STREAMS: Final = ("stdout", "stderr")
FLUSH_AFTER_S: Final = 0.001  # C code that prints much takes at least as long
LOOK_AFTER_S: Final = 30e-6  # of tasks: to look costs two system calls

LivePiece = tuple[str, int, str | Display]  # stream, place, what


class Text:
    """The beginning and the end of a text, and what of it nobody has looked at yet."""

    __slots__ = ("_fresh", "_fresh_at", "_fresh_room", "_head", "_is_held_back", "_room", "_tail",
                 "_tail_size", "total")  # fmt: skip

    def __init__(self) -> None:
        self.total = 0
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
        if self._fresh_room > 0:
            self._fresh.append(text[: self._fresh_room])
            self._fresh_room -= len(text)
        self.total += len(text)
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
        self.total += n
        self._room = self._fresh_room = self._tail_size = 0
        self._tail.clear()

    def take_fresh(self) -> tuple[int, str] | None:
        """Return what was added since the last time, and its place; at most `LIVE` characters.

        A line that has just been begun is held back until the next time: it is likely to be
        half of what one print writes, and others may come between its halves.
        """
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
        head, tail = "".join(self._head), "".join(self._tail)[-HALF:]
        dropped = self.total - len(head) - len(tail)
        if not dropped:
            return head + tail, None
        note = f"\n[{dropped} characters were dropped]\n"
        return f"{head}{note}{tail}", Cut(len(head), dropped, len(note))


class Captured:
    """What one task has shown so far. Any thread."""

    __slots__ = ("_displays", "_fresh", "_lock", "_n_displays", "_room_bytes", "_texts", "is_open")

    def __init__(self) -> None:
        self.is_open = True
        self._lock = threading.Lock()
        self._texts = (Text(), Text())
        self._displays: dict[object, Display] = {}  # by display id, where there is one
        self._n_displays = 0
        self._room_bytes = DISPLAY_BYTES
        self._fresh: list[Display] = []

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
            at, self._n_displays = self._n_displays, self._n_displays + 1
            display = Display(kind, content, at, *(text.total for text in self._texts))
            self._room_bytes -= len(content)
            if self._room_bytes < 0:
                note = f"[a display of {len(content)} bytes was dropped: there are too many]\n"
                self._texts[1].add(note)
                return
            self._fresh.append(display)
            if kind == "clear_output":
                self._room_bytes += sum(len(old.content) for old in self._displays.values())
                self._displays.clear()
            key = at if display_id is None else display_id
            old = self._displays.get(key)
            if old is not None:
                self._room_bytes += len(old.content)
                display = Display(old.kind, content, at, old.stdout, old.stderr)
            self._displays[key] = display

    def take_fresh(self) -> list[LivePiece]:
        """Return what came since the last time."""
        with self._lock:
            found: list[LivePiece] = []
            for stream, text in zip(STREAMS, self._texts, strict=True):
                fresh = text.take_fresh()
                if fresh is not None:
                    found.append((stream, *fresh))
            displays, self._fresh = self._fresh, []
            return found + [("display", display.at, display) for display in displays]

    def collect(self) -> tuple[str, str, Shown | None]:
        """Return the two texts and whatever else there is."""
        with self._lock:
            (stdout, cut), (stderr, error_cut) = (text.collect() for text in self._texts)
            if not self._displays and cut is None and error_cut is None:
                return stdout, stderr, None
            displays = list(self._displays.values())
            return stdout, stderr, Shown(displays, cut or Cut(), error_cut or Cut())


def encodable(text: str) -> str:
    """Return *text* without what UTF-8 cannot say, so that no message fails for it."""
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


class OutputCapture:
    """Collects what the running task shows. One for each process, as are the streams.

    Args:
        note: called when a task begins to show something. Any thread.
    """

    def __init__(self, note: Callable[[], None] = lambda: None) -> None:
        self._is_running = False
        self._captured: Captured | None = None
        self._note = note
        self._descriptors: tuple[Descriptor, ...] = ()
        self._draining = threading.Lock()
        self._flush_c: Callable[[], None] = lambda: None
        self._not_looked_s = LOOK_AFTER_S

    def install(self, files: tuple[int, int] | None = None) -> None:
        """Take the place of ``sys.stdout`` and ``sys.stderr`` for the rest of this process.

        Args:
            files: what the descriptors 1 and 2 shall lead into; None leaves them alone.
        """
        sys.stdout.flush()
        sys.stderr.flush()
        if files is not None:
            self._flush_c = buffer_lines()
            self._descriptors = (Descriptor(1, files[0]), Descriptor(2, files[1]))
            for descriptor in self._descriptors:
                descriptor.install()
        sys.stdout = TaskStream(self, 1, "<stdout>")
        sys.stderr = TaskStream(self, 2, "<stderr>")
        follow_threads(self)
        os.register_at_fork(after_in_child=self.stop)

    def begin(self) -> None:
        """A task runs from now on."""
        self._is_running = True

    def end(self, run_s: float = 0.0) -> tuple[str, str, Shown | None]:
        """The task, which took *run_s* seconds, is over; return what it has shown."""
        self._not_looked_s += run_s
        if self._not_looked_s >= LOOK_AFTER_S and self._descriptors:
            self._not_looked_s = 0.0
            if run_s >= FLUSH_AFTER_S:
                self._flush_c()
            self.drain()
        self._is_running = False
        captured = self._captured
        if captured is None:
            return "", "", None
        self._captured = None
        captured.is_open = False
        return captured.collect()

    def rest(self) -> None:
        """No task follows at once, so that there will be time to look after the next."""
        self._not_looked_s = LOOK_AFTER_S

    def take_live(self) -> list[LivePiece]:
        """Return what the running task has shown since the last time. On the I/O thread."""
        self.drain()
        captured = self._captured
        return [] if captured is None else captured.take_fresh()

    def drain(self) -> None:
        """Take in what was written to the descriptors. Any thread."""
        for descriptor in self._descriptors:
            if descriptor.size() != descriptor.position:
                with self._draining:
                    self._drain(descriptor)

    def _drain(self, descriptor: Descriptor) -> None:
        captured = self._captured
        if captured is None and self._is_running:
            captured = self._begin_capture()
        number = 1 if descriptor is self._descriptors[0] else 2
        for text in descriptor.drain():
            if captured is not None:
                captured.add(number, text)
            if (captured is None or number == 2) and isinstance(text, str):
                self.write_through(number, text)

    @property
    def passed_on(self) -> int:
        """How many bytes were read of what descriptor 2 leads into."""
        return self._descriptors[1].position if self._descriptors else 0

    def owner(self) -> Captured | None:
        """Return what collects the output of the calling thread; None if no task owns it."""
        thread = threading.current_thread()
        if thread is not threading.main_thread():
            started_by: Captured | None = getattr(thread, _OWNER, None)
            return started_by if started_by is not None and started_by.is_open else None
        if self._captured is None and self._is_running:
            self._begin_capture()
        return self._captured

    def _begin_capture(self) -> Captured:
        captured = self._captured = Captured()
        self._note()
        return captured

    def show(self, kind: str, content: bytes, display_id: str | None) -> bool:
        """Add a display to the task that owns this thread; return False if there is none."""
        owner = self.owner()
        if owner is None:
            return False
        owner.show(kind, content, display_id)
        return True

    def write_through(self, descriptor: int, text: str) -> None:
        """Write *text* where this process's own output goes."""
        outside = self._descriptors[descriptor - 1].outside if self._descriptors else descriptor
        _write(outside, text.encode("utf-8", "backslashreplace"))

    def restore(self) -> None:
        """Lead the descriptors to where they led before: what comes now is this process's own."""
        self.drain()
        for descriptor in self._descriptors:
            descriptor.restore()
        self._descriptors = ()

    def stop(self) -> None:
        """This is a forked child now: what it prints is its own."""
        self._is_running = False
        self._captured = None
        self._descriptors = ()


_OWNER: Final = "_hippodrome_output"


def follow_threads(capture: OutputCapture) -> None:
    """Let each thread remember the task that starts it: threads do not inherit a context."""
    start = threading.Thread.start

    def start_owned(self: threading.Thread) -> None:
        setattr(self, _OWNER, capture.owner())
        start(self)

    threading.Thread.start = start_owned  # type: ignore[method-assign]


class TaskStream(io.TextIOBase):
    """``sys.stdout`` or ``sys.stderr`` of an engine."""

    encoding = "utf-8"
    errors = "backslashreplace"
    newlines = None
    mode = "w"
    line_buffering = True
    write_through = True

    def __init__(self, capture: OutputCapture, descriptor: int, name: str) -> None:
        self._capture = capture
        self._descriptor = descriptor
        self.name = name

    def write(self, text: str) -> int:
        """Write *text*; returns its length."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        self._capture.drain()  # what others wrote before comes before
        owner = self._capture.owner()
        if owner is not None:
            owner.add(self._descriptor, str(text))
        if owner is None or self._descriptor == 2:
            self._capture.write_through(self._descriptor, text)
        return len(text)

    @property
    def buffer(self) -> io.RawIOBase:
        """The binary side of this stream; what is written there is text as well."""
        return _Binary(self)

    def fileno(self) -> int:
        """Return the real descriptor; what is written there belongs to the task that runs."""
        return self._descriptor

    def isatty(self) -> bool:
        """Return False."""
        return False

    def writable(self) -> bool:
        """Return True."""
        return True

    def reconfigure(self, **options: Any) -> None:
        """Do nothing: there is nothing to configure, and libraries try."""

    def flush(self) -> None:
        """Do nothing: nothing is held back."""

    def close(self) -> None:
        """Do nothing: user code must not be able to silence its engine."""


class _Binary(io.RawIOBase):
    def __init__(self, stream: TaskStream) -> None:
        self.raw = self
        self._stream = stream

    def write(self, data: Any) -> int:
        blob = bytes(data)
        self._stream.write(blob.decode("utf-8", "backslashreplace"))
        return len(blob)

    def fileno(self) -> int:
        return self._stream.fileno()

    def writable(self) -> bool:
        return True

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass


def _write(descriptor: int, data: bytes) -> None:
    try:
        while data:
            data = data[os.write(descriptor, data) :]
    except OSError:
        pass  # nobody listens any more; that is no reason to fail a task
