"""The settings that a supervisor gives an engine over a pipe, where secrets are safe.

The pipe stays open for as long as the supervisor lives. The other way the engine writes lines:
``joined <engine id>`` when it is registered, ``ready`` when its start-up is over, ``failed
<what, as JSON>`` when that has failed, ``left <exit code> <reason>`` when it leaves.
"""

from __future__ import annotations

import json
import os
import struct
from typing import Any, Final

import msgspec

from hippodrome.process.descriptors import write_all
from hippodrome.protocol.messages import PeerId
from hippodrome.protocol.silence import REGISTRATION_S

MOST_TOLD: Final = 4_000  # characters; the end of a traceback says what happened
_LENGTH: Final = struct.Struct("<I")


class EngineConfig(msgspec.Struct, frozen=True):
    """How one engine starts.

    Attributes:
        uuid: the engine's name.
        node: its supervisor's.
        connection: the content of the connection file.
        page_fd: descriptor of its `Page`.
        status_fd: descriptor to write lines to.
        ignores_startup_errors: serve even if that raises something.
        any_python: try functions of another minor version of Python.
        stderr_fd: descriptor of the file that its descriptor 2 leads into; None: of none.
        supervisor_pid: who its parent must be.
        registration_timeout_s: how long to wait for an engine id.
        startup: source text to run before the first task.
        log: the path of the file that its own output goes into; empty if there is none.
        n_beside: how many engines its supervisor starts, this one included.
        environment: variables that it has besides.
        wanted: the engine id that it asks for; -1 for none.
        mpi: whether it is a rank of MPI, and asks for that as its id.
        segments: the directory of its host's own segments; empty if there is none.
    """

    uuid: PeerId
    node: PeerId
    connection: dict[str, Any]  # Any: as in a connection file
    page_fd: int
    status_fd: int
    supervisor_pid: int
    registration_timeout_s: float = REGISTRATION_S
    startup: str = ""
    ignores_startup_errors: bool = False
    any_python: bool = False
    stderr_fd: int | None = None
    log: str = ""
    n_beside: int = 0
    environment: dict[str, str] = {}
    wanted: int = -1
    mpi: bool = False
    segments: str = ""


def write(descriptor: int, config: EngineConfig) -> None:
    """Send *config* to the engine at the other end."""
    body = msgspec.msgpack.encode(config)
    write_all(descriptor, _LENGTH.pack(len(body)) + body)


def read(descriptor: int) -> EngineConfig:
    """Return what the supervisor sent.

    Raises:
        EOFError: it ended first.
    """
    (length,) = _LENGTH.unpack(_read_exactly(descriptor, _LENGTH.size))
    return msgspec.msgpack.decode(_read_exactly(descriptor, length), type=EngineConfig)


def failure_line(summary: str, text: str) -> str:
    """Return what goes through the pipe of a start-up that failed: what, and the traceback."""
    return "failed " + json.dumps([summary[:MOST_TOLD], text[-MOST_TOLD:]])


def read_failure(line: str) -> tuple[str, str]:
    """Return what `failure_line` was given, whatever follows its first word."""
    try:
        summary, text = json.loads(line)
    except (ValueError, TypeError):
        return line, ""
    return str(summary), str(text)


def _read_exactly(descriptor: int, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = os.read(descriptor, size - len(data))
        if not piece:
            raise EOFError("the supervisor ended before it said what to do")
        data += piece
    return data
