"""The five sockets by which frontends reach an engine, and the thread that owns them."""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final  # Any: what pyzmq's options are

import zmq
from jupyter_client.session import Session

from hippodrome.engine.kernel.messages import Outgoing, Request, StreamText, joined
from hippodrome.process.wakepipe import WakePipe
from hippodrome.protocol.reading import one_line

KINDS: Final = {
    "shell": zmq.ROUTER,
    "iopub": zmq.PUB,
    "stdin": zmq.ROUTER,
    "control": zmq.ROUTER,
    "hb": zmq.REP,
}
IOPUB_HWM: Final = 10_000  # messages that a frontend may be behind before it misses some
LINGER_MS: Final = 300
QUIET_MS: Final = 5000
LOOK_MS: Final = 50  # while a cell runs: for what its children write


class KernelSockets:
    """The sockets; constructed and bound on any one thread, and used on their own.

    Must be closed, also if they could not be bound.

    Args:
        context: to make them in.
        session: signs, checks and packs messages; used by their thread only.
    """

    def __init__(self, context: zmq.SyncContext, session: Session) -> None:
        self._context = context
        self._session = session
        self._sockets: dict[str, zmq.SyncSocket] = {}
        self._outgoing: deque[Outgoing | StreamText] = deque()
        self._is_woken = self._is_stopping = False
        self._wakes = WakePipe()
        self._thread: threading.Thread | None = None
        self.n_received: int = 0

    def bind(self, ip: str, ports: Mapping[str, int]) -> dict[str, int]:
        """Open the sockets, on *ports*, of which 0 is any; return on which, named as there.

        Raises:
            OSError: there is no such address, or a port is taken.
        """
        for name, port in ports.items():
            self._sockets[name] = socket = self._context.socket(KINDS[name])
            socket.linger = LINGER_MS
            if KINDS[name] == zmq.ROUTER:
                socket.router_handover = 1  # a frontend that connects anew is the same
            if name == "iopub":
                socket.sndhwm = IOPUB_HWM
            socket.bind(f"tcp://{ip}:{port or '*'}")
        return {name: _port(socket) for name, socket in self._sockets.items()}

    def start(self, receive: Callable[[Request], None], look: Callable[[], bool]) -> None:
        """Begin to serve.

        Args:
            receive: takes requests, on the thread of the sockets.
            look: called there now and then; says whether to call it again soon.
        """
        arguments = (receive, look)
        self._thread = threading.Thread(
            target=self._run, args=arguments, name="hippodrome-kernel", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Send what is to be sent, and close the sockets."""
        self._is_stopping = True
        if self._thread is not None:
            self._is_woken = False  # what has been written may have been read already
            self._wake()
            self._thread.join()
        for socket in self._sockets.values():
            socket.close()
        self._wakes.close()

    def post(self, message: Outgoing | StreamText) -> None:
        """Send *message*. Any thread; an interrupt may come in the midst of it."""
        if not self._is_stopping:
            self._outgoing.append(message)
            self._wake()

    def _wake(self) -> None:
        if not self._is_woken:
            self._is_woken = True
            self._wakes.wake()

    def _run(self, receive: Callable[[Request], None], look: Callable[[], bool]) -> None:
        poller = zmq.Poller()
        poller.register(self._wakes.fd, zmq.POLLIN)
        for name in ("shell", "control", "hb"):
            poller.register(self._sockets[name], zmq.POLLIN)
        heart = self._sockets["hb"]
        while not self._is_stopping:
            events = dict(poller.poll(LOOK_MS if look() else QUIET_MS))
            if self._wakes.fd in events:
                self._wakes.clear()
                self._is_woken = False
            if heart in events:
                heart.send_multipart(heart.recv_multipart())
            for name in ("control", "shell"):
                if self._sockets[name] in events:
                    self._receive(name, receive)
            self._send_posted()
        self._send_posted()

    def _receive(self, name: str, receive: Callable[[Request], None]) -> None:
        frames = self._sockets[name].recv_multipart()
        try:
            request = self._request(name, frames)
        except Exception:
            return  # no message, or its sender does not know the key
        with _one_at_a_time(request.kind):
            receive(request)

    def _request(self, name: str, frames: list[bytes]) -> Request:
        route, parts = self._session.feed_identities(frames)
        if not isinstance(parts[0], bytes) or len(parts) < 5:
            raise TypeError("too few parts")
        message = self._session.deserialize(parts)
        header, content = message["header"], message["content"]
        if not isinstance(content, dict) or not isinstance(header["msg_type"], str):
            raise TypeError("not a request")
        self.n_received += 1
        return Request(name, route, header, content, self.n_received)

    def _send_posted(self) -> None:
        batch = []
        while self._outgoing:
            batch.append(self._outgoing.popleft())
        for outgoing in joined(batch):
            with _one_at_a_time(outgoing.kind), suppress(zmq.Again):
                self._send(outgoing)

    def _send(self, outgoing: Outgoing) -> None:
        message = self._session.msg(outgoing.kind, parent=outgoing.request.header)
        message["content"] = outgoing.content
        is_public = outgoing.socket == "iopub"
        route = [outgoing.kind.encode()] if is_public else outgoing.request.route
        frames = self._session.serialize(message, route)
        self._sockets[outgoing.socket].send_multipart(frames, zmq.NOBLOCK)


@contextmanager
def _one_at_a_time(kind: str) -> Iterator[None]:
    """Let what goes wrong with one message of a frontend be the end of that message only."""
    try:
        yield
    except Exception as error:
        said = one_line(f"a frontend's {kind!r} cannot be served: {error!r}")
        print(said, file=sys.__stderr__)


def _port(socket: zmq.SyncSocket) -> int:
    endpoint: Any = socket.last_endpoint  # bytes
    return int(endpoint.decode().rpartition(":")[2].rstrip("\0"))
