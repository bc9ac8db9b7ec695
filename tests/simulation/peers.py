"""The processes around the controller: engines, supervisors, clients. Real cores, played shells."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from hippodrome.client.link import core as client_core
from hippodrome.client.link import events as ce
from hippodrome.engine import actions as engine_actions
from hippodrome.engine.actions import EngineChannel
from hippodrome.engine.attempts import AttemptEnded, StartAttempt
from hippodrome.engine.core import EngineCore
from hippodrome.errors import ProtocolError
from hippodrome.node import actions as node_actions
from hippodrome.node.core import Limits, NodeCore
from hippodrome.protocol.frames import Frames
from hippodrome.protocol.functions import UNUSED_BYTES
from hippodrome.protocol.link import Link
from hippodrome.protocol.messages import (
    Death,
    EngineId,
    Failure,
    MsgId,
    PeerId,
    Result,
    SubmitDirect,
    Task,
)
from simulation.invariants import Violation, demand, result_of
from simulation.network import Connection, Gate
from simulation.scenario import FUNCTIONS, PATIENCE_S, SHORT_PATIENCE_S, Call

if TYPE_CHECKING:
    from simulation.world import World

TICK_S = 0.5
FLUSH_AFTER_S = 0.002
WATCH_S = 0.005
HURRIED = Limits(registration_timeout_s=5.0, patience_s=10.0)
LIMITS = {  # by how much silence is waited out
    PATIENCE_S: Limits(patience_s=PATIENCE_S),
    SHORT_PATIENCE_S: Limits(registration_timeout_s=5.0, patience_s=SHORT_PATIENCE_S),
}


class Process:
    """What all peers have: connections, gates, and an end."""

    role = ""
    channels: tuple[str, ...] = ()

    def __init__(self, world: World, name: str, *, is_local: bool) -> None:
        self.world = world
        self.name = name
        self.is_local = is_local
        key_role = {"client": "client"}.get(self.role, "engine")
        self.key_role = None if is_local else key_role  # proved by a key on TCP only
        self.gate, self.up, self.down = Gate(), Gate(), Gate()
        self.is_alive = True
        self.connections = {
            channel: world.network.connect(self, self.role, channel) for channel in self.channels
        }

    def put(self, channel: str, frames: Frames) -> None:
        self.world.network.send_up(self.connections[channel], frames)

    def on_frames(self, connection: Connection, frames: Frames) -> None:
        if self.is_alive and self.connections[connection.channel] is connection:
            try:
                self.receive(connection.channel, frames)
            except ProtocolError as error:
                raise Violation(f"{self.name} was sent what it cannot read: {error}") from error

    def replace(self, channel: str, *, noticed: bool) -> None:
        self.connections[channel] = self.world.network.replace(self.connections[channel])
        if noticed:
            self.world.clock.after(0.01, self.on_connected, self.connections[channel])

    def on_connected(self, connection: Connection) -> None:
        if self.is_alive and self.connections[connection.channel] is connection:
            self.hello(connection.channel)

    def end(self) -> None:
        self.is_alive = False
        for connection in self.connections.values():
            self.world.network.close(connection)

    def every(self, seconds: float) -> None:
        """Tick, unless it is paused, and again and again."""
        if not self.is_alive:
            return
        clock = self.world.clock
        if self.gate.is_shut(clock.now):
            clock.at(self.gate.until, self.every, seconds)
            return
        self.tick(clock.now)
        clock.after(seconds, self.every, seconds)

    def receive(self, channel: str, frames: Frames) -> None:
        raise NotImplementedError

    def hello(self, channel: str) -> None:
        raise NotImplementedError

    def tick(self, now: float) -> None:
        raise NotImplementedError


class EngineProcess(Process):
    """An engine: its main thread runs one task at a time and reads the task channel between."""

    role = "engine"
    channels = ("task", "control")

    def __init__(self, world: World, name: str, node: NodeProcess) -> None:
        super().__init__(world, name, is_local=node.is_local)
        self.node = node
        self.uuid = PeerId(name)
        info: dict[str, str | int] = {"host": node.name, "pid": 1, "node": node.uuid}
        limit_bytes = 0 if world.scenario.is_forgetful else UNUSED_BYTES
        self.core = EngineCore(self.uuid, info, function_bytes=limit_bytes, secret=name.encode())
        self.engine: EngineId | None = None
        self.page = 0
        self._flushed = 0.0
        self._inbox: deque[Frames] = deque()
        for channel in self.channels:
            self.hello(channel)
        self.every(TICK_S)

    @property
    def is_busy(self) -> bool:
        return self.core.running is not None

    def hello(self, channel: str) -> None:
        self.perform(self.core.hello(EngineChannel(channel)))

    def receive(self, channel: str, frames: Frames) -> None:
        if channel == "task" and self.is_busy:
            self._inbox.append(frames)
            return
        self.perform(self.core.receive(EngineChannel(channel), frames))
        self.turn()

    def tick(self, now: float) -> None:
        self.perform(self.core.tick(EngineChannel.CONTROL, now))
        if self.is_busy:
            self._drain()
        self.perform(self.core.tick(EngineChannel.TASK, now))
        self.turn()

    def turn(self) -> None:
        """The main thread is free: start what may start, or send what is ready."""
        if self.is_busy or not self.is_alive:
            return
        start = self.core.next_attempt()
        if start is None:
            self.perform(self.core.flush())
            demand(self.core.n_outcomes == 0, f"{self.name} is idle and keeps outcomes back")
            return
        self.begin(start)

    def begin(self, start: StartAttempt) -> None:
        world, name = self.world, f"{start.msg_id}/{start.attempt}"
        demand(start.serial > self.page, f"{self.name} starts serial {start.serial} late")
        self.page = start.serial
        call = world.calls[start.msg_id]
        seconds, status = call.run(start.attempt)
        world.note(f"{self.name} starts {name}, {seconds:.3f} s")
        world.judge.started(start.msg_id, start.attempt, self.engine, status)
        demand(start.pickle == FUNCTIONS[start.function], f"{name}: a wrong function")
        came = (bytes(start.payload), *(bytes(buffer) for buffer in start.buffers))
        demand(came == payload_of(call), f"{name}: wrong arguments {came!r}")
        if self.core.n_outcomes:
            world.clock.after(WATCH_S, self._watch)
        world.clock.after(seconds, self._finish, start, status)

    def _watch(self) -> None:
        if self.is_alive and self.is_busy:
            self.perform(self.core.flush())

    def _finish(self, start: StartAttempt, status: str) -> None:
        clock = self.world.clock
        if not self.is_alive:
            return
        if self.gate.is_shut(clock.now):
            clock.at(self.gate.until, self._finish, start, status)
            return
        now, text = clock.now, result_of(start.msg_id, start.attempt)
        big = not start.payload
        failure = None if status == "ok" else Failure("ValueError", status)
        payload = b"" if big or status != "ok" else text
        buffers = [text] if big and status == "ok" else []
        self.core.finish(AttemptEnded(status, now, 0.001, payload, buffers, failure))
        if now - self._flushed >= FLUSH_AFTER_S:
            self._flushed = now
            self.perform(self.core.flush())
            self._drain()
        self.turn()
        self._drain_if_free()

    def _drain(self) -> None:
        while self._inbox and self.is_alive:
            self.perform(self.core.receive(EngineChannel.TASK, self._inbox.popleft()))

    def _drain_if_free(self) -> None:
        while self._inbox and not self.is_busy:
            self._drain()
            self.turn()

    def perform(self, actions: list[engine_actions.Action]) -> None:
        for action in actions:
            match action:
                case engine_actions.Send(channel, frames):
                    self.put(channel.value, frames)
                case engine_actions.Join(engine):
                    demand(self.engine in (None, engine), f"{self.name} is given another id")
                    self.engine = engine
                    self.node.engine_joined(self)
                case engine_actions.StartOver():
                    self.world.note(f"{self.name} starts over")
                    self.page = 0
                case engine_actions.Leave(reason, exit_code):
                    self.world.note(f"{self.name} leaves: {reason}")
                    self.node.engine_leaves(self, exit_code, reason)

    def check(self) -> None:
        self.core.check()


class NodeProcess(Process):
    """A supervisor with its engines: beats for them, tells of their deaths."""

    role = "node"
    channels = ("control",)

    def __init__(self, world: World, name: str, n_engines: int, *, is_local: bool) -> None:
        super().__init__(world, name, is_local=is_local)
        self.uuid = PeerId(name)
        names = [f"{name}e{n}" for n in range(n_engines)]
        info: dict[str, str | int] = {"host": name, "pid": 1}
        uuids = [PeerId(name) for name in names]
        limits, now = LIMITS.get(world.scenario.silence_s, HURRIED), world.clock.now
        self.core = NodeCore(self.uuid, info, uuids, limits, now, name.encode())
        self.hello("control")
        self.engines = [EngineProcess(world, name, self) for name in names]
        self.every(TICK_S)

    @property
    def link(self) -> Link:
        return self.core.link

    def engine_ended(self, engine: EngineProcess, exit_code: int | None) -> None:
        """The operating system says so."""
        if not engine.is_alive:
            return
        engine.end()
        self.engines.remove(engine)
        signal = 9 if exit_code is None else None
        death = Death(engine.uuid, exit_code, signal, engine.page, expected=False)
        self.world.clock.after(0.02, self._on_exited, death)

    def engine_joined(self, engine: EngineProcess) -> None:
        assert engine.engine is not None
        self.perform(self.core.on_joined(engine.uuid, engine.engine))

    def engine_leaves(self, engine: EngineProcess, exit_code: int, reason: str) -> None:
        self.perform(self.core.on_leaving(engine.uuid, exit_code, reason, self.world.clock.now))
        self.engine_ended(engine, exit_code)

    def _on_exited(self, death: Death) -> None:
        clock = self.world.clock
        if not self.is_alive:
            return
        if self.gate.is_shut(clock.now):
            clock.at(self.gate.until, self._on_exited, death)
            return
        self.perform(self.core.on_exited(death, clock.now))

    def hello(self, channel: str) -> None:
        self.perform(self.core.hello())

    def receive(self, channel: str, frames: Frames) -> None:
        self.perform(self.core.receive(frames, self.world.clock.now))

    def tick(self, now: float) -> None:
        self.perform(self.core.tick(now, {}))

    def perform(self, actions: list[node_actions.Action]) -> None:
        for action in actions:
            match action:
                case node_actions.SendControl(frames):
                    self.put("control", frames)
                case node_actions.Terminate(uuid) | node_actions.Kill(uuid):
                    for engine in [e for e in self.engines if e.uuid == uuid]:
                        self.world.clock.after(0.01, self.engine_ended, engine, 0)
                case node_actions.Say(text):
                    self.world.note(f"{self.name} says: {text}")
                case node_actions.Exit():
                    self.world.note(f"{self.name} exits")
                    self.die()

    def die(self) -> None:
        """The whole host is gone; unless the supervisor left in order, without a word."""
        self.end()
        for engine in self.engines:
            engine.end()
        self.engines = []
        self.world.host_is_gone()

    def check(self) -> None:
        self.core.check()


class ClientProcess(Process):
    """A client's core and its I/O thread."""

    role = "client"
    channels = ("task", "control")

    def __init__(self, world: World, name: str, *, is_local: bool) -> None:
        super().__init__(world, name, is_local=is_local)
        self.uuid = PeerId(name)
        info: dict[str, str | int] = {"host": name, "pid": 1}
        patience_s = LIMITS.get(world.scenario.silence_s, HURRIED).patience_s
        self.core = client_core.ClientCore(self.uuid, info, patience_s, secret=name.encode())
        self.present: set[EngineId] = set()
        self.was_lost = False
        self.feed(ce.Connected())
        self.every(TICK_S)

    def hello(self, channel: str) -> None:
        for frames in self.core.links[channel].hello():
            self.put(channel, frames)

    def receive(self, channel: str, frames: Frames) -> None:
        self.feed(ce.FramesArrived(channel, frames))

    def tick(self, now: float) -> None:
        self.feed(ce.Ticked(now))

    def submit(self, calls: list[Call]) -> None:
        """Submit in one turn all that the user asks for at this moment."""
        if not self.is_alive:
            return
        for call in calls:
            payload, *buffers = payload_of(call)
            blob = FUNCTIONS[call.function]
            if not call.n_direct:
                task = Task(call.msg_id, call.function, payload, len(buffers), call.options)
                self.feed(ce.TaskSubmitted(task, blob, buffers, self))
                continue
            targets = [EngineId(n) for n in sorted(self.present)[: call.n_direct]] or [EngineId(77)]
            msg_ids = [MsgId(f"{call.msg_id}.{n}") for n in range(len(targets))]
            for msg_id in msg_ids:
                self.world.calls[msg_id] = call
            message = SubmitDirect(msg_ids, targets, call.function, payload, len(buffers))
            self.feed(ce.SubmittedDirect(message, blob, buffers, self))
        self.feed(ce.Turned())

    def abort(self, pick: float) -> None:
        if not self.is_alive:
            return
        pending = sorted(self.core.tasks.pending)
        chosen = pending[: int(pick * len(pending)) + 1]
        self.world.note(f"{self.name} aborts {'all' if pick > 0.8 else chosen}")
        self.feed(ce.AbortRequested(None if pick > 0.8 else tuple(chosen)))

    def feed(self, event: ce.ClientEvent) -> None:
        if not self.is_alive:
            return
        for action in self.core.handle(event):
            match action:
                case ce.SendFrames(channel, frames):
                    self.put(channel, frames)
                case ce.Resolve(result, buffers):
                    self.resolve(result, buffers)
                case ce.ResolveAll(results):
                    for result in results:
                        self.resolve(result, ())
                case ce.EnginesChanged(present):
                    self.present = set(present)
                case ce.Lose(reason):
                    self.world.note(f"{self.name} gives up: {reason}")
                    self.was_lost = True
                    self.world.controller_lost(self, reason)
                case ce.Note(text):
                    was_damaged = self.world.network.n_damaged > 0
                    demand(was_damaged, f"{self.name} notes: {text}")
        self.core.tasks.resolving.clear()  # as the shell does, when all have been told

    def resolve(self, result: Result, buffers: tuple[object, ...]) -> None:
        demand(result.n_buffers == len(buffers), f"{result.msg_id}: {len(buffers)} buffers")
        payload = bytes(buffers[0]) if buffers else result.payload  # type: ignore[call-overload]
        self.world.note(f"{self.name} is told {result.msg_id}/{result.attempt}: {result.status}")
        self.world.judge.client_told(self.uuid, result, payload)

    def check(self) -> None:
        self.core.check()


def payload_of(call: Call) -> tuple[bytes, ...]:
    """Return the arguments of a call: payload and buffers."""
    text = call.msg_id.encode()
    return (b"", text, b"buffer of " + text) if call.is_big else (text,)
