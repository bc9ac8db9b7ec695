"""The scheduler's shell: sockets, clock and log around the `Broker`.

It owns the one public endpoint. What it does per turn of its loop: take what has arrived, let the
broker think, send what the broker decided. It runs as a process of its own, or as a thread of the
hub's process; the same code either way.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import zmq

from hippodrome.process.memory import Ebb
from hippodrome.process.stowage import Stowage
from hippodrome.protocol.frames import Frames, encode
from hippodrome.protocol.messages import Listening, ShutDown
from hippodrome.scheduler.broker import Broker
from hippodrome.scheduler.burden import Burden
from hippodrome.scheduler.events import Action, Event
from hippodrome.scheduler.reception import Reception
from hippodrome.scheduler.settings import SchedulerSettings
from hippodrome.scheduler.story import told
from hippodrome.security import connection_file
from hippodrome.security.complaints import Complaints, NewsLog
from hippodrome.security.keys import KeyPair, Secret
from hippodrome.security.zap import Authenticator
from hippodrome.segments.files import Segments, remove_directory
from hippodrome.segments.kept import KeptSegments
from hippodrome.segments.shelf import Shelf
from hippodrome.transport.doorman import Doorman
from hippodrome.transport.listen import bind_ipc, bind_tcp
from hippodrome.transport.sockets import can_share, has_message, receive, send_to
from hippodrome.transport.strangers import Strangers

log: logging.Logger = logging.getLogger(__name__)

MESSAGES_PER_TURN = 20  # so that engines are fed while a flood of submissions comes in
LINGER_MS = 500


class SchedulerServer:
    """One scheduler, from its sockets to its end.

    Args:
        settings: see `SchedulerSettings`.
        parent_fd: a pipe's end that becomes readable when the hub's process is gone.
        stop_fd: a descriptor that becomes readable when this process alone was asked to stop;
            None if nobody can.
    """

    def __init__(
        self, settings: SchedulerSettings, parent_fd: int, stop_fd: int | None = None
    ) -> None:
        self._settings = settings
        self._parent_fd = parent_fd
        self._stop_fd = stop_fd
        self._segments = (
            Segments(settings.segments_dir, settings.segments_token)
            if settings.segments_dir
            else None
        )
        self._shelf = Shelf(settings.segments_dir, spare=True)
        self._broker = Broker(
            settings.scheme,
            settings.hwm,
            welcome={
                "scheme": settings.scheme,
                **Segments(settings.segments_dir, settings.segments_token).announce(),
            },
            token=settings.segments_token,
            burden=Burden(Stowage()),
            large_limit=settings.large_limit,
            shelf=self._shelf,
        )
        if log.isEnabledFor(logging.DEBUG):  # so that it costs nothing where nobody reads it
            self._broker.watch(_log)
        self._kept = KeptSegments(settings.segments_dir, settings.segments_token)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._router = self._context.socket(zmq.ROUTER)
        self._hub = self._context.socket(zmq.PAIR)
        self._authenticator: Authenticator | None = None
        self._complaints = Complaints(log)
        self._news = NewsLog(log)
        self._asides = NewsLog(log, logging.DEBUG)
        self._strangers = Strangers(self._router)
        self._doorman = Doorman()

    def run(self) -> int:
        """Serve until the hub says stop or is gone; returns an exit code.

        Raises:
            LaunchError: the TCP address cannot be bound.
        """
        try:
            self._open()
            return self._serve()
        finally:
            self._close()

    def _open(self) -> None:
        settings = self._settings
        self._hub.setsockopt(zmq.SNDHWM, 0)
        self._hub.setsockopt(zmq.RCVHWM, 0)
        self._hub.connect(settings.hub_address)
        bind_ipc(self._router, Path(settings.socket_dir))
        port = 0
        if settings.ips:
            self._authenticator = Authenticator(self._context, settings.roles)
            keys = KeyPair(settings.public_key, Secret(settings.secret_key))
            port = bind_tcp(self._router, settings.ips, settings.port, keys)
        self._hub.send(encode(Listening(port)))

    def _close(self) -> None:
        self._strangers.close()
        self._router.close(LINGER_MS)
        self._hub.close(LINGER_MS)
        if self._authenticator is not None:
            self._authenticator.close()
        self._context.term()

    # ------------------------------------------------------------ the loop

    def _serve(self) -> int:
        poller, broker = self._poller(), self._broker
        ebb = Ebb(time.monotonic())
        while not broker.is_down:
            patience_s = max(0.0, broker.next_tick() - time.monotonic())
            ready = [source for source, _ in poller.poll(int(patience_s * 1000) + 1)]
            if self._parent_fd in ready:
                return self._on_orphaned()
            if self._authenticator is not None and self._authenticator.socket in ready:
                self._authenticator.handle()
            if self._strangers.socket in ready:
                self._look_at_strangers()
            if self._hub in ready:
                self._drain_hub()
            if self._stop_fd in ready:
                self._broker.receive_hub([encode(ShutDown("the controller was stopped"))])
            broker.tick(time.monotonic())
            if self._router in ready:
                with suppress(zmq.Again):
                    self._drain_peers()
            outgoing = broker.flush()
            self._kept.keep(broker.for_hub.take_names())  # before anybody can remove them
            self._send(outgoing)
            self._shelf.remove(broker.take_freed())
            if self._segments is not None and broker.leases.take_lost():
                self._segments.remove_pools()
            self._log_what_happened(broker.reception)
            ebb.tick(time.monotonic())
        return 0

    def _poller(self) -> zmq.Poller:
        """Return what tells which of this process's sources has something."""
        poller = zmq.Poller()
        optional = (self._stop_fd, self._authenticator and self._authenticator.socket)
        given = [source for source in optional if source is not None]
        for source in (self._router, self._hub, self._parent_fd, self._strangers.socket, *given):
            poller.register(source, zmq.POLLIN)
        return poller

    def _log_what_happened(self, reception: Reception) -> None:
        if not (reception.news or reception.complaints):
            return
        self._news.tell(text for text, is_aside in reception.news if not is_aside)
        self._asides.tell(text for text, is_aside in reception.news if is_aside)
        reception.news.clear()
        self._complaints.warn(reception.complaints)
        reception.complaints.clear()

    def _drain_hub(self) -> None:
        with suppress(zmq.Again):
            while True:
                frames = self._hub.recv_multipart(zmq.NOBLOCK)
                try:
                    self._broker.receive_hub(frames)
                except Exception:  # of one message; everybody else goes on
                    self._complaints.fail("a message of the hub was dropped")

    def _drain_peers(self) -> None:
        router = self._router
        for n in range(MESSAGES_PER_TURN):
            if n and not has_message(router):  # of the first we know
                return
            frames = receive(router)
            route = frames[0].bytes
            channel = self._broker.peers.channel_at(route)
            role = None
            if channel is None:
                self._strangers.know(frames[-1], route)
                role = self._role_of(frames[-1])
                self._doorman.come(self._strangers.take_n_come())
                if scarcity := self._doorman.scarcity():
                    self._complaints.warn([scarcity])
                full = str(self._doorman) if self._doorman.is_full() else ""
                self._broker.reception.full = full
            try:
                self._broker.receive(route, role, frames[1:], channel)
            except Exception:  # of one message; everybody else goes on
                self._complaints.fail("a message was dropped")

    def _look_at_strangers(self) -> None:
        """See who has come, and cut off who says nothing, where these take too much room."""
        for route in self._strangers.look():
            self._broker.doubt(route)
        self._doorman.come(self._strangers.take_n_come())
        if n := self._strangers.cut(self._doorman.n_strangers()):
            what = f"cut {n} connections that had not introduced themselves"
            self._complaints.warn([f"{what}: {self._doorman}"])

    def _role_of(self, frame: zmq.Frame) -> str | None:
        """Return the role that a connection's key proves; None on this host."""
        if self._authenticator is None:
            return None
        return self._authenticator.role_of(frame)

    def _send(self, outgoing: Sequence[tuple[bytes | None, Frames]]) -> None:
        for route, frames in outgoing:
            if route is None:
                self._hub.send_multipart(frames, copy=not can_share(frames))
                continue
            try:
                send_to(self._router, route, frames)
            except zmq.ZMQError as error:
                if error.errno != zmq.EHOSTUNREACH:
                    raise
                self._broker.closed(route)

    def _on_orphaned(self) -> int:
        """The hub's process is gone: tell everyone, clean up for it, and end."""
        log.error("the hub has died; this controller ends")
        self._broker.receive_hub(
            [encode(ShutDown("the controller's hub process died", failed=True))]
        )
        self._send([item for item in self._broker.flush() if item[0] is not None])
        for leftover in self._settings.leftovers:
            connection_file.remove(Path(leftover), self._settings.hub_pid)
        # What is bound stays reachable through the open descriptors until it has been flushed.
        shutil.rmtree(self._settings.socket_dir, ignore_errors=True)
        if self._settings.segments_dir:
            remove_directory(self._settings.segments_dir)
        return 1


def _log(what: Event | Action) -> None:
    if text := told(what):
        log.debug("%s", text)


def serve(settings: SchedulerSettings, parent_fd: int, stop_fd: int | None = None) -> int:
    """Run a scheduler in this process; returns an exit code."""
    logging.getLogger("hippodrome").setLevel(settings.log_level)
    return SchedulerServer(settings, parent_fd, stop_fd).run()
