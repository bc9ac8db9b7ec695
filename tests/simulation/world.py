"""The whole cluster of one scenario: controller, hosts, clients, the network between, the clock."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterator

from hippodrome.hub.config import HubConfig
from hippodrome.hub.core import HubCore
from hippodrome.hub.query import FramedAnswer, Outgoing
from hippodrome.protocol import messages as m
from hippodrome.protocol.frames import Frames, decode_hub, encode
from hippodrome.protocol.link import Link
from hippodrome.scheduler.broker import Broker
from hippodrome.scheduler.events import Action, Event
from hippodrome.store.base import Store
from simulation.invariants import Judge, Violation, demand
from simulation.kept import paths_to
from simulation.network import Clock, Connection, Gate, Network
from simulation.peers import ClientProcess, EngineProcess, NodeProcess, Process
from simulation.scenario import CALM, Abort, Call, Fault, Scenario

SUSPECT_AFTER_S = 1.5
HUB_TICK_S = 0.5
START = 1000.0
HEALED_S = 600.0  # after which everything must have ended
SETTLED_S = 90.0  # after which nothing may be unacknowledged any more
FULL_CHECK_EVERY = 100
REMEMBERED = ("endings", "_endings", "store", "_early_drops")  # with bounds of their own


class World:
    """One run.

    Args:
        scenario: what happens.
        trace: called with a line for everything worth reading; None for silence.
        store: where the hub keeps its records; in memory if not given.
    """

    def __init__(
        self,
        scenario: Scenario,
        trace: Callable[[str], None] | None = None,
        store: Store | None = None,
    ) -> None:
        self.scenario = scenario
        self.rng = random.Random(f"world {scenario.seed}")
        self.clock = Clock(START)
        self.network = Network(self.clock, self.rng, scenario.weather, self._to_controller)
        self.hub_gate = Gate()
        self.judge = Judge(scenario.hwm, self.clock, is_patient=scenario.is_patient)
        self.calls: dict[m.MsgId, Call] = {call.msg_id: call for call in scenario.calls}
        self.n_events = 0
        self._trace = trace
        self.welcome: dict[str, str | int] = {"scheme": scenario.scheme}  # as the real one's
        self._broker = Broker(
            scenario.scheme, scenario.hwm, random.Random(scenario.seed), self.welcome
        )
        self._broker.reception.closings.remote_s = scenario.patience_s
        if scenario.is_forgetful:
            self._broker.functions._limit_bytes = 0
        self._spy(self._broker.tasks)
        self._spy(self._broker.direct)
        self._hub = HubCore(HubConfig(SUSPECT_AFTER_S, scenario.silence_s), store)
        self._hub_inbox: deque[Frames] = deque()
        self._broker_inbox: deque[Frames] = deque()
        self._is_turning = False
        self._tick_broker()
        self._tick_hub()
        self.nodes: list[NodeProcess] = []
        for n_engines in scenario.hosts:
            self._start_host(n_engines)
        self.clients = [
            ClientProcess(self, f"c{n}", is_local=self.rng.random() < 0.3)
            for n in range(scenario.n_clients)
        ]
        self._plan()

    def _start_host(self, n_engines: int) -> None:
        name, is_local = f"n{len(self.nodes)}", self.rng.random() < 0.3
        self.nodes.append(NodeProcess(self, name, n_engines, is_local=is_local))

    def host_is_gone(self) -> None:
        """Somebody starts another, so that there is one that works."""
        demand(not self.scenario.is_patient, "a host is gone that was only silent")
        if not any(node.is_alive for node in self.nodes):
            self.clock.after(0.3, self._start_host, 1)

    def note(self, text: str) -> None:
        if self._trace is not None:
            self._trace(f"{self.clock.now - START:9.4f}  {text}")

    # ------------------------------------------------------------ the course of events

    def run(self) -> None:
        """Let the storm rage, then let things heal, then look at what is left.

        Raises:
            Violation: a promise was broken.
            Exception: whatever else a core raised, which is a bug as well.
        """
        clock, scenario = self.clock, self.scenario
        while clock.now <= START + scenario.storm_s:
            self._step()
        self._heal()
        while not self._is_done():
            if clock.now > START + scenario.storm_s + HEALED_S:
                raise Violation(f"I1 not ended: {self._unfinished()}")
            self._step()
        until = clock.now + SETTLED_S
        while not self._is_settled() and clock.now < until:
            for _ in range(8):
                self._step()
        self._check_all()
        self._check_the_end()

    def _step(self) -> None:
        self.clock.step()
        self.n_events += 1
        if self.n_events % FULL_CHECK_EVERY == 0:
            self._check_all()

    def _plan(self) -> None:
        by_turn: dict[tuple[float, int], list[Call]] = {}
        for call in self.scenario.calls:
            by_turn.setdefault((call.at, call.client), []).append(call)
        for (at, client), calls in by_turn.items():
            self.clock.at(START + at, self._submit, self.clients[client], calls)
        for fault in self.scenario.faults:
            self.clock.at(START + fault.at, self._fault, fault)
        for abort in self.scenario.aborts:
            self.clock.at(START + abort.at, self._abort, abort)

    def _submit(self, client: ClientProcess, calls: list[Call]) -> None:
        self.note(f"{client.name} submits {', '.join(call.msg_id for call in calls)}")
        client.submit(calls)

    def _abort(self, abort: Abort) -> None:
        self.clients[abort.client].abort(abort.pick)

    # ------------------------------------------------------------ the controller

    def _spy(self, core: object) -> None:
        handle, judge, note = core.handle, self.judge, self.note  # type: ignore[attr-defined]

        def spied(event: Event) -> list[Action]:
            judge.before(event)
            actions: list[Action] = handle(event)
            if self._trace is not None:
                if actions or type(event).__name__ != "TimePassed":
                    note(f"    {event!r:.150}")
                for action in actions:
                    note(f"        -> {action!r:.150}")
            judge.after(actions)
            return actions

        core.handle = spied  # type: ignore[attr-defined]

    def _to_controller(self, connection: Connection, frames: Frames) -> None:
        self._broker.tick(self.clock.now)
        self._broker.receive(connection.route, connection.key_role, frames)
        if self._broker.reception.complaints:
            raise Violation(f"the broker complains: {self._broker.reception.complaints}")
        self._flush_broker()

    def _flush_broker(self) -> None:
        for destination, frames in self._broker.flush():
            if destination is None:
                self._hub_inbox.append(frames)
                self.clock.after(0.001, self._turn_hub)
                continue
            connection = self.network.routes.get(destination)
            if connection is None:  # EHOSTUNREACH
                self._broker.closed(destination)
            else:
                self.network.send_down(connection, frames)

    def _turn_hub(self) -> None:
        if not self._hub_inbox:
            return
        if self.hub_gate.is_shut(self.clock.now):
            self.clock.at(self.hub_gate.until, self._turn_hub)
            return
        self._from_hub(self._hub.tick(self.clock.now, 1e9))
        while self._hub_inbox:
            frames = self._hub_inbox.popleft()
            self._from_hub(self._hub.handle(decode_hub(bytes(frames[0])), frames[1:]))

    def _from_hub(self, messages: list[Outgoing]) -> None:
        for message in messages:
            self.note(f"    hub: {message!r:.150}")
            is_wrong = self.scenario.is_patient and isinstance(message, m.Left)
            demand(not is_wrong, f"{message} though it was only silent")
            if isinstance(message, FramedAnswer):
                self._broker_inbox.append([encode(message.message), *message.buffers])
            else:
                self._broker_inbox.append([encode(message)])
            self.clock.after(0.001, self._turn_broker)

    def _turn_broker(self) -> None:
        gate = self.network.controller_gate
        if gate.is_shut(self.clock.now):
            self.clock.at(gate.until, self._turn_broker)
        elif self._broker_inbox:
            while self._broker_inbox:
                self._broker.receive_hub(self._broker_inbox.popleft())
            self._flush_broker()

    def _tick_broker(self) -> None:
        now, gate = self.clock.now, self.network.controller_gate
        if gate.is_shut(now):
            self.clock.at(gate.until, self._tick_broker)
            return
        self._broker.tick(now)
        self._flush_broker()
        self.clock.at(max(now + 0.01, self._broker.next_tick()), self._tick_broker)

    def _tick_hub(self) -> None:
        now = self.clock.now
        if self.hub_gate.is_shut(now):
            self.clock.at(self.hub_gate.until, self._tick_hub)
            return
        self._from_hub(self._hub.tick(now, 1e9 + now))
        self.clock.after(HUB_TICK_S, self._tick_hub)

    # ------------------------------------------------------------ what goes wrong

    def _processes(self) -> Iterator[Process]:
        for node in self.nodes:
            if node.is_alive:
                yield node
            yield from node.engines
        yield from self.clients

    def _pick(self, fault: Fault, processes: list[Process]) -> Process | None:
        living = [process for process in processes if process.is_alive]
        return living[int(fault.pick * len(living))] if living else None

    def _fault(self, fault: Fault) -> None:
        until = self.clock.now + fault.seconds
        everyone = list(self._processes())
        engines = [process for process in everyone if isinstance(process, EngineProcess)]
        nodes = [node for node in self.nodes if node.is_alive]
        victim: Process | None = None
        match fault.kind:
            case "replace" | "replace_all":
                # On the controller's own host a connection breaks only when its process ends.
                victim = self._pick(fault, [p for p in everyone if not p.is_local])
                if victim is not None:
                    channels = victim.channels[: None if fault.kind == "replace_all" else 1]
                    for channel in channels:
                        victim.replace(channel, noticed=fault.seconds < 0.5)
            case "cut":
                victim = self._pick(fault, everyone)
                self._cut([victim] if victim else [], fault.direction, until)
            case "cut_host":
                victim = self._pick(fault, list(nodes))
                if isinstance(victim, NodeProcess):
                    self._cut([victim, *victim.engines], fault.direction, until)
            case "pause" | "silence_node":
                of = everyone if fault.kind == "pause" else list(nodes)
                victim = self._pick(fault, of)
                if victim is not None:
                    victim.gate.until = max(victim.gate.until, until)
            case "pause_all":
                for process in everyone:
                    process.gate.until = max(process.gate.until, until - fault.pick)
                    if not process.is_local:
                        self.clock.at(until + fault.pick, self._renew, process, fault.pick < 0.5)
                self.network.controller_gate.until = self.hub_gate.until = until
            case "pause_controller":
                limit = until if self.scenario.is_patient else self.clock.now + 4.0
                self.network.controller_gate.until = min(until, limit)
            case "pause_hub":
                self.hub_gate.until = until
            case "crash_engine":
                victim = self._pick(fault, list(engines))
                if isinstance(victim, EngineProcess):
                    victim.node.engine_ended(victim, None)
                    self.clock.after(0.3, self._start_host, 1)
            case "crash_client":
                victim = self._pick(fault, list(self.clients))
                if victim is not None:
                    victim.end()
            case "crash_host" if len(nodes) > 1:
                victim = self._pick(fault, list(nodes))
                if isinstance(victim, NodeProcess):
                    victim.die()
        name = victim.name if victim else "-"
        self.note(f"FAULT {fault.kind} {name} {fault.seconds:.2f} s {fault.direction}")

    @staticmethod
    def _renew(process: Process, noticed: bool) -> None:
        if process.is_alive:
            for channel in process.channels:
                process.replace(channel, noticed=noticed)

    @staticmethod
    def _cut(processes: list[Process], direction: str, until: float) -> None:
        for process in processes:
            if direction in ("up", "both"):
                process.up.until = max(process.up.until, until)
            if direction in ("down", "both"):
                process.down.until = max(process.down.until, until)

    def _heal(self) -> None:
        """No new trouble from now on; whoever is paused or cut off comes back in its time."""
        self.note("HEAL")
        self.network.weather = CALM

    def controller_lost(self, client: ClientProcess, reason: str) -> None:
        """A client gives the controller up, which is right only if it could not hear it."""
        may_be = not self.scenario.is_calm and not self.scenario.is_patient
        demand(may_be, f"{client.name} gives up without a reason: {reason}")

    # ------------------------------------------------------------ looking

    def _unfinished(self) -> dict[str, list[m.MsgId]]:
        living = [client for client in self.clients if client.is_alive]
        return {client.name: sorted(client.core.tasks.pending) for client in living}

    def _engines(self) -> list[EngineProcess]:
        return [engine for node in self.nodes for engine in node.engines]

    def _links(self) -> list[Link]:
        links = [link for engine in self._engines() for link in engine.core.links.values()]
        links += [node.link for node in self.nodes if node.is_alive]
        for client in self.clients:
            if client.is_alive:
                links += client.core.links.values()
        return links

    def _is_done(self) -> bool:
        return not any(client.core.tasks.pending for client in self.clients if client.is_alive)

    def _is_settled(self) -> bool:
        """Everybody is here and nobody waits for an acknowledgement."""
        tasks = self._broker.tasks
        if tasks.jobs or len(tasks._ledger.deadlines):  # of clients that are gone, too
            return False
        states = {info.state for info in self._broker.members.values()}
        members = {info.uuid for info in self._broker.members.values()}
        engines = self._engines()
        if (
            states - {"alive"}
            or members != {engine.uuid for engine in engines}
            or any(e.is_busy for e in engines)
        ):
            return False
        members_seen = [client.present for client in self.clients if client.is_alive]
        if any(present != set(self._broker.members) for present in members_seen):
            return False
        if not all(link.is_open and not link.stream.n_unacknowledged for link in self._links()):
            return False
        living = {process.name for process in self._processes() if process.is_alive}
        peers = [peer for peer in self._broker.peers if peer.uuid in living]
        if len(peers) < len(living):
            return False
        channels = [channel for peer in peers for channel in peer.channels.values()]
        return not any(channel.session.stream.n_unacknowledged for channel in channels)

    def _check_all(self) -> None:
        self._broker.check()
        self._hub.check()
        for process in self._processes():
            if process.is_alive:
                process.check()  # type: ignore[attr-defined]

    def _check_the_end(self) -> None:
        engines = self._engines()
        members = {info.engine: info.uuid for info in self._broker.members.values()}
        demand(
            sorted(members.values()) == sorted(engine.uuid for engine in engines),
            f"R5 members are {members}, engines {[engine.name for engine in engines]}",
        )
        for engine in engines:
            demand(members.get(engine.engine) == engine.uuid, f"R5 {engine.name}: another id")
        for client in self.clients:
            if client.is_alive:
                demand(client.present == set(members), f"{client.name} sees {client.present}")
        for link in self._links():
            demand(link.welcome_info == self.welcome, f"a {link.role} was not welcomed properly")
        demand(self._is_settled(), "something is unacknowledged, or somebody is not welcome")
        self._check_memory()

    def _check_memory(self) -> None:
        """I9: of what has ended, nobody keeps more than the promised memory."""
        self._broker.tasks._placement.forget_ended()  # else the next submission would do it
        ended = {msg_id for msg_id, told in self.judge.told.items() if told.result is not None}
        everyone = [self._broker, *(e.core for e in self._engines())]
        everyone += [client.core for client in self.clients if client.is_alive]
        # What a client that is gone had handed in waits until its connection is given up.
        all_live = all(client.is_alive for client in self.clients)
        skip = REMEMBERED if all_live else (*REMEMBERED, "_parked")
        for core in everyone:
            kept = paths_to(core, ended, skip)
            demand(not kept, f"I9 {type(core).__name__} keeps {kept[:3]}")
