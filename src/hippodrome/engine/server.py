"""The engine process: its main thread runs tasks, its I/O thread listens while it does.

The main thread owns the task connection between attempts: it waits there, so that a task is not
handed from thread to thread. While user code runs, the I/O thread may use that connection; one
lock guards it together with the core, and whoever holds it while nothing runs is the main thread.

Between two attempts the main thread also runs what is none, such as the cells of a frontend.
"""

from __future__ import annotations

import gc
import os
import sys
import traceback
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from threading import Lock
from time import monotonic
from typing import Final

import zmq

from hippodrome.engine import asking, namespace, ranks, uploads
from hippodrome.engine.actions import Action, EngineChannel, Interrupt, Join, Leave, Send, StartOver
from hippodrome.engine.core import EngineCore
from hippodrome.engine.executor import Executor
from hippodrome.engine.interrupts import Interrupts, Stopped
from hippodrome.engine.kernel import binding
from hippodrome.engine.listener import Listener
from hippodrome.engine.output import OutputCapture
from hippodrome.engine.startup import FAILED, StartupFailed
from hippodrome.errors import ClusterError, ProtocolError
from hippodrome.process.engine_config import EngineConfig, failure_line, read
from hippodrome.process.forking import die_with_parent
from hippodrome.process.introduction import introduction
from hippodrome.process.memory import Ebb
from hippodrome.process.page import Page, create_output_file
from hippodrome.process.titles import set_title
from hippodrome.process.wakepipe import WakePipe
from hippodrome.protocol.frames import Frames
from hippodrome.protocol.ids import new_secret
from hippodrome.protocol.messages import START_UP, EngineId
from hippodrome.protocol.reading import one_line
from hippodrome.protocol.stream import LOCAL_SIZES, SIZES
from hippodrome.security.connection_file import ConnectionInfo
from hippodrome.segments.shared import Shared
from hippodrome.transport.connect import open_dealers
from hippodrome.transport.sockets import has_message, is_local, is_tunneled, receive, send

FLUSH_AFTER_S: Final = 0.002
TICK_S: Final = 0.5
QUIET_TICK_S: Final = 5.0
LINGER_MS: Final = 300  # last outcomes go out; nothing else here may hold up the end


def main() -> int:
    """Run an engine as its supervisor says on standard input; returns the exit code."""
    set_title("ipp-engine", "ipengine: engine")
    find_modules_in(os.getcwd())
    life_fd = _keep_standard_input()
    try:
        config = read(life_fd)
    except EOFError:
        return 1  # the supervisor ended, or found that it does not need this engine
    return run_engine(config, life_fd)


def find_modules_in(directory: str) -> None:
    """Let tasks import what lies in *directory*, before all else, as a script does.

    Only now: engines are started with ``python -P``, so that none of their own imports finds a file
    that a user happens to have called ``queue.py``.
    """
    if "PYTHONSAFEPATH" in os.environ:
        return  # this user does not want it
    if sys.flags.safe_path:
        sys.path.insert(0, directory)
    else:
        sys.path[0] = directory


def run_engine(config: EngineConfig, life_fd: int) -> int:
    """Run an engine until it is told to leave.

    Args:
        config: how.
        life_fd: a descriptor at whose end of file this process must not live on.

    Returns:
        the exit code: 255 if it could not register.
    """
    if not die_with_parent(config.supervisor_pid):
        return 1  # it died while this process started
    context = zmq.Context()
    info = ConnectionInfo.from_dict(config.connection)
    try:
        ranks.join(config)
        dealers = open_dealers(context, info, 2, config.registration_timeout_s, is_watched=True)
    except ClusterError as error:
        _tell(config.status_fd, f"left 255 {error}")
        return 255
    before = namespace.install(any_python=config.any_python)
    engine = RunningEngine(config, life_fd, *dealers)  # from here on, __main__ is the user's
    try:
        return engine.run()
    finally:
        del before
        context.destroy(linger=LINGER_MS)
        ranks.leave(config)


def _folder_of_modules() -> str:
    """Return the entry of `sys.path` where `find_modules_in` has been."""
    return "" if "PYTHONSAFEPATH" in os.environ else sys.path[0]


class RunningEngine:
    """The shell around an `EngineCore`. Except where it says otherwise, on the main thread.

    Attributes:
        is_aside: what runs is no attempt; guarded by the lock.
        is_renewed: the task connection was replaced while nothing ran; guarded by the lock.
    """

    def __init__(
        self, config: EngineConfig, life_fd: int, tasks: zmq.SyncSocket, control: zmq.SyncSocket
    ) -> None:
        self.lock: Lock = Lock()
        self.core: EngineCore = EngineCore(
            config.uuid,
            introduction(is_tunneled=is_tunneled(tasks)) | ranks.about(config),
            config.registration_timeout_s,
            sizes=LOCAL_SIZES if is_local(tasks) else SIZES,
            secret=new_secret(),
            engaged=START_UP if config.startup else "",
        )
        self.is_ready: bool = not config.startup
        self.tasks = tasks
        self.exit_code: int = 0
        self.is_leaving: bool = False
        self.is_aside: bool = False
        self.is_renewed: bool = False
        self._aside: deque[Callable[[], None]] = deque()
        self._config = config
        self._page = Page(config.page_fd)
        os.close(config.page_fd)
        os.set_inheritable(config.status_fd, False)
        self._wakes = WakePipe()
        self._poller = zmq.Poller()
        self._poller.register(tasks, zmq.POLLIN)
        self._poller.register(self._wakes.fd, zmq.POLLIN)
        self.interrupts: Interrupts = Interrupts(self._wakes.write_fd)
        self._output = OutputCapture(lambda: self._listener.look())
        shared = Shared(config.segments)
        self.core.links[EngineChannel.TASK].maps = shared.look
        self.executor: Executor = Executor(self._output, shared, self.interrupts.begin)
        self._listener = Listener(self, control, life_fd)
        self._flushed = 0.0

    def run(self) -> int:
        """Serve until told to leave; returns the exit code."""
        self.interrupts.install()
        self.interrupts.restore_in_children()
        stderr_fd = self._config.stderr_fd
        self._output.install(None if stderr_fd is None else (create_output_file(), stderr_fd))
        self.executor.install_ipython(_folder_of_modules())
        asking.install()
        binding.offer(self)
        uploads.offer(self.own_file)
        with self.lock:
            self.perform(self.core.hello(EngineChannel.TASK), EngineChannel.TASK)
        self._listener.start()
        with suppress(Stopped):
            if self._start_up():
                gc.freeze()  # what is here now stays: no collection need look at it again
                self._serve()
        binding.close()
        self._listener.stop()
        self._output.restore()
        return self.exit_code

    def _start_up(self) -> bool:
        """Run what comes before all tasks; return whether the engine may serve."""
        if self.is_ready:
            return True
        while self.core.engine is None and not self.must_end():  # user code may ask who it is
            with self.lock:
                self.drain()
                self._tick()
            self._wait(TICK_S)
        if not self.must_end():
            self._aside.append(partial(self._run_startup, self._config))
            self._run_next_aside()
        return not self.must_end()

    def _run_startup(self, config: EngineConfig) -> None:
        try:
            self.executor.run_startup(config.startup)
        except StartupFailed as error:
            if not config.ignores_startup_errors:
                self.take_in_output()
                _tell(config.status_fd, failure_line(str(error), error.text))
                self.exit_code, self.is_leaving = FAILED, True
                return
        self.is_ready = True
        _tell(config.status_fd, "ready")
        self.engage("")

    def engage(self, what: str) -> None:
        """Say what runs that is no task; empty when that has ended. Any thread."""
        with self.lock:
            self.perform(self.core.engage(what), EngineChannel.TASK)

    def must_end(self) -> bool:
        """Whether no further attempt may start."""
        return self.is_leaving or self.interrupts.is_stopping

    def leave(self, reason: str, exit_code: int) -> None:
        """End as soon as no user code runs. Any thread."""
        if not self.is_leaving:
            self.exit_code = exit_code
            self.is_leaving = True
            _tell(self._config.status_fd, f"left {exit_code} {reason}")
        self.wake()

    def wake(self) -> None:
        """End the main thread's wait. Any thread."""
        self._wakes.wake()

    def run_aside(self, work: Callable[[], None]) -> None:
        """Have *work* done on the main thread, before the next attempt. Any thread."""
        self._aside.append(work)
        self.wake()

    def own_file(self, path: str) -> None:
        """Have a file or folder removed when this process has ended, however. Any thread."""
        _tell(self._config.status_fd, f"file {path}")

    def drain_output(self) -> None:
        """Take in what was written to the descriptors. Any thread."""
        self._output.drain()

    def perform(self, actions: list[Action], here: EngineChannel) -> None:
        """Do what the core said; the caller may use the connection *here*. Any thread."""
        for action in actions:
            match action:
                case Send(channel, frames) if channel is here is EngineChannel.TASK:
                    send(self.tasks, frames)
                case Send(_, frames):
                    self._listener.post(frames)
                case Join(engine):
                    namespace.set_engine_id(engine)
                    _show_as(engine, self._config.connection.get("cluster_id"))
                    _tell(self._config.status_fd, f"joined {engine}")
                    if self.is_ready:
                        _tell(self._config.status_fd, "ready")
                    else:
                        self.wake()  # the start-up waits for it
                case StartOver():
                    self._page.start_over()
                case Interrupt(serial):
                    self.interrupts.interrupt(serial)
                case Leave(reason, exit_code):
                    self.leave(reason, exit_code)

    def take_in_output(self) -> int:
        """Take in what was written behind Python's back; return how many bytes ever were."""
        self._output.drain()
        self._output.settle()
        self._page.passed_on(self._output.passed_on)
        return self._output.n_read

    def show(self) -> list[Action]:
        """Say what the running task has just shown; the caller holds the lock."""
        return self.core.show(self._output.take_live()) if self.core.may_show() else []

    def publish(self) -> list[Action]:
        """Say what the running task has just published; the caller holds the lock."""
        return self.core.publish(self._output.take_values()) if self.core.may_publish() else []

    def drain(self) -> None:
        """Take in all that has come over the task connection; the caller holds the lock."""
        while has_message(self.tasks):
            frames = receive(self.tasks)
            self.take(EngineChannel.TASK, [frame.buffer for frame in frames])

    def take(self, channel: EngineChannel, frames: Frames) -> None:
        """Handle one message, whatever it is; the caller holds the lock. Any thread."""
        try:
            self.perform(self.core.receive(channel, frames), channel)
        except ProtocolError as error:
            self.report(f"dropped a message: {error}")
        except Exception as error:  # of one message; the task that runs goes on
            self.report(f"dropped a message: {error!r} {_place_of(error)}")

    def flush(self) -> None:
        """Send the outcomes that are ready; the caller holds the lock."""
        self.perform(self.core.flush(), EngineChannel.TASK)

    def report(self, text: str) -> None:
        """Say something to whoever reads this process's own error output. Any thread."""
        with suppress(OSError):
            line = f"engine {os.getpid()}: {one_line(text)}\n"
            os.write(2, line.encode("utf-8", "backslashreplace"))

    def _tick(self) -> None:
        self.perform(self.core.tick(EngineChannel.TASK, monotonic()), EngineChannel.TASK)

    def _wait(self, pause_s: float) -> None:
        """Wait for a message, or to be woken, and for no longer than that."""
        for source, _ in self._poller.poll(int(pause_s * 1000)):
            if source == self._wakes.fd:
                self._wakes.clear()

    def _serve(self) -> None:
        ebb = Ebb(monotonic())
        while not self.must_end():
            with self.lock:
                self.drain()
            self._run_ready()
            if self.must_end():
                return
            if self._aside:
                self._run_next_aside()
                continue  # so that neither side has to wait for all of the other's
            self.interrupts.install()
            ebb.tick(monotonic())
            with self.lock:
                if self.is_renewed:
                    self.is_renewed = False
                    self.perform(self.core.renewed(EngineChannel.TASK), EngineChannel.TASK)
                self._tick()
                pause_s = QUIET_TICK_S if self.core.is_quiet(EngineChannel.TASK) else TICK_S
            self._wait(pause_s)

    def _run_ready(self) -> None:
        """Run attempts for as long as there are any that may start."""
        lock, core, page, run = self.lock, self.core, self._page, self.executor.run
        interrupts, aside = self.interrupts, self._aside
        with lock:  # no task may find, or kill, an engine that has no number yet
            start = core.next_attempt() if core.engine is not None else None
        now = monotonic()
        while start is not None:
            page.start(start.serial, now)
            interrupts.serial = start.serial
            ended = run(start)
            now = monotonic()
            with lock:
                if ended.ends_cells:
                    self.drain()  # for those that have come meanwhile
                core.finish(ended)
                if now - self._flushed >= FLUSH_AFTER_S:
                    self.flush()
                    self._flushed = now
                    self.drain()
                start = None if aside or self.must_end() else core.next_attempt()
                if start is not None and (core.n_outcomes or core.is_passing):
                    self._listener.watch()
        page.idle()
        self._output.rest()
        with lock:
            self.flush()

    def _run_next_aside(self) -> None:
        with self.lock:
            self.is_aside = True  # the I/O thread may use the task connection meanwhile
        try:
            self._aside.popleft()()
        finally:
            with self.lock:
                self.is_aside = False


def _keep_standard_input() -> int:
    """Move standard input out of reach of user code, which finds an empty one instead."""
    life_fd = os.dup(0)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    return life_fd


def _place_of(error: Exception) -> str:
    """Say where in our code an error arose."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"at {place.filename}:{place.lineno}"


def _show_as(engine: EngineId, cluster_id: object) -> None:
    """Let ``ps`` and ``top`` show which engine this is."""
    of = f" of cluster {cluster_id}" if cluster_id else ""
    set_title(f"ipp-engine-{engine}", f"ipengine: engine {engine}{of}")


def _tell(status_fd: int, line: str) -> None:
    with suppress(OSError):  # the supervisor is gone, and so will be this process
        os.write(status_fd, line.replace("\n", " ").encode() + b"\n")
