"""Output that C code and child processes write to descriptors 1 and 2 is caught here.

Both descriptors lead into files in memory, not into pipes: nobody who writes has to wait for us to
read, or could hang for ever because it holds the interpreter meanwhile. What has been read is given
back to the system. The supervisor has the second file too, and finds there what a process that
crashed said last.

What user code does to the numbers 1 and 2, which it may redirect or close, is no concern of ours:
the files are read under numbers of our own.
"""

from __future__ import annotations

import codecs
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Final  # Any: a C library

_READ_BYTES: Final = 1 << 20  # half of it is kept, at least
_BACKLOG_BYTES: Final = 1 << 22
_PUNCH_BYTES: Final = 1 << 22  # read and not given back; less is not worth a system call
_KEEP_SIZE_AND_PUNCH_HOLE: Final = 3
_LINE_BUFFERED: Final = 1


class Descriptor:
    """One of the two, and where it led before.

    Args:
        number: 1 or 2.
        file: what it leads into; closed by `restore`.

    Attributes:
        outside: where this process's own output goes.
        position: how many bytes have been read.
    """

    def __init__(self, number: int, file: int) -> None:
        self.outside: int = number
        self.position: int = 0
        self._number = number
        self._file = file
        self._decode = codecs.getincrementaldecoder("utf-8")("backslashreplace").decode
        self._given_back = 0

    def install(self) -> None:
        """Lead the descriptor into the file."""
        self.outside = os.dup(self._number)
        os.dup2(self._file, self._number)
        os.set_inheritable(self._file, False)

    def restore(self) -> None:
        """Lead it to where it led before."""
        with suppress(OSError):  # user code has closed what is not its own
            os.dup2(self.outside, self._number)
            os.close(self._file)

    def size(self) -> int:
        """Return how much has been written, as far as that can be known."""
        try:
            return os.lseek(self._file, 0, os.SEEK_END)
        except OSError:  # user code has closed all there is, as daemons do
            return self.position

    def drain(self) -> Iterator[str | int]:
        """Yield what has been written since: text, or the number of bytes that are left out.

        Whoever writes faster than we read is not read in full.
        """
        size = self.size()
        if size < self.position:  # somebody opened it anew, and emptied it
            self.position = self._given_back = 0
        if size - self.position > _BACKLOG_BYTES:
            yield from self._read(size)
            skipped = size - _READ_BYTES - self.position
            yield skipped
            self.position += skipped
        while self.position < size:
            yield from self._read(size)

    def _read(self, size: int) -> Iterator[str]:
        """Yield what comes next; it counts as read when that has been dealt with."""
        blob = os.pread(self._file, min(_READ_BYTES, size - self.position), self.position)
        yield self._decode(blob)
        self.position += len(blob) or size - self.position  # nothing: somebody emptied it
        if self.position - self._given_back >= _PUNCH_BYTES:
            _give_back(self._file, self._given_back, self.position)
            self._given_back = self.position


def buffer_lines() -> Callable[[], None]:
    """Let C code write each line at once; return what makes it write the rest.

    C's own streams would hold back thousands of characters, as they lead to no terminal.
    """
    import ctypes

    try:
        library: Any = ctypes.CDLL(None)
        for name in ("stdout", "__stdoutp"):  # the second is macOS's
            with suppress(ValueError):
                library.setvbuf(ctypes.c_void_p.in_dll(library, name), None, _LINE_BUFFERED, 0)
        flush = library.fflush
    except (OSError, AttributeError):
        return lambda: None
    return lambda: flush(None) and None


def _give_back(descriptor: int, start: int, end: int) -> None:
    """Give the memory of a part of a file back, where the system can; the size stays."""
    import ctypes

    with suppress(OSError, AttributeError):
        fallocate = ctypes.CDLL(None).fallocate
        fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_longlong, ctypes.c_longlong]
        fallocate(descriptor, _KEEP_SIZE_AND_PUNCH_HOLE, start, end - start)
