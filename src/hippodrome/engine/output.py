"""What tasks print: stand-ins for ``sys.stdout`` and ``sys.stderr`` that know whose text it is.

- Text belongs to the task that runs, and in a thread to the task that started the thread. When
  that task is over, or none runs, the text goes where this process's own output goes.
- A task that prints nothing costs nothing: what collects text is made when there is some.
- Error output is passed on as well, so that whoever watches this process has its last lines.
- In a forked child these are ordinary streams.
"""

from __future__ import annotations

import io
import os
import sys
import threading
from typing import Any, Final

LIMIT: Final = 1 << 20  # characters of each stream of each task


class Captured:
    """What one task has printed so far."""

    __slots__ = ("is_open", "texts")

    def __init__(self) -> None:
        self.is_open = True
        self.texts = {1: Text(), 2: Text()}


class Text:
    """Pieces of text up to a limit, and how much more there was."""

    __slots__ = ("dropped", "pieces", "room")

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.room = LIMIT
        self.dropped = 0

    def add(self, text: str) -> None:
        """Keep *text*, as far as there is room; any thread may call."""
        kept = text[: self.room] if len(text) > self.room else text
        self.room -= len(kept)
        self.dropped += len(text) - len(kept)
        if kept:
            self.pieces.append(kept)

    def collect(self) -> str:
        """Return all that was kept, and a note if that is not all there was."""
        text = encodable("".join(self.pieces))
        if not self.dropped:
            return text
        return f"{text}\n[{self.dropped} more characters were dropped]\n"


def encodable(text: str) -> str:
    """Return *text* without what UTF-8 cannot say, so that no message fails for it."""
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


class OutputCapture:
    """Collects what the running task prints. One for each process, as are the streams."""

    def __init__(self) -> None:
        self._is_running = False
        self._captured: Captured | None = None

    def install(self) -> None:
        """Take the place of ``sys.stdout`` and ``sys.stderr`` for the rest of this process."""
        sys.stdout.flush()
        sys.stderr.flush()
        sys.stdout = TaskStream(self, 1, "<stdout>")
        sys.stderr = TaskStream(self, 2, "<stderr>")
        follow_threads(self)
        os.register_at_fork(after_in_child=self.stop)

    def begin(self) -> None:
        """A task runs from now on."""
        self._is_running = True

    def end(self) -> tuple[str, str]:
        """The task is over; return what it wrote to its two streams."""
        self._is_running = False
        captured = self._captured
        if captured is None:
            return "", ""
        self._captured = None
        captured.is_open = False
        return captured.texts[1].collect(), captured.texts[2].collect()

    def owner(self) -> Captured | None:
        """Return what collects the output of the calling thread; None if no task owns it."""
        thread = threading.current_thread()
        if thread is not threading.main_thread():
            started_by: Captured | None = getattr(thread, _OWNER, None)
            return started_by if started_by is not None and started_by.is_open else None
        if self._captured is None and self._is_running:
            self._captured = Captured()
        return self._captured

    def stop(self) -> None:
        """This is a forked child now: what it prints is its own."""
        self.end()


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
        owner = self._capture.owner()
        if owner is not None:
            owner.texts[self._descriptor].add(str(text))
        if owner is None or self._descriptor == 2:
            _write_through(self._descriptor, text.encode("utf-8", "backslashreplace"))
        return len(text)

    @property
    def buffer(self) -> io.RawIOBase:
        """The binary side of this stream; what is written there is text as well."""
        return _Binary(self)

    def fileno(self) -> int:
        """Return the real descriptor; what is written there belongs to no task."""
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


def _write_through(descriptor: int, data: bytes) -> None:
    try:
        while data:
            data = data[os.write(descriptor, data) :]
    except OSError:
        pass  # nobody listens any more; that is no reason to fail a task
