"""The hub: membership, liveness, records, queries. It observes; no task waits for it.

Pure: messages of the scheduler and the passing of time go in, messages for the scheduler come
out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Final

from hippodrome.errors import ProtocolError
from hippodrome.hub.config import HubConfig
from hippodrome.hub.larder.base import Larder, NoLarder
from hippodrome.hub.liveness import Attention, Liveness, Silence
from hippodrome.hub.queries import Queries
from hippodrome.hub.query import FramedAnswer, Outgoing, QueryOutcome
from hippodrome.hub.recorder import Recorder
from hippodrome.hub.registry import MOST_ENGAGED, Engine, EngineStatus, Registry
from hippodrome.protocol import messages as m
from hippodrome.protocol.frames import Frames, encode
from hippodrome.protocol.messages import PeerId
from hippodrome.protocol.reading import one_line
from hippodrome.segments.reference import large_bytes
from hippodrome.store.base import Store
from hippodrome.store.memory import MemoryStore
from hippodrome.store.times import known_or_zero

SCAN_S: Final = 0.2  # between looks at who is silent, which take time in proportion to engines


@dataclass(frozen=True, slots=True)
class HubSnapshot:
    """The numbers that sum up the hub."""

    members: int
    suspects: int
    records: int


class HubCore:
    """Everything that the hub process decides.

    Args:
        config: its limits.
        store: where records go; in memory if not given.
        larder: where their large buffers go; nowhere if not given.
    """

    def __init__(
        self,
        config: HubConfig | None = None,
        store: Store | None = None,
        larder: Larder | None = None,
    ) -> None:
        config = config or HubConfig()
        self.registry: Registry = Registry()
        if store is None:
            store = MemoryStore(config.record_limit, config.size_limit)
        self.store = store
        self._attention = Attention()
        self.larder: Larder = larder or NoLarder()
        self._nodes = Liveness(config.suspect_after_s, config.lost_after_s)
        self._engines = Liveness(config.suspect_after_s, config.lost_after_s)
        self._recorder = Recorder(self.store, self.registry.uuid_of, self.larder)
        self._queries = Queries(self.registry, self.store, self.larder, self._recorder)
        self._out: list[Outgoing] = []
        self._scan_due = 0.0
        self.now: float = 0.0
        self.wall: float = 0.0

    def handle(self, message: m.HubMessage, buffers: Frames) -> list[Outgoing]:
        """Take one message of the scheduler; return those to send back.

        Raises:
            ProtocolError: it makes no sense; nothing has changed.
        """
        self._attention.hear()
        match message:
            case m.EngineArrived(uuid, info):
                self._on_arrived(uuid, info)
            case m.Engages(uuid, what):
                self._on_engages(uuid, what)
            case m.Pulses(node, pulses):
                self._on_pulses(node, pulses)
            case m.Departed(death):
                self._on_departed(death)
            case m.NodeCame(node):
                self._on_heard(node)
            case m.NodeGone(node, reason):
                self._on_node_gone(node, reason)
            case m.Submitted(client, omitted, crowded, passing):
                self._note_taken(buffers)
                self._recorder.submitted(client, buffers, omitted, self.wall, crowded, passing)
            case m.Ended():
                self._on_ended(message, buffers)
            case m.Asked(client, query):
                self._on_asked(client, query, bytes(buffers[0]) if buffers else b"")
            case m.Awake() | m.ShutDownDone():
                pass  # that it was heard is all; or the shell waits for it
            case _:
                raise ProtocolError(f"the scheduler sent a {type(message).__name__}")
        return self._take_out()

    def tick(self, now: float, wall: float) -> list[Outgoing]:
        """It is *now* on a monotonic clock, *wall* seconds since the epoch."""
        self.now, self.wall = self._attention.tick(now), known_or_zero(wall)
        if now >= self._scan_due:
            self._scan_due = now + SCAN_S
            self._scan()
        return self._take_out()

    def _scan(self) -> None:
        """See who has been silent for long."""
        for node, silence in self._nodes.tick(self.now):
            for engine in self.registry.of_node(node):
                self._on_silence(engine, silence, "its supervisor has not been heard for too long")
        for uuid, silence in self._engines.tick(self.now):
            frozen = self.registry.with_uuid(uuid)
            if frozen is not None:
                self._on_silence(frozen, silence, "its process has been stopped for too long")

    def shut_down(self, reason: str) -> list[Outgoing]:
        """The controller is to stop."""
        return [m.ShutDown(reason)]

    def _take_out(self) -> list[Outgoing]:
        out, self._out = self._out, []
        return out

    # ------------------------------------------------------------ membership

    def _on_arrived(self, uuid: PeerId, info: dict[str, str | int]) -> None:
        if holder := self.registry.holder_of(uuid, info):
            self._out.append(m.Joined(m.EngineInfo(holder.engine, uuid, state=m.TAKEN)))
            return
        engine = self.registry.register(uuid, info)
        if engine is not None:
            self._on_heard(engine.node)
            self._engines.hear(uuid, self.now)
            # Also when it is a member already: the scheduler may have forgotten who it is.
            self._out.append(m.Joined(engine.info()))

    def _on_engages(self, uuid: PeerId, what: str) -> None:
        engine = self.registry.with_uuid(uuid)
        if engine is None:
            return
        was_starting, engine.engaged = engine.is_starting, what[:MOST_ENGAGED]
        if was_starting and engine.is_member:  # its start-up is over
            self._out.append(m.Joined(engine.info()))
            if engine.status is EngineStatus.SUSPECT:
                self._out.append(m.Suspected(engine.engine, suspect=True))

    def _on_pulses(self, node: PeerId, pulses: list[m.Pulse]) -> None:
        self._on_heard(node)
        for pulse in pulses:
            engine = self.registry.with_uuid(pulse.uuid)
            if engine is None or engine.must_arrive or engine.status is EngineStatus.LEFT:
                continue
            self._engines.hear(pulse.uuid, self.now)
            if engine.status is EngineStatus.LOST:
                engine.become(EngineStatus.ALIVE)
                self._out.append(m.Joined(engine.info()))
            if pulse.closing != engine.is_closing or engine.status is EngineStatus.SUSPECT:
                engine.is_closing = pulse.closing
                self._hear(engine)

    def _on_heard(self, node: PeerId) -> None:
        if not self._nodes.hear(node, self.now):
            return
        for engine in self.registry.of_node(node):
            if engine.status is EngineStatus.SUSPECT:
                self._hear(engine)

    def _hear(self, engine: Engine) -> None:
        """It gets work again, unless it is about to leave."""
        status = EngineStatus.SUSPECT if engine.is_closing else EngineStatus.ALIVE
        if engine.status is not status:
            self._suspect(engine, status)

    def _suspect(self, engine: Engine, status: EngineStatus) -> None:
        engine.become(status)
        is_suspect = status is EngineStatus.SUSPECT
        self._out.append(m.Suspected(engine.engine, is_suspect, engine.is_closing))

    def _on_silence(self, engine: Engine, silence: Silence, why: str) -> None:
        if not engine.is_here:
            return
        if silence is Silence.SUSPECT and engine.status is EngineStatus.ALIVE:
            self._suspect(engine, EngineStatus.SUSPECT)
        elif silence is Silence.LOST:
            self._lose(engine, f"{engine} was lost: {why}")

    def _on_departed(self, death: m.Death) -> None:
        engine = self.registry.with_uuid(death.uuid)
        if engine is None:
            return
        if is_certain(death):
            self._leave(engine, describe(engine, death), death.started)
        else:
            engine.must_arrive = True
            self._lose(engine, describe(engine, death))

    def _on_node_gone(self, node: PeerId, reason: str) -> None:
        self._nodes.forget(node)
        for engine in self.registry.of_node(node):
            self._lose(engine, f"{engine} is gone with its supervisor: {reason}")

    def _lose(self, engine: Engine, reason: str) -> None:
        """Give *engine* up; its process may live, and come back."""
        if engine.is_here:
            engine.become(EngineStatus.LOST, reason)
            self._out.append(m.Left(engine.engine, reason, None, final=False))
            self._note_gone(engine)

    def _leave(self, engine: Engine, reason: str, started: int | None) -> None:
        if engine.status is EngineStatus.LEFT:
            return
        was_here = engine.is_here
        engine.become(EngineStatus.LEFT, reason)
        self._engines.forget(engine.uuid)
        if was_here:
            self._out.append(m.Left(engine.engine, reason, started, final=True))
        self._note_gone(engine)

    def _note_gone(self, engine: Engine) -> None:
        """Remember an engine that is gone, and forget those that have been gone for longest."""
        for forgotten in self.registry.note_gone(engine):
            self._engines.forget(forgotten.uuid)
            if not self.registry.of_node(forgotten.node):
                self._nodes.forget(forgotten.node)  # if it lives, it is heard again

    # ------------------------------------------------------------ records and queries

    def _on_ended(self, message: m.Ended, frames: Frames) -> None:
        self._note_taken(frames)
        counts = self._recorder.ended(
            message.client, frames, message.omitted, self.wall, message.crowded, message.passing
        )
        for engine_id, n in counts.items():
            engine = self.registry.get(engine_id)
            if engine is not None:
                engine.n_completed += n

    def _note_taken(self, frames: Frames) -> None:
        """Let the scheduler know what is on its way no more, whatever becomes of it."""
        size_bytes = large_bytes(frames[1:])
        if size_bytes:
            self._out.append(m.Taken(size_bytes))

    def _on_asked(self, client: PeerId, query: m.Query, state: bytes) -> None:
        deliver = partial(self._deliver, client, query.number)
        try:
            self._queries.answer(query, state, deliver)
        except ProtocolError as error:
            deliver(QueryOutcome(failure=m.Failure("ProtocolError", str(error))))
        except Exception as error:  # of one question; who asked is told
            deliver(QueryOutcome(failure=m.Failure(type(error).__name__, one_line(str(error)))))

    def _deliver(self, client: PeerId, number: int, reply: QueryOutcome) -> None:
        answered = m.Answered(client, _answer(number, reply))
        has_buffers = reply.buffers and answered.answer.error is None
        self._out.append(FramedAnswer(answered, reply.buffers) if has_buffers else answered)
        self._out.extend(reply.orders)
        if reply.end:
            self._out.extend(self.shut_down(reply.end))

    def collect(self) -> list[Outgoing]:
        """Take what the store has found meanwhile; return the messages to send."""
        self.store.collect()
        self.larder.collect()
        return self._take_out()

    # ------------------------------------------------------------ looking in

    def snapshot(self) -> HubSnapshot:
        """Return what the hub knows, in numbers."""
        members = list(self.registry.members())
        suspects = [engine for engine in members if engine.status is EngineStatus.SUSPECT]
        return HubSnapshot(len(members), len(suspects), self.store.condition().n_records)

    def __repr__(self) -> str:
        has = self.snapshot()
        return f"<HubCore: {has.members} members, {has.suspects} silent, {has.records} records>"

    def check(self) -> None:
        """Assert every invariant."""
        self.registry.check()


def _answer(number: int, reply: QueryOutcome) -> m.Answer:
    if reply.failure:
        return m.Answer(number, error=reply.failure)
    try:
        return m.Answer(number, encode(reply.value))
    except Exception as error:  # whatever is in a record; who asked is told
        text = f"what there is cannot be sent: {one_line(str(error))}"
        return m.Answer(number, error=m.Failure(type(error).__name__, text))


def is_certain(death: m.Death) -> bool:
    """Tell whether the operating system said so, and not only a connection that stays closed."""
    return death.expected or death.exit_code is not None or death.signal is not None


def describe(engine: Engine, death: m.Death) -> str:
    """Say how an engine ended, with the last it wrote to stderr."""
    how = "was stopped" if death.expected else death.reason or "ended"
    text = f"{engine} {how}"
    last = death.stderr.strip()
    return f"{text}; its last lines of stderr:\n{last}" if last else text
