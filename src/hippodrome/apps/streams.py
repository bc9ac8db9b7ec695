"""What programs print and log, and how they end: also where nobody reads it, or the disk is full.

A line that cannot be written ends no program that has other things to do, and is not told of by
another one that cannot be written either.
"""

from __future__ import annotations

import contextlib
import errno
import io
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, TextIO

from traitlets import TraitError

from hippodrome.apps.exitcodes import INTERRUPTED, NOBODY_READS, USAGE, code_of
from hippodrome.apps.settings import UsageError
from hippodrome.apps.words import counted
from hippodrome.errors import ClusterError, LaunchError

_LOG_FORMAT: Final = "%(asctime)s [%(process)d] %(levelname)s %(message)s"


def guarded(name: str, do: Callable[[], int]) -> int:
    """Return the exit code that *do* returns, or that stands for the error that it raises.

    Args:
        name: what the program is called, with which its complaints begin.
        do: the program.
    """
    try:
        code = do()
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = INTERRUPTED
    except BrokenPipeError:  # whoever reads what is printed has seen enough
        code = NOBODY_READS
    except (UsageError, TraitError) as error:
        code = complain(name, str(error), USAGE)
    except (ClusterError, OSError) as error:
        code = complain(name, _in_words(error), code_of(error))
    for stream in (sys.stdout, sys.stderr):
        _let_go(stream)
    return code


def _in_words(error: ClusterError | OSError) -> str:
    """Return what to say of an error: a line, if no program's output is part of it."""
    if isinstance(error, LaunchError):
        return str(error)
    if isinstance(error, ClusterError):
        return " ".join(str(error).split())
    # a full disk, a folder that has gone: nothing that a traceback would tell
    place = f": {error.filename}" if error.filename else ""
    return f"{error.strerror or error}{place}"


def complain(name: str, text: str, exit_code: int) -> int:
    """Say something on stderr, if it can be written.

    Returns:
        *exit_code*.
    """
    with contextlib.suppress(OSError):
        print(f"{name}: {text}", file=sys.stderr)
    return exit_code


def _let_go(stream: TextIO) -> None:
    """Drop what cannot be written, as Python would try again at its end, and fail."""
    try:
        stream.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def start_logging(path: Path | None, level: str | int) -> None:
    """Log to a file, or to stderr.

    Args:
        path: the file; None for stderr.
        level: the least that is logged of what is ours.

    Raises:
        ClusterError: the file cannot be written.
    """
    try:
        handler = PatientHandler(sys.stderr if path is None else _opened(path))
    except OSError as error:
        raise ClusterError(f"cannot write the log file {path}: {error.strerror}") from error
    logging.basicConfig(format=_LOG_FORMAT, level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("hippodrome").setLevel(level)


def _opened(path: Path) -> TextIO:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    return os.fdopen(descriptor, "a", encoding="utf-8")


class PatientHandler(logging.StreamHandler[TextIO]):
    """Logs into a stream; how many lines it could not write it says when it can again.

    Args:
        stream: written to without its buffer, if it has one: that would hold back what failed.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._raw: io.RawIOBase | None = getattr(getattr(stream, "buffer", None), "raw", None)
        self._n_lost = 0
        self._trouble = ""
        self._is_torn = False

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = f"{self.format(record)}{self.terminator}"
            if self._n_lost:
                n = counted(self._n_lost, "line")
                note = f"{n} before this one could not be written: {self._trouble}\n"
                text = f"{chr(10) * self._is_torn}{note}{text}"
            self._write(text)
            self._n_lost, self._is_torn = 0, False
        except OSError as error:  # a full disk, mostly
            self._n_lost += 1
            self._trouble = error.strerror or str(error)
        except Exception:  # whatever is in a record
            self.handleError(record)

    def _write(self, text: str) -> None:
        if self._raw is None:
            self.stream.write(text)
            self.flush()
            return
        data = text.encode(errors="backslashreplace")
        n_written = self._raw.write(data) or 0
        if n_written < len(data):
            self._is_torn = self._is_torn or n_written > 0
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
