"""The template: a warm process from which engines are forked while a supervisor starts.

It has imported all that an engine needs, runs no thread and opens no socket, and forks an engine
for each request. It forks twice: what is in between ends at once, so that the supervisor adopts
the engine, and learns of its end as of any child's. It is not needed afterwards, and never
outlives the supervisor.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final  # Any: what signal.signal returns

from hippodrome.process import forking
from hippodrome.process.titles import set_title

_REPLY: Final = struct.Struct("=iiii")
_PATH_BYTES: Final = 1 << 14
_PATIENCE_S: Final = 20.0  # before engines are started without it


class TemplateLost(Exception):
    """The template has ended, or cannot fork; there is nothing to wait for."""


@dataclass(frozen=True, slots=True)
class Theirs:
    """An engine's ends of what connects it with its supervisor."""

    stdin: int
    stdout: int
    stderr: int
    page: int
    status: int
    error_file: int

    def all(self) -> list[int]:
        """Return all descriptors."""
        return [self.stdin, self.stdout, self.stderr, self.page, self.status, self.error_file]


@dataclass(frozen=True, slots=True)
class Started:
    """A process that will be an engine once it is told which.

    Attributes:
        pid: its process id; it is a child of this process.
        page, status, error_file: the numbers of these descriptors there.
    """

    pid: int
    page: int
    status: int
    error_file: int


class Template:
    """The supervisor's side of it.

    Attributes:
        pid: the template's process id.
    """

    def __init__(self, pid: int, link: socket.socket) -> None:
        self.pid = pid
        self._link = link
        link.settimeout(_PATIENCE_S)

    def request(self, theirs: Theirs) -> None:
        """Ask for an engine, and do not wait for it; *theirs* may be closed then.

        Raises:
            TemplateLost: see there.
        """
        try:
            socket.send_fds(self._link, [os.fsencode(os.getcwd())], theirs.all())
        except OSError as error:
            raise TemplateLost from error

    def collect(self) -> Started:
        """Return what came of the first request that has not been collected.

        Raises:
            TemplateLost: see there.
        """
        try:
            reply = self._link.recv(_REPLY.size)
        except OSError as error:
            raise TemplateLost from error
        if not reply:
            raise TemplateLost
        return Started(*_REPLY.unpack(reply))

    def close(self) -> None:
        """End it. It holds nothing that would have to be given back in order."""
        self._link.close()
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def start_template() -> Template | None:
    """Fork the template off this process; None where that cannot be done.

    Best done before anything is imported or set up that engines should not have.
    """
    if not forking.can_fork():
        return None
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    supervisor = os.getpid()
    pid = forking.fork(lambda: _serve(theirs, supervisor), keep=[theirs.fileno()])
    theirs.close()
    return Template(pid, ours)


def _serve(link: socket.socket, supervisor: int) -> int:
    on_interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's is not for us
    if not forking.die_with_parent(supervisor):
        return 1
    set_title("ipp-template", "ipengine: template")
    from hippodrome.engine.server import main

    with suppress(OSError):  # nobody asks any more, or there is no room: the supervisor notices
        return _fork_engines(link, main, on_interrupt)
    return 1


def _fork_engines(link: socket.socket, engine: Callable[[], int], on_interrupt: Any) -> int:
    def be_engine() -> int:
        link.close()
        os.setsid()  # from here on a terminal's Ctrl-C does not reach it
        signal.signal(signal.SIGINT, on_interrupt)
        _settle_in(os.fsdecode(directory), descriptors[:3])
        return engine()

    gc.freeze()  # no collection in an engine shall touch, and so copy, what they all share
    while True:
        directory, descriptors, _, _ = socket.recv_fds(link, _PATH_BYTES, len(Theirs.__slots__))
        if not directory:
            return 0  # the supervisor has ended, or was never told to start engines
        pid = forking.fork_orphan(be_engine)
        link.send(_REPLY.pack(pid, *descriptors[3:]))
        for descriptor in descriptors:
            os.close(descriptor)


def _settle_in(directory: str, standard: list[int]) -> None:
    """Make this process what `hippodrome.engine.spawned` would be, started in *directory*."""
    from hippodrome.engine import server

    for number, descriptor in enumerate(standard):
        os.dup2(descriptor, number)
        os.close(descriptor)
    for name, stream in (
        ("stdin", open(0, closefd=False)),  # noqa: SIM115 - they stay open
        ("stdout", open(1, "w", closefd=False)),  # noqa: SIM115
        ("stderr", open(2, "w", 1, errors="backslashreplace", closefd=False)),  # noqa: SIM115
    ):
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    with suppress(OSError):  # it is gone; where the template is will have to do
        os.chdir(directory)
    server.find_modules_in(directory)
    sys.argv = [os.path.join(os.path.dirname(server.__file__), "spawned.py")]
    if "numpy.random" in sys.modules:  # `random` does this by itself
        sys.modules["numpy.random"].seed()
