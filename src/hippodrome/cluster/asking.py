"""Asking a controller how it is, for programs that look and leave: every wait has an end."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hippodrome.errors import ClusterError

if TYPE_CHECKING:
    from hippodrome.client.link.io_thread import IOThread

PATIENCE_S: Final = 2.0
_GOODBYE_S: Final = 5.0


class NoAnswer(ClusterError):
    """Whoever should answer is there, but does not, or not in time."""

    code = "no_answer"


class Line:
    """A connection to a controller, on which nothing waits for longer than was said.

    Args:
        io: the connection.
        timeout_s: how long an answer may take, in seconds.
    """

    def __init__(self, io: IOThread, timeout_s: float) -> None:
        self._io = io
        self._timeout_s = timeout_s

    @property
    def engines(self) -> list[int]:
        """The ids of the engines that there are."""
        return sorted(self._io.engines)

    def ask(self, name: str, **arguments: Any) -> Any:  # Any: whatever the answer is
        """Return the hub's answer to a query.

        Raises:
            NoAnswer: there is none in time.
            ClusterError: the controller has gone meanwhile.
            RemoteError: it cannot answer.
        """
        try:
            return self._io.ask(name, **arguments).result(self._timeout_s)
        except TimeoutError as error:
            raise NoAnswer(f"the hub did not answer within {self._timeout_s:g} s") from error

    def stop_controller(self) -> None:
        """Ask the controller to end, and wait until it has said good-bye.

        Raises:
            NoAnswer: it does not.
        """
        with contextlib.suppress(ClusterError):  # it is gone already
            self._io.ask("shutdown", targets=None, hub=True)
        try:
            self._io.gone.result(_GOODBYE_S)
        except TimeoutError as error:
            raise NoAnswer(f"it did not say good-bye within {_GOODBYE_S:g} s") from error


@contextlib.contextmanager
def line_to(connection_file: Path, timeout_s: float = PATIENCE_S) -> Iterator[Line]:
    """Connect to the controller of *connection_file*, and yield the line to it.

    Args:
        connection_file: the one for clients.
        timeout_s: how long connecting, and later each answer, may take, in seconds.

    Raises:
        NoAnswer: something listens there, but does not answer.
        ClusterError: nothing does, or it may not be used.
    """
    from hippodrome.client.link.connecting import AddressSource, connect

    source = AddressSource(path=connection_file, is_question=True)
    try:
        _, io = connect(source, None, timeout_s, max(timeout_s, 1.0), False)
    except TimeoutError as error:
        raise NoAnswer(f"no answer within {timeout_s:g} s") from error
    try:
        yield Line(io, timeout_s)
    finally:
        io.close()


def wait_until(is_so: Callable[[], bool], timeout_s: float) -> bool:
    """Wait until *is_so*, for at most *timeout_s*; return whether it is."""
    deadline = time.monotonic() + timeout_s
    while not is_so():
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.02)
    return True
