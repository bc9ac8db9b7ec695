"""The engine's I/O thread: control messages, and what must not wait for user code to end.

It owns the control connection. While user code runs it also sends outcomes that have been
waiting, and takes in what comes over the task connection.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Final

import zmq

from hippodrome.engine.actions import EngineChannel
from hippodrome.process.wakepipe import WakePipe
from hippodrome.protocol.frames import Frames
from hippodrome.transport.lifeline import Renewals

if TYPE_CHECKING:
    from hippodrome.engine.server import RunningEngine

FAILED: Final = 1
TICK_MS: Final = 500
WATCH_MS: Final = 5
LIVE_MS: Final = 100
FLOOD_MS: Final = 10
FLOOD_BYTES: Final = 1 << 20  # read at one look
LIVE_S: Final = 2.0  # for so long after the last output, the next is waited for


class Listener:
    """The thread and its connection.

    Args:
        engine: whose it is.
        control: the control connection.
        life_fd: a descriptor at whose end of file this process must not live on.
    """

    def __init__(self, engine: RunningEngine, control: zmq.SyncSocket, life_fd: int) -> None:
        self._engine = engine
        self._control = control
        self._life_fd = life_fd
        self._renewals = Renewals(control)
        self._task_renewals = Renewals(engine.tasks)
        self._posted: deque[Frames] = deque()
        self._wakes = WakePipe()
        self._is_watching = False
        self._is_stopping = False
        self._is_busy = False
        self._is_live = False  # something is being shown: look often, and pass it on
        self._is_flood = False  # much comes from C code or children: it must not pile up
        self._is_passing = False  # a large message is half here, or half away
        self._n_read = 0
        self._repeat_ms = WATCH_MS
        self._looked = 0.0
        self._shown = 0.0
        self._ticked = 0.0
        self._thread = threading.Thread(target=self._run, name="hippodrome-io", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def stop(self) -> None:
        """Stop listening, and wait until that is so."""
        self._is_stopping = True
        self._wakes.wake()
        self._thread.join()

    def post(self, frames: Frames) -> None:
        """Send over the control connection. Any thread."""
        self._posted.append(frames)
        if threading.current_thread() is not self._thread:
            self._wakes.wake()

    def watch(self) -> None:
        """Do not let ready outcomes wait for a long task; the caller holds the engine's lock."""
        if not self._is_watching:
            self._is_watching = True
            self._wakes.wake()

    def look(self) -> None:
        """A task has begun to show something. Any thread."""
        if not self._is_live:
            self._is_live, self._shown = True, monotonic()
            self._wakes.wake()

    def _pause_ms(self) -> int:
        if self._is_watching or self._is_passing:
            return WATCH_MS
        if self._is_flood:
            return FLOOD_MS
        pause_ms = LIVE_MS if self._is_live or self._is_busy else TICK_MS
        return min(pause_ms, self._repeat_ms) if self._engine.interrupts.is_pending else pause_ms

    def _repeat_interrupt(self) -> None:
        """See to it that an interrupt is noticed, ever less often the longer it is not."""
        if self._engine.interrupts.is_pending:
            self._repeat_ms = min(2 * self._repeat_ms, TICK_MS)
            self._engine.interrupts.repeat()
        else:
            self._repeat_ms = WATCH_MS

    def _run(self) -> None:
        try:
            self._listen()
        except BaseException as error:  # an engine that hears nothing is of no use to anybody
            self._engine.report(f"the I/O thread failed: {error!r}")
            os._exit(FAILED)

    def _listen(self) -> None:
        poller = zmq.Poller()
        poller.register(self._control, zmq.POLLIN)
        poller.register(self._wakes.fd, zmq.POLLIN)
        poller.register(self._life_fd, zmq.POLLIN)
        engine = self._engine
        with engine.lock:
            engine.perform(engine.core.hello(EngineChannel.CONTROL), EngineChannel.CONTROL)
        while not self._is_stopping:
            self._send_posted()
            events = dict(poller.poll(self._pause_ms()))
            if self._life_fd in events:
                os.kill(os.getpid(), signal.SIGKILL)  # the supervisor is gone
            if self._wakes.fd in events:
                self._wakes.clear()
            if self._control in events:
                self._receive()
            now = monotonic()
            self._tick(now)
            self._look(now)
            self._repeat_interrupt()
        self._send_posted()

    def _receive(self) -> None:
        engine = self._engine
        with suppress(zmq.Again):
            while True:
                frames = self._control.recv_multipart(zmq.NOBLOCK)
                with engine.lock:
                    engine.take(EngineChannel.CONTROL, frames)
                    wakes = engine.core.running is None and engine.core.has_next
                self._send_posted()
                if wakes:
                    engine.wake()

    def _tick(self, now: float) -> None:
        engine = self._engine
        is_due = now - self._ticked >= TICK_MS / 1000
        if not (is_due or self._is_watching or self._is_passing):
            return
        with engine.lock:
            is_busy = engine.core.running is not None or engine.is_aside
            self._is_busy = is_busy
            if is_busy and engine.core.n_outcomes:
                engine.flush()
            elif not engine.core.n_outcomes:
                self._is_watching = False
            if is_due:
                self._ticked = now
                self._look_for_renewals(is_busy)
                engine.perform(engine.core.tick(EngineChannel.CONTROL, now), EngineChannel.CONTROL)
            if is_busy and (is_due or self._is_passing):
                engine.drain()
            if is_busy and is_due:
                engine.perform(engine.core.tick(EngineChannel.TASK, now), EngineChannel.TASK)
            self._is_passing = is_busy and engine.core.is_passing

    def _look_for_renewals(self, is_busy: bool) -> None:
        """Say whose they are where connections have been replaced; the caller holds the lock."""
        engine = self._engine
        if self._renewals.look():
            engine.perform(engine.core.renewed(EngineChannel.CONTROL), EngineChannel.CONTROL)
        if self._task_renewals.look():
            if is_busy:
                engine.perform(engine.core.renewed(EngineChannel.TASK), EngineChannel.TASK)
            else:
                engine.is_renewed = True
                engine.wake()

    def _look(self, now: float) -> None:
        """Take in what has been written, and pass on what is being shown."""
        is_due = now - self._looked >= LIVE_MS / 1000
        if not is_due and not self._is_flood:
            return
        engine = self._engine
        n_before, self._n_read = self._n_read, engine.take_in_output()
        self._is_flood = self._n_read - n_before >= FLOOD_BYTES
        if not is_due:
            return
        self._looked = now
        with engine.lock:
            actions = engine.show()
            engine.perform(actions, EngineChannel.CONTROL)
            published = engine.publish()  # while something runs, so that the channel is ours
            engine.perform(published, EngineChannel.TASK)
        if actions or published:
            self._is_live, self._shown = True, now
        elif now - self._shown > LIVE_S:
            self._is_live = False

    def _send_posted(self) -> None:
        while self._posted:
            with suppress(zmq.Again):
                self._control.send_multipart(self._posted.popleft(), zmq.NOBLOCK)
