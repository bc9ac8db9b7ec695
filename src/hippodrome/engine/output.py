"""Text and displays that tasks show find their owner here.

- Text belongs to the task that runs, and in a thread to the task that started the thread. When
  that task is over, or none runs, the text goes where this process's own output goes.
- What is written to the descriptors behind Python's back belongs to the task that runs.
- A task that shows nothing costs next to nothing: what collects is made when there is something.
- Error output is passed on as well, so that whoever watches this process has its last lines.
- In a forked child these are ordinary streams.
"""

from __future__ import annotations

import codecs
import io
import os
import sys
import threading
from collections.abc import Callable
from typing import Any, Final

from hippodrome.engine.attempts import Value
from hippodrome.engine.captured import Captured, Collected, LivePiece
from hippodrome.engine.descriptors import Descriptor, buffer_lines
from hippodrome.engine.throttle import Passage, encoded, write_out

FLUSH_AFTER_S: Final = 0.001  # C code that prints much takes at least as long
LOOK_AFTER_S: Final = 30e-6  # of one task; to look costs two system calls
LOOK_AGAIN_S: Final = 0.5e-3  # of several


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
        self._passages: tuple[Passage, ...] = ()
        self._draining = threading.RLock()  # a signal's handler may print while somebody prints
        self._is_draining = False
        self._beginning = threading.RLock()
        self._flush_c: Callable[[], None] = lambda: None
        self._not_looked_s = LOOK_AGAIN_S

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
            self._passages = tuple(Passage(one.outside) for one in self._descriptors)
        sys.stdout = TaskStream(self, 1, "<stdout>")
        sys.stderr = TaskStream(self, 2, "<stderr>")
        follow_threads(self)
        os.register_at_fork(after_in_child=self.stop)

    def begin(self) -> None:
        """A task runs from now on."""
        self._is_running = True

    def begin_for(self, owner: Captured) -> None:
        """Something that is no task runs from now on, and *owner* takes what it shows."""
        self.drain()
        self._captured = owner
        self._is_running = True

    def end(self, run_s: float = 0.0) -> Collected | None:
        """The task, which took *run_s* seconds, is over; return what it has shown, if anything."""
        self._not_looked_s = not_looked_s = self._not_looked_s + run_s
        if (run_s >= LOOK_AFTER_S or not_looked_s >= LOOK_AGAIN_S) and self._descriptors:
            self._not_looked_s = 0.0
            if run_s >= FLUSH_AFTER_S:
                self._flush_c()
            self.drain()
        self._is_running = False
        captured = self._captured
        if captured is None:
            return None
        self._captured = None
        captured.close()
        self.settle()
        return captured.collect()

    def rest(self) -> None:
        """No task follows at once, so that there will be time to look after the next."""
        self._not_looked_s = LOOK_AGAIN_S

    def take_live(self) -> list[LivePiece]:
        """Return what the running task has shown since the last time, as far as it is here."""
        captured = self._captured
        return [] if captured is None else captured.take_fresh()

    def take_values(self) -> list[Value]:
        """Return what the running task has published since the last time."""
        captured = self._captured
        return [] if captured is None else captured.take_values()

    def settle(self) -> None:
        """Pass on what was held back of a flood. Any thread."""
        for passage in self._passages:
            passage.settle()

    def drain(self) -> None:
        """Take in what was written to the descriptors. Any thread.

        What has been read has been added: nobody who finds nothing to read need wait for others.
        """
        for descriptor in self._descriptors:
            if descriptor.size() != descriptor.position:
                with self._draining:
                    self._drain(descriptor)

    def _drain(self, descriptor: Descriptor) -> None:
        if self._is_draining:
            return  # this is a signal's handler
        self._is_draining = True
        try:
            captured = self._captured
            if captured is None and self._is_running:
                captured = self._begin_capture()
            number = 1 if descriptor is self._descriptors[0] else 2
            for text in descriptor.drain():
                if captured is not None:
                    captured.add(number, text)
                if (captured is None or number == 2) and isinstance(text, str):
                    self.write_through(number, text)
        finally:
            self._is_draining = False

    @property
    def n_read(self) -> int:
        """How many bytes were read of both files."""
        return sum(descriptor.position for descriptor in self._descriptors)

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
        with self._beginning:  # both threads may find that there is none
            captured = self._captured
            if captured is None:
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
        if self._passages:
            self._passages[descriptor - 1].write(text)
        else:
            write_out(descriptor, encoded(text))

    def restore(self) -> None:
        """Lead the descriptors to where they led before: what comes now is this process's own."""
        self.drain()
        self.settle()
        for descriptor in self._descriptors:
            descriptor.restore()
        self._descriptors, self._passages = (), ()

    def stop(self) -> None:
        """This is a forked child now: what it prints is its own."""
        self._is_running = False
        self._captured = None
        self._descriptors, self._passages = (), ()


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
    errors: str = "backslashreplace"
    newlines: None = None
    mode = "w"
    line_buffering = True
    write_through = True

    def __init__(self, capture: OutputCapture, descriptor: int, name: str) -> None:
        self._capture = capture
        self._descriptor = descriptor
        self._binary = _Binary(self)
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
        return self._binary

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
    """Takes bytes, also such as end halfway through a character."""

    def __init__(self, stream: TaskStream) -> None:
        self.raw = self
        self._stream = stream
        self._of_thread = threading.local()  # the halves of one are not those of another

    def write(self, data: Any) -> int:
        blob = bytes(data)
        decoder = getattr(self._of_thread, "decoder", None)
        if decoder is None:
            decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
            self._of_thread.decoder = decoder
        self._stream.write(decoder.decode(blob))
        return len(blob)

    def fileno(self) -> int:
        return self._stream.fileno()

    def writable(self) -> bool:
        return True

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass
