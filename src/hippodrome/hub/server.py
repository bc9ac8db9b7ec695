"""The hub's shell: the controller's parent process.

It makes the keys and the private directory, starts the scheduler, writes the connection files once
the endpoint is open, and then lets `HubCore` think. Hub and scheduler share one fate: when either
ends, the other cleans up, tells everyone, and ends too.
"""

from __future__ import annotations

import logging
import os
import shutil
import socket
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import zmq

from hippodrome import _version, paths
from hippodrome.errors import ClusterError, LaunchError, ProtocolError
from hippodrome.hub.config import ControllerConfig
from hippodrome.hub.core import HubCore
from hippodrome.hub.entrance import make_entrance
from hippodrome.hub.larder.choose import open_larder, open_records
from hippodrome.hub.newsof import news_of, together
from hippodrome.hub.query import FramedAnswer, Outgoing
from hippodrome.process.actionlog import note_action
from hippodrome.process.memory import Ebb
from hippodrome.process.signals import stop_pipe
from hippodrome.protocol.frames import decode_hub, encode
from hippodrome.protocol.messages import Listening, ShutDown, ShutDownDone
from hippodrome.protocol.reading import one_line
from hippodrome.scheduler.launch import RunningScheduler, SchedulerProcess, start
from hippodrome.scheduler.settings import SchedulerSettings
from hippodrome.security import connection_file, keys
from hippodrome.security.complaints import Complaints, NewsLog
from hippodrome.security.connection_file import ConnectionInfo
from hippodrome.segments.files import SegmentHome
from hippodrome.segments.kept import KeptSegments
from hippodrome.segments.reference import LEAST_BYTES
from hippodrome.store.choose import NONE

log: logging.Logger = logging.getLogger(__name__)

TICK_S = 0.5
START_TIMEOUT_S = 20.0
GOODBYE_S = 1.0
STOP_TIMEOUT_S = 2.0


def run_controller(
    config: ControllerConfig,
    waiting: SchedulerProcess | None = None,
    check_alone: Callable[[], None] = lambda: None,
) -> int:
    """Run a controller until it is told to stop; returns an exit code.

    Args:
        config: how.
        waiting: a scheduler's process that was forked beforehand, if there is one.
        check_alone: called before the connection files are written, while no other controller
            can write any for this profile; raises a `ClusterError` if another has done so.

    Raises:
        ClusterError: it cannot be started; the message says why.
    """
    with stop_pipe() as stop_fd:
        return Controller(config, stop_fd, waiting, check_alone).run()


class Controller:
    """One controller, from its first file to its last.

    Args:
        config: what it was told.
        stop_fd: becomes readable when it is to stop.
        waiting: as for `run_controller`.
        check_alone: as for `run_controller`.
    """

    def __init__(
        self,
        config: ControllerConfig,
        stop_fd: int,
        waiting: SchedulerProcess | None,
        check_alone: Callable[[], None],
    ) -> None:
        self._entrance = make_entrance(config)
        self._config = config = self._entrance.config
        self._check_alone = check_alone
        self._waiting = waiting
        self._stop_fd = stop_fd
        self._complaints = Complaints(log)
        self._news = NewsLog(log)
        self._client_file = connection_file.client_file(config.security_dir, config.cluster_id)
        self._engine_file = connection_file.engine_file(config.security_dir, config.cluster_id)

    def run(self) -> int:
        """Run it; returns an exit code."""
        socket_dir = self._entrance.socket_dir
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        link = context.socket(zmq.PAIR)
        try:
            for option in (zmq.SNDHWM, zmq.RCVHWM, zmq.LINGER):
                link.setsockopt(option, 0)
            link.bind(f"ipc://{socket_dir}/hub")
            with SegmentHome() as home, self._scheduler(socket_dir, home) as scheduler:
                port = self._wait_listening(link, scheduler)
                with paths.one_at_a_time(self._config.security_dir):
                    try:
                        self._check_alone()
                        self._publish(port)
                    except ClusterError as error:  # a full disk, for one
                        self._say_good_bye(ShutDown(str(error), failed=True), link, scheduler)
                        raise
                return self._serve(link, scheduler)
        finally:
            for path in (self._client_file, self._engine_file):
                connection_file.remove(path, os.getpid())
            shutil.rmtree(socket_dir, ignore_errors=True)
            link.close()
            context.term()

    # ------------------------------------------------------------ start

    @contextmanager
    def _scheduler(self, socket_dir: Path, home: SegmentHome) -> Iterator[RunningScheduler]:
        settings = self._scheduler_settings(socket_dir, home)
        segments = (settings.segments_dir, settings.segments_token)
        if settings.segments_dir:
            with suppress(OSError):  # then nothing in segments is kept
                KeptSegments(*segments).open()
        self._segments = segments if settings.segments_dir else None
        scheduler = start(settings, in_thread=self._config.use_threads, waiting=self._waiting)
        try:
            yield scheduler
        finally:
            scheduler.stop()
            if scheduler.wait(STOP_TIMEOUT_S) is None:
                scheduler.kill()
                scheduler.wait(STOP_TIMEOUT_S)
            scheduler.close()

    def _scheduler_settings(self, socket_dir: Path, home: SegmentHome) -> SchedulerSettings:
        config = self._config
        pairs = self._entrance.pairs
        return SchedulerSettings(
            socket_dir=str(socket_dir),
            hub_address=f"ipc://{socket_dir}/hub",
            scheme=config.scheduler.scheme,
            hwm=config.scheduler.hwm,
            ips=list(self._entrance.ips),
            port=config.port,
            public_key=pairs["server"].public if pairs else "",
            secret_key=pairs["server"].secret.reveal() if pairs else "",
            roles={pairs[role].public: role for role in connection_file.ROLES if pairs},
            segments_dir=str(home.directory or ""),
            segments_token=home.token,
            large_limit=config.hub.large_limit if config.hub.store != NONE else 0,
            hub_pid=os.getpid(),
            leftovers=[str(self._client_file), str(self._engine_file)],
            log_level=logging.getLogger("hippodrome").getEffectiveLevel(),
            log_file=str(config.log_file or ""),
        )

    def _wait_listening(self, link: zmq.Socket[bytes], scheduler: RunningScheduler) -> int:
        """Wait until the endpoint is open, and return its TCP port."""
        poller = zmq.Poller()
        sources = [link, scheduler.ended_fd, self._stop_fd]
        if self._config.parent_fd is not None:
            sources.append(self._config.parent_fd)
        for source in sources:
            poller.register(source, zmq.POLLIN)
        ready = dict(poller.poll(int(START_TIMEOUT_S * 1000)))
        if link in ready:
            message = decode_hub(link.recv_multipart()[0])
            if isinstance(message, Listening):
                return message.port
        if self._stop_fd in ready:
            raise LaunchError("stopped before the endpoint was open")
        if self._config.parent_fd in ready:
            raise LaunchError("the program that started the controller has ended")
        raise LaunchError("the scheduler did not start; its own message says why")

    def _publish(self, port: int) -> None:
        """Write both connection files, and tell whoever waits that peers may connect."""
        config = self._config
        addresses, pairs = self._entrance.addresses(port), self._entrance.pairs
        self._entrance.keep(port)
        for role, path in (("client", self._client_file), ("engine", self._engine_file)):
            pair = pairs.get(role)
            info = ConnectionInfo(
                role=role,
                addresses=addresses,
                server_key=pairs["server"].public if pair else "",
                public_key=pair.public if pair else "",
                secret_key=pair.secret if pair else keys.Secret(""),
                host=socket.gethostname(),
                pid=os.getpid(),
                created=time.time(),
                cluster_id=config.cluster_id,
                version=_version.__version__,
                ssh=config.ssh if role == "client" else config.engine_ssh,
            )
            connection_file.write(path, info)
        log.info("clients connect with %s", self._client_file)
        log.info("listening on %s", ", ".join(addresses))
        if config.ready_fd is not None:
            os.write(config.ready_fd, b"ready\n")
            os.close(config.ready_fd)

    # ------------------------------------------------------------ serve

    def _serve(self, link: zmq.Socket[bytes], scheduler: RunningScheduler) -> int:
        # Not before the scheduler's process has been forked: the store may have threads.
        hub = self._config.hub
        with (
            closing(open_larder(hub, self._segments)) as larder,
            closing(open_records(hub, larder)) as store,
        ):
            return self._serve_with(HubCore(hub, store, larder), link, scheduler)

    def _serve_with(
        self, core: HubCore, link: zmq.Socket[bytes], scheduler: RunningScheduler
    ) -> int:
        poller = zmq.Poller()
        sources = [link, scheduler.ended_fd, self._stop_fd]
        wakers = [fd for fd in (core.store.wake_fd, core.larder.wake_fd) if fd is not None]
        sources += wakers if self._config.parent_fd is None else [*wakers, self._config.parent_fd]
        for source in sources:
            poller.register(source, zmq.POLLIN)
        ebb = Ebb(time.monotonic())
        while True:
            ready = dict(poller.poll(int(TICK_S * 1000)))
            ebb.tick(time.monotonic())
            if scheduler.ended_fd in ready:
                return self._on_scheduler_ended(scheduler)
            for message in self._turn(core, link, ready.keys(), wakers):
                if isinstance(message, ShutDown):
                    log.info("stopping: %s", one_line(message.reason))
                    self._say_good_bye(message, link, scheduler)
                    return 0
                note_action(log, message)
                self._news.tell(news_of(message))
                if not tell(link, message):
                    return self._on_scheduler_ended(scheduler)

    def _turn(
        self,
        core: HubCore,
        link: zmq.Socket[bytes],
        ready: Collection[object],
        wakers: list[int],
    ) -> Iterator[Outgoing]:
        """Do what is to be done, and yield what is to be sent, each before the next is done."""
        yield from together(core.tick(time.monotonic(), time.time()))
        if link in ready:
            yield from self._drain(core, link)
        if any(waker in ready for waker in wakers):
            yield from core.collect()
        if self._stop_fd in ready:
            yield from core.shut_down("the controller was stopped")
        elif self._config.parent_fd in ready:
            yield from core.shut_down("the program that started the controller has ended")

    def _on_scheduler_ended(self, scheduler: RunningScheduler) -> int:
        """Return the exit code: it is no failure if the scheduler was stopped, in order."""
        if scheduler.wait(STOP_TIMEOUT_S) == 0:
            log.info("stopping: the scheduler was stopped, and has said good-bye to everyone")
            return 0
        log.error("the scheduler has died; this controller ends")
        return 1

    def _drain(self, core: HubCore, link: zmq.Socket[bytes]) -> Iterator[Outgoing]:
        while True:
            try:
                found = link.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return
            # what is large is kept as it came; the rest would keep more than itself
            frames = [f.buffer if len(f) >= LEAST_BYTES else f.bytes for f in found]
            out: list[Outgoing] = []
            try:
                out = core.handle(decode_hub(frames[0]), frames[1:])
            except ProtocolError as error:
                self._complaints.warn([f"from the scheduler: {error}"])
            except Exception:  # of one message; everybody else goes on
                self._complaints.fail("a message of the scheduler was dropped")
            yield from together(out)

    def _say_good_bye(
        self, message: ShutDown, link: zmq.Socket[bytes], scheduler: RunningScheduler
    ) -> None:
        """Let the scheduler say good-bye to everyone, and wait until it has, but not for long."""
        if not tell(link, message):
            return
        poller = zmq.Poller()
        poller.register(link, zmq.POLLIN)
        poller.register(scheduler.ended_fd, zmq.POLLIN)
        deadline = time.monotonic() + GOODBYE_S
        while (left_s := deadline - time.monotonic()) > 0:
            ready = dict(poller.poll(int(left_s * 1000) + 1))
            if link in ready:
                if isinstance(decode_hub(link.recv_multipart()[0]), ShutDownDone):
                    return
            elif scheduler.ended_fd in ready:
                return


def tell(link: zmq.Socket[bytes], message: Outgoing) -> bool:
    """Send *message* to the scheduler; return whether it is there to receive it.

    The queue between the two has no limit. So where nothing can be sent at once nobody is at the
    other end, and never will be again: to wait would be to wait for ever.
    """
    try:
        if isinstance(message, FramedAnswer):
            frames = [encode(message.message), *message.buffers]
            link.send_multipart(frames, zmq.NOBLOCK, copy=False)
        else:
            link.send(encode(message), zmq.NOBLOCK)
    except zmq.Again:
        return False
    return True
