"""The supervisor process: spawns engines, watches them, and speaks for them. No user code here.

One thread, one wait: for the controller, for signals, for the parent, for the ends of engines and
for what they write. A death is learned from the operating system at the moment it happens.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any, Final

import zmq

from hippodrome.errors import ClusterError, ProtocolError
from hippodrome.node import actions as do
from hippodrome.node.config import NodeConfig
from hippodrome.node.core import TICK_S, Limits, NodeCore
from hippodrome.node.engines import StartupFailure
from hippodrome.node.forward import Forwarder
from hippodrome.node.reaching import Reaching
from hippodrome.node.segments import OwnSegments, own_segments
from hippodrome.node.spawn import EngineProcess, Nursery, count_oom_kills
from hippodrome.node.template import Started, Template
from hippodrome.node.term import Term
from hippodrome.process.actionlog import note_action
from hippodrome.process.engine_config import EngineConfig, read_failure
from hippodrome.process.introduction import introduction
from hippodrome.process.parent import has_ended, hear_parent
from hippodrome.process.signals import STOPPING, handled, stopping_signals
from hippodrome.process.wakepipe import WakePipe
from hippodrome.protocol.ids import new_peer_id, new_secret, short
from hippodrome.protocol.messages import EngineId, PeerId
from hippodrome.protocol.reading import one_line
from hippodrome.security.complaints import Complaints
from hippodrome.security.connection_file import ConnectionInfo
from hippodrome.transport.lifeline import Finding, Lifeline, Probe
from hippodrome.transport.sockets import is_tunneled

log: logging.Logger = logging.getLogger(__name__)

FAILED: Final = 1
MOST_SAID: Final = 4000  # characters


def run_node(config: NodeConfig, template: Template | None = None) -> int:
    """Run a supervisor and its engines until they are told to stop. On the main thread only.

    Args:
        config: how.
        template: from which engines are forked; without it they are programs of their own.

    Returns:
        the exit code: 0 after an ordered stop, 255 if an engine could not be registered, 1 after
        any other error. The log says what it was.
    """
    nursery, reaching = Nursery(template), Reaching(config)
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    try:
        nursery.prepare(config.n)
        signals = _Signals()
        with signals.pipe() as signal_fd:
            info, (control, data) = reaching.open(
                context, lambda: _look_at_parent(config.parent_fd)
            )
            signals.is_early = False
            with own_segments(data) as segments:
                supervisor = Supervisor(
                    config, info, nursery, control, signal_fd, reaching.probe(), segments
                )
                return supervisor.run()
    except (ClusterError, OSError) as error:
        log.error("%s", error)  # noqa: TRY400 - a sentence, not a traceback: the user can fix this
        return FAILED
    except _StoppedEarly as stopped:
        log.info("stopped by %s", stopped)
        return 0
    finally:
        nursery.close()
        context.destroy(linger=100)
        reaching.close()


class Supervisor:
    """The shell around a `NodeCore`."""

    def __init__(
        self,
        config: NodeConfig,
        info: ConnectionInfo,
        nursery: Nursery,
        control: zmq.Socket[bytes],
        signal_fd: int,
        probe: Probe | None = None,
        segments: OwnSegments | None = None,
    ) -> None:
        self._config = config
        self._info = info
        self._nursery = nursery
        self._control = control
        self._lifeline = Lifeline(control, probe)
        self._signal_fd = signal_fd
        self._uuid = new_peer_id()
        self._engines: dict[PeerId, EngineProcess] = {}
        self._outputs: dict[PeerId, Forwarder] = {}
        self._poller = zmq.Poller()
        self._handlers: dict[Any, Callable[[], object]] = {}  # by descriptor or socket
        self._oom_kills = count_oom_kills()
        self._complaints = Complaints(log)
        self._exit_code: int | None = None
        self._ready_fd = config.ready_fd
        self._look_due = 0.0
        self._uuids = [new_peer_id() for _ in range(config.n)]
        now, secret = time.monotonic(), new_secret()
        term = Term.of(now, config.ends_at - time.time(), config.idle_s)
        said = introduction(is_tunneled=is_tunneled(control))
        limits = _limits_of(config)
        self._core = NodeCore(self._uuid, said, self._uuids, limits, now, secret, term)
        self._segments = segments or OwnSegments()

    def run(self) -> int:
        """Spawn, watch, and return the exit code once no engine is left."""
        self._watch(self._control, self._receive)
        self._watch(self._signal_fd, self._on_signal)
        if self._config.parent_fd is not None:
            self._watch(self._config.parent_fd, self._on_parent)
        self._perform(self._core.hello())
        try:
            for index, uuid in enumerate(self._uuids):
                self._spawn(uuid, index)
            self._nursery.close()
            self._segments.serve(self._core.data)
            while self._exit_code is None:
                self._turn()
        finally:
            self._lifeline.close()
            self._kill_all()
        return self._exit_code

    def _turn(self) -> None:
        wait_s = self._core.wait_s(time.monotonic())
        for descriptor, _ in self._poller.poll(int(1000 * wait_s) + 1):
            handler = self._handlers.get(descriptor)
            if handler is not None:  # else one before it in this turn has ended its engine
                handler()
        for output in self._outputs.values():
            output.flush()
        now = time.monotonic()
        beating = self._engines if self._core.is_beat_due(now) else {}
        busy_s = {uuid: engine.page.busy_s(now) for uuid, engine in beating.items()}
        frozen = [uuid for uuid, engine in beating.items() if engine.is_frozen()]
        started = {uuid: engine.page.started for uuid, engine in beating.items()}
        self._perform(self._core.tick(now, busy_s, frozen, started))
        if now >= self._look_due:
            self._look_due = now + TICK_S
            self._look()

    def _look(self) -> None:
        """See whether the controller is still where it was, and knows this connection."""
        match self._lifeline.look(self._core.silent_s):
            case Finding.RENEWED:
                self._perform(self._core.on_renewed())
            case Finding.ENDED:
                self._perform(self._core.on_controller_ended(time.monotonic()))

    def _spawn(self, uuid: PeerId, index: int) -> None:
        def make_config(started: Started) -> EngineConfig:
            return EngineConfig(
                uuid, self._uuid, self._info.to_dict(), started.page, started.status, os.getpid(),
                self._config.registration_timeout_s,
                self._config.startup,
                stderr_fd=started.error_file,
                log=self._config.engine_log(index),
                ignores_startup_errors=self._config.ignores_startup_errors,
                any_python=self._config.any_python,
                **self._config.of_engine(index),
                segments=self._segments.directory,
            )  # fmt: skip

        engine = self._nursery.start(make_config)
        self._engines[uuid] = engine
        self._outputs[uuid] = self._open_output(index, f"[engine process {engine.pid}] ")
        log.debug("engine %s: started as process %d", short(uuid), engine.pid)
        self._watch(engine.stdout.descriptor, lambda: self._forward(engine))
        self._watch(engine.stderr.descriptor, lambda: self._forward(engine))
        self._watch(engine.status.descriptor, lambda: self._on_status(engine))
        if engine.pidfd is not None:
            self._watch(engine.pidfd, lambda: self._on_death(engine))

    def _open_output(self, index: int, mark: str) -> Forwarder:
        if self._config.log_dir is None:
            return Forwarder(2, mark=mark)
        return Forwarder.to_file(Path(self._config.engine_log(index)), mark)

    def _watch(self, descriptor: Any, handler: Callable[[], object]) -> None:
        self._poller.register(descriptor, zmq.POLLIN)
        self._handlers[descriptor] = handler

    def _unwatch(self, descriptor: Any) -> None:
        if self._handlers.pop(descriptor, None) is not None:
            self._poller.unregister(descriptor)

    # what happens

    def _receive(self) -> None:
        with suppress(zmq.Again):
            while self._exit_code is None:
                frames = self._control.recv_multipart(zmq.NOBLOCK)
                try:
                    self._perform(self._core.receive(frames, time.monotonic()))
                except ProtocolError as error:
                    self._complaints.warn([f"dropped a message: {error}"])
                except Exception:  # of one message; the engines live on
                    self._complaints.fail("dropped a message")

    def _on_signal(self) -> None:
        for signum in os.read(self._signal_fd, 256):
            if signum in STOPPING:
                name = signal.Signals(signum).name
                self._perform(self._core.stop(f"stopping: {name}", time.monotonic()))
            elif signum == signal.SIGUSR1:
                self._perform(self._core.close("SIGUSR1", time.monotonic()))
            elif signum == signal.SIGCHLD:
                for engine in [e for e in self._engines.values() if e.has_ended()]:
                    self._on_death(engine)

    def _on_parent(self) -> None:
        assert self._config.parent_fd is not None
        signals = hear_parent(self._config.parent_fd)
        if signals is None:
            self._unwatch(self._config.parent_fd)
            self._perform(self._core.stop("stopping: the parent process ended", time.monotonic()))
        for engine in self._engines.values():
            engine.send_signal(*signals or ())

    def _forward(self, engine: EngineProcess) -> bool:
        """Pass on what the engine has written; return whether there was anything."""
        some = b""
        for pipe in (engine.stdout, engine.stderr):
            data = pipe.read() if pipe.is_open else b""
            if pipe is engine.stderr:
                engine.keep_tail(data)
            if data:
                self._outputs[engine.uuid].write(data)
            if not pipe.is_open:
                self._unwatch(pipe.descriptor)
            some = some or data
        return bool(some)

    def _on_status(self, engine: EngineProcess) -> None:
        for line in engine.status_lines() if engine.status.is_open else []:
            match line.split(" ", 2):
                case ["joined", number]:
                    self._outputs[engine.uuid].mark = f"[engine {number}] "
                    self._perform(self._core.on_joined(engine.uuid, EngineId(int(number))))
                case ["ready"]:
                    self._perform(self._core.on_ready(engine.uuid))
                case ["failed", *_]:
                    told = read_failure(line.partition(" ")[2])
                    self._core.on_failed(engine.uuid, StartupFailure(*told))
                case ["file", *path]:
                    engine.files.append(" ".join(path))
                case ["left", code, reason]:
                    now = time.monotonic()
                    self._perform(self._core.on_leaving(engine.uuid, int(code), reason, now))
        if not engine.status.is_open:
            self._unwatch(engine.status.descriptor)

    def _on_death(self, engine: EngineProcess) -> None:
        if not engine.has_ended():
            return
        self._on_status(engine)
        for _ in range(_DRAIN_PIECES):  # a child of its own may write on for ever
            if not self._forward(engine):
                break
        for descriptor in (engine.stdout.descriptor, engine.stderr.descriptor,
                           engine.status.descriptor, engine.pidfd):  # fmt: skip
            self._unwatch(descriptor)
        death = engine.bury(self._count_new_oom_kills())
        del self._engines[engine.uuid]
        self._outputs.pop(engine.uuid).close()
        log.debug("engine %s: %s", short(engine.uuid), death.reason)
        self._perform(self._core.on_exited(death, time.monotonic()))

    def _count_new_oom_kills(self) -> int | None:
        before, self._oom_kills = self._oom_kills, count_oom_kills()
        if before is None or self._oom_kills is None:
            return None
        return self._oom_kills - before

    # what is done about it

    def _perform(self, actions: list[do.Action]) -> None:
        for action in actions:
            if not isinstance(action, do.Say):  # which is a line of the log
                note_action(log, action)
            match action:
                case do.SendControl(frames):
                    with suppress(zmq.Again):  # the stream repeats what is lost
                        self._control.send_multipart(frames, zmq.NOBLOCK)
                case do.SendSignal(uuid, signum) if uuid in self._engines:
                    self._engines[uuid].send_signal(signum)
                case do.Terminate(uuid) if uuid in self._engines:
                    self._engines[uuid].send_signal(signal.SIGTERM)
                case do.Kill(uuid) if uuid in self._engines:
                    self._engines[uuid].kill_group()
                case do.Say(text, is_error):
                    level = logging.ERROR if is_error else logging.INFO
                    log.log(level, "%s", one_line(text, MOST_SAID))
                case do.Tell(line):
                    self._tell(line)
                case do.AllRegistered(engines):
                    self._say_ready(engines)
                case do.Exit(exit_code):
                    self._exit_code = exit_code

    def _say_ready(self, engines: tuple[EngineId, ...]) -> None:
        numbers = " ".join(str(engine) for engine in engines)
        log.info("ready: engines %s", numbers)
        self._tell(f"ready {numbers}")
        if self._ready_fd is not None:
            os.close(self._ready_fd)
            self._ready_fd = None

    def _tell(self, line: str) -> None:
        """Tell whoever started this and waits until it is ready."""
        if self._ready_fd is not None:
            with suppress(OSError):  # nobody waits any more
                os.write(self._ready_fd, f"{line}\n".encode())

    def _kill_all(self) -> None:
        """Leave nothing behind, whatever went wrong."""
        for engine in list(self._engines.values()):
            engine.kill_group()
            engine.bury(None)
        for output in self._outputs.values():
            output.close()


_DRAIN_PIECES: Final = 64


def _limits_of(config: NodeConfig) -> Limits:
    return Limits(
        config.registration_timeout_s,
        config.patience_s,
        config.stop_timeout_s,
        config.ignores_startup_errors,
    )


class _StoppedEarly(Exception):
    """A signal came before there was anything to stop."""


def _look_at_parent(parent_fd: int | None) -> None:
    """Raise `_StoppedEarly` if whoever started this has ended."""
    if parent_fd is not None and has_ended(parent_fd):
        raise _StoppedEarly("the end of the parent process")


class _Signals:
    """Turns signals into bytes to read; as long as it is early, into `_StoppedEarly`.

    Attributes:
        is_early: nothing has been started that would have to be stopped.
    """

    def __init__(self) -> None:
        self.is_early = True
        self._wakes = WakePipe()

    @contextmanager
    def pipe(self) -> Iterator[int]:
        """Yield where to read them, once it is not early any more."""
        stopping = handled(stopping_signals(), self._on_signal, signal.SIG_IGN)  # it ends anyway
        with (
            closing(self._wakes),
            stopping,
            handled([signal.SIGCHLD, signal.SIGUSR1], self._on_signal),
        ):
            yield self._wakes.fd

    def _on_signal(self, signum: int, _frame: FrameType | None) -> None:
        if self.is_early and signum in STOPPING:
            raise _StoppedEarly(signal.Signals(signum).name)
        self._wakes.wake(signum)
