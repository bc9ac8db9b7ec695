"""A kernel in the sense of Jupyter: serves frontends between the tasks of an engine.

What needs user code or IPython happens on the main thread, in the order in which it was asked for;
what a frontend must learn also while that is busy is answered by the thread of the sockets.
"""

from __future__ import annotations

import functools
import os
import secrets
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final  # Any: JSON

import zmq
from jupyter_client.connect import write_connection_file
from jupyter_client.session import Session
from jupyter_core.paths import jupyter_runtime_dir

from hippodrome.engine.attempts import Value
from hippodrome.engine.captured import STREAMS, Captured, Collected, LivePiece, encodable
from hippodrome.engine.interrupts import Stopped
from hippodrome.engine.kernel import messages
from hippodrome.engine.kernel.messages import Aborting, Outgoing, Request, StreamText, as_json
from hippodrome.engine.kernel.sockets import KernelSockets
from hippodrome.protocol.messages import KERNEL

if TYPE_CHECKING:
    from hippodrome.engine.ipython import IPythonAdapter
    from hippodrome.engine.server import RunningEngine

ON_MAIN_THREAD: Final = frozenset(
    {
        "execute_request",
        "complete_request",
        "inspect_request",
        "is_complete_request",
        "history_request",
    }
)


def bind(engine: RunningEngine, name: str, ip: str, ports: Mapping[str, int]) -> Kernel:
    """Return a kernel that serves.

    Args:
        engine: whose main thread and variables it uses.
        name: of the connection file, or its path; may be empty.
        ip: where to listen.
        ports: by socket; 0 is any.

    Raises:
        OSError: the file cannot be written, or a port is taken.
    """
    key = secrets.token_hex(32).encode()
    sockets = KernelSockets(engine.tasks.context, Session(key=key))
    try:
        bound = sockets.bind(ip, ports)
        path = _path(name)
        where: dict[str, Any] = {f"{one}_port": port for one, port in bound.items()}
        write_connection_file(str(path), ip=ip, key=key, **where)
    except BaseException as error:
        sockets.close()
        if isinstance(error, zmq.ZMQError):
            raise OSError(error.errno, f"cannot listen at {ip}: {error}") from None
        raise
    engine.own_file(str(path))
    return Kernel(engine, sockets, str(path))


class Kernel:
    """The sockets and the queue that serve frontends.

    Args:
        engine: whose main thread and variables it uses.
        sockets: bound and not yet started.
        connection_file: the path; removed when the kernel is closed.

    Attributes:
        connection_file: see above.
    """

    def __init__(self, engine: RunningEngine, sockets: KernelSockets, connection_file: str) -> None:
        self.connection_file = connection_file
        self._engine = engine
        self._sockets = sockets
        self._aborting = Aborting()
        self._running: Request | None = None
        self._at_once: dict[str, Callable[[Request], dict[str, Any]]] = {
            "kernel_info_request": lambda _: messages.kernel_info(),
            "comm_info_request": lambda _: {"status": "ok", "comms": {}},
            "interrupt_request": self._interrupt,
            "shutdown_request": _shut_down,
        }
        sockets.start(self._receive, self._look)

    def close(self) -> None:
        """Serve no more."""
        with suppress(OSError):
            os.unlink(self.connection_file)
        self._sockets.close()

    # on the thread of the sockets

    def _receive(self, request: Request) -> None:
        if request.kind in ON_MAIN_THREAD:
            self._engine.run_aside(functools.partial(self._serve, request))
            return
        answer = self._at_once.get(request.kind)
        self._post(messages.status(request, "busy"))
        if answer is not None:
            self._post(messages.reply(request, as_json(answer(request))))
        self._post(messages.status(request, "idle"))

    def _interrupt(self, _request: Request) -> dict[str, Any]:
        """Interrupt what this kernel runs; tasks are interrupted by the cluster's clients."""
        running = self._running
        if running is not None:
            self._engine.interrupts.interrupt(_serial(running))
        return {"status": "ok"}

    def _look(self) -> bool:
        if self._running is None:
            return False
        self._engine.drain_output()
        return True

    # on the main thread

    def _serve(self, request: Request) -> None:
        self._engine.interrupts.serial = _serial(request)
        self._running = request
        self._post(messages.status(request, "busy"))
        is_cell = request.kind == "execute_request"
        if is_cell:
            self._engine.engage(KERNEL)  # tasks had better go elsewhere
        content = self._answer(request)
        if is_cell:
            self._engine.engage("")
        self._running = None
        self._post(messages.reply(request, content))
        self._post(messages.status(request, "idle"))

    def _answer(self, request: Request) -> bytes:
        is_cell = request.kind == "execute_request"
        if is_cell and self._aborting.includes(request):
            return as_json({"status": "aborted"})
        shown = ShownToFrontend(request, self._sockets.post)
        handle = functools.partial(self._handle, request)
        try:
            return self._engine.executor.run_aside(shown, _serial(request), handle)
        except Stopped:
            raise
        except BaseException as error:  # whatever user code raises is its outcome
            return as_json(self._failed(request, error))

    def _handle(self, request: Request, ipython: IPythonAdapter) -> bytes:
        # Takes seconds, the first time, in some releases of IPython.
        from hippodrome.engine.kernel.shell import HANDLERS

        publish = functools.partial(self._publish, request)
        return as_json(HANDLERS[request.kind](ipython, request.content, publish))

    def _failed(self, request: Request, error: BaseException) -> dict[str, Any]:
        failure = self._engine.executor.describe(error)
        lines = failure.traceback.splitlines()
        content = messages.error_content(failure.ename, failure.evalue, lines)
        if request.kind == "execute_request":
            self._aborting.fail(request, self._sockets.n_received)
            self._publish(request, "error", content)
            content |= {"execution_count": self._engine.executor.last_count(), "payload": []}
            content["user_expressions"] = {}
        return {"status": "error", **content}

    # on any thread

    def _publish(self, request: Request, kind: str, content: Mapping[str, Any]) -> None:
        self._post(Outgoing("iopub", kind, as_json(content), request))

    def _post(self, message: Outgoing) -> None:
        self._sockets.post(message)


class ShownToFrontend(Captured):
    """The output that a frontend's request shows: passed on at once, and not kept.

    Threads that the request has started go on to show things there after it is over.

    Args:
        request: what it belongs to.
        post: passes it on. Any thread.
    """

    __slots__ = ("_post", "_request")

    def __init__(self, request: Request, post: Callable[[Outgoing | StreamText], None]) -> None:
        super().__init__()
        self._request = request
        self._post = post

    def close(self) -> None:
        """Stay open, for threads."""

    def add(self, descriptor: int, text: str | int) -> None:
        """Pass on text; a number says how many characters of it are left out."""
        if isinstance(text, int):
            text = f"\n[{text} characters were dropped]\n"
        self._post(StreamText(STREAMS[descriptor - 1], encodable(text), self._request))

    def show(self, kind: str, content: bytes, display_id: str | None) -> None:
        """Pass on a display."""
        self._post(Outgoing("iopub", kind, content, self._request))

    def tell(self, kind: str, content: bytes, buffers: list[bytes], key: object) -> None:
        """Take nothing: frontends of an engine have no widgets."""

    def take_fresh(self) -> list[LivePiece]:
        """Return nothing: it has been passed on."""
        return []

    def publish(self, values: Sequence[Value]) -> None:
        """Take nothing: it is for clients, and none waits for this."""

    def collect(self) -> Collected:
        """Return nothing: it has been passed on."""
        return "", "", None, ()


def _serial(request: Request) -> int:
    """Return a number by which it can be interrupted, and which no attempt has."""
    return -request.number


def _shut_down(request: Request) -> dict[str, Any]:
    """Let the frontend go: an engine belongs to its cluster, and outlives it."""
    return {"status": "ok", "restart": bool(request.content.get("restart", False))}


def _path(name: str) -> Path:
    directory = Path(jupyter_runtime_dir())
    prefix = f"kernel-hippodrome-{socket.gethostname()}-"
    path = directory / (name or f"{prefix}{os.getpid()}.json")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    for other in directory.glob(f"{prefix}*.json"):
        pid = other.stem.removeprefix(prefix)
        if pid.isdigit() and not _is_alive(int(pid)):  # it was killed, and could not do it itself
            other.unlink(missing_ok=True)
    return path


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
