"""Passes the engines' own output on, to this process's error output or to files, never blocking.

A supervisor must beat whether or not anybody reads what it writes: output for which there is no
room is kept up to a limit, and then dropped from its start.
"""

from __future__ import annotations

import errno
import os
import select
from contextlib import suppress
from pathlib import Path
from typing import Final

KEPT_BYTES: Final = 1 << 18
LINE_BYTES: Final = 1 << 13  # of a line that does not end; it is made one then
_FOR_EVER: Final = {errno.EPIPE, errno.EBADF}  # nobody reads any more; a full disk may have room
_NOTE: Final = b"output of engines before this could not be written: %s\n"
_PIECE_BYTES: Final = 4096  # PIPE_BUF: what a pipe that is ready takes without blocking


class Forwarder:
    """Where the output of some engines goes.

    Args:
        descriptor: where to write.
        owned: close it in the end.
        mark: what each line begins with, so that one knows whose it is.

    Attributes:
        mark: may change with what is known of the engine.
    """

    def __init__(self, descriptor: int, *, owned: bool = False, mark: str = "") -> None:
        self._descriptor = descriptor
        self._owned = owned
        self.mark: str = mark
        self._begun = b""  # a line without its end
        self._kept = b""
        self._is_broken = False
        self._lost = ""
        self._ready = select.poll()
        self._ready.register(descriptor, select.POLLOUT)

    @classmethod
    def to_file(cls, path: Path, mark: str = "") -> Forwarder:
        """Return one that appends to a file.

        Raises:
            OSError: it cannot be opened.
        """
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        return cls(os.open(path, flags, 0o600), owned=True, mark=mark)

    def write(self, data: bytes) -> None:
        """Pass *data* on, now or later."""
        if self._is_broken or not (marked := self._marked(data)):
            return
        if self._lost:
            marked = b"\n" + _NOTE % self._lost.encode() + marked
            self._lost = ""
        self._kept = (self._kept + marked)[-KEPT_BYTES:]
        self.flush()

    def _marked(self, data: bytes) -> bytes:
        """Return the lines that are whole by now, each with the mark, if there is one.

        The beginning of a line waits for the rest, as another engine's line may come in between.
        """
        if not self.mark:
            return data
        whole, newline, self._begun = (self._begun + data).rpartition(b"\n")
        if len(self._begun) > LINE_BYTES:
            whole, newline, self._begun = whole + newline + self._begun, b"\n", b""
        if not newline:
            return b""
        mark = self.mark.encode()
        return mark + whole.replace(b"\n", b"\n" + mark) + newline

    def flush(self) -> None:
        """Pass on what is kept, as far as there is room for it."""
        try:
            while self._kept and self._ready.poll(0):
                self._kept = self._kept[os.write(self._descriptor, self._kept[:_PIECE_BYTES]) :]
        except OSError as error:  # an engine's log is not worth a stop
            self._is_broken = error.errno in _FOR_EVER
            self._lost = error.strerror or str(error)
            self._kept = b""

    def close(self) -> None:
        """Pass on what can be, and let go."""
        if self._begun:
            self.write(b"\n")
        self.flush()
        if self._owned:
            with suppress(OSError):
                os.close(self._descriptor)
