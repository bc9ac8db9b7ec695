"""A controller's endpoint alone: it lets peers in by their keys, and tells their roles."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import zmq

from hippodrome.security import zap
from hippodrome.security.connection_file import ConnectionInfo
from hippodrome.security.keys import KeyPair, generate
from hippodrome.transport import connect, listen

Context = zmq.Context[zmq.Socket[bytes]]


class Endpoint:
    """A ROUTER as the scheduler has it, that answers each message with its sender's role."""

    def __init__(self, directory: Path, ip: str = "127.0.0.1") -> None:
        self.server, self.client, self.engine = generate(), generate(), generate()
        self.context: Context = zmq.Context()
        roles = {self.client.public: "client", self.engine.public: "engine"}
        self.authenticator = zap.Authenticator(self.context, roles)
        self.router = self.context.socket(zmq.ROUTER)
        self.ipc = listen.bind_ipc(self.router, directory)
        self.port = listen.bind_tcp(self.router, [ip], 0, self.server)
        self.tcp = f"tcp://127.0.0.1:{self.port}"
        self._stop, self._stopped = os.pipe()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def info(self, *addresses: str, keys: KeyPair | None = None) -> ConnectionInfo:
        keys = keys or self.client
        return ConnectionInfo(
            "client",
            addresses,
            self.server.public,
            keys.public,
            keys.secret,
            socket.gethostname(),
            os.getpid(),
        )

    def _serve(self) -> None:
        poller = zmq.Poller()
        for source in (self._stop, self.authenticator.socket, self.router):
            poller.register(source, zmq.POLLIN)
        while self._stop not in (ready := dict(poller.poll())):
            if self.authenticator.socket in ready:
                self.authenticator.handle()
            if self.router in ready:
                self._answer()

    def _answer(self) -> None:
        identity, message = self.router.recv_multipart(copy=False)
        try:
            role = self.authenticator.role(str(message.get("User-Id")))
        except zmq.ZMQError:
            role = "local"
        self.router.send_multipart([identity.bytes, str(role).encode()])

    def close(self) -> None:
        os.write(self._stopped, b"\0")
        self._thread.join()
        self.router.close()
        self.authenticator.close()
        self.context.term()
        os.close(self._stop)
        os.close(self._stopped)


def roles(dealers: list[connect.Dealer]) -> list[str]:
    """Send a message over each socket, close it, and return what each is answered."""
    for dealer in dealers:
        dealer.send(b"who am I?")
    assert all(dealer.poll(5000) for dealer in dealers)
    answers = [dealer.recv().decode() for dealer in dealers]
    for dealer in dealers:
        dealer.close()
    return answers
