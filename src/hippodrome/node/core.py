"""A supervisor decides here who is told what, who is stopped, and when it leaves.

Pure: messages, deaths and the time go in, actions come out. The rules:

- A death is told at once, with all that is known about it.
- An engine that is told to stop has a bounded time, then it is killed with all its children.
- Without a controller nothing here has a purpose: at its good-bye, when it is known to have ended,
  or after a silence that has outlasted all patience, everything stops. The same when no engine is
  left; one that cannot start or register is no reason for the others to go.
- Who hears nothing says nothing: a beat tells that both ways are open.
- Leaving waits until the controller has acknowledged the last words, but not for long.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

import msgspec

from hippodrome.errors import ProtocolError
from hippodrome.node import actions as do
from hippodrome.node.actions import Action
from hippodrome.node.engines import OwnEngine, OwnEngines, StartupFailure
from hippodrome.node.leaving import Leaving
from hippodrome.node.startups import Startups
from hippodrome.node.term import Term
from hippodrome.protocol import messages as m
from hippodrome.protocol.frames import Frames
from hippodrome.protocol.link import Link
from hippodrome.protocol.ranges import SIGNALS
from hippodrome.protocol.silence import PATIENCE_S, REGISTRATION_S, News, Patience

BEAT_S: Final = 1.0
MOST_BEAT_S: Final = 2.0
DEAF_AFTER_S: Final = 3.0  # of silence; beats from the other side are as frequent as ours
TICK_S: Final = 0.5
START_S: Final = 30.0  # for a process to come up, on top of the time to register
STOPPED_IN_ORDER: Final = 0
FAILED: Final = 1
FAILED_TO_REGISTER: Final = 255


class Limits(msgspec.Struct, frozen=True):
    """How long things may take, in seconds; as in `NodeConfig`."""

    registration_timeout_s: float = REGISTRATION_S
    patience_s: float = PATIENCE_S
    stop_timeout_s: float = 1.0
    ignores_startup_errors: bool = False


class NodeSnapshot(msgspec.Struct, frozen=True):
    """The state of a supervisor, as tests and people read it."""

    engines: Mapping[m.PeerId, m.EngineId | None]
    stopping: frozenset[m.PeerId]
    is_leaving: bool


class NodeCore:
    """One supervisor and its engines.

    Args:
        uuid: names the supervisor.
        info: host, pid and versions, for the controller.
        engines: the engines that are being spawned.
        limits: how long things may take.
        now: the monotonic time, in seconds.
        secret: by which the controller knows this supervisor again.
        term: how long it serves; by default until somebody stops it.
    """

    def __init__(
        self,
        uuid: m.PeerId,
        info: dict[str, str | int],
        engines: Sequence[m.PeerId],
        limits: Limits,
        now: float,
        secret: bytes = b"",
        term: Term | None = None,
    ) -> None:
        self.link: Link = Link("node", "control", uuid, info, secret=secret)
        self.data: Link = Link("node", "data", uuid, info, secret=secret)
        self._limits = limits
        self._engines = OwnEngines((uuid, OwnEngine(uuid)) for uuid in engines)
        self._patience = Patience(limits.patience_s)
        self._patience.tick(now)
        self._beat_due = now
        self._beat_s = BEAT_S
        self._was_welcomed = False
        self._startups = Startups(self._engines, ignores=limits.ignores_startup_errors)
        self._leaving: Leaving | None = None
        self._term = term or Term()

    def hello(self) -> list[Action]:
        """Introduce the supervisor over a new connection."""
        return do.send(self.link.hello())

    def receive(self, frames: Frames, now: float) -> list[Action]:
        """Handle one message off the wire.

        Raises:
            ProtocolError: it is malformed, or not for supervisors; nothing has changed.
        """
        received = self.link.receive(frames)
        self._patience.hear()
        actions = do.send(received.replies)
        if received.message is not None:
            actions += self._handle(received.message, now)
        return actions + self._go_if_done(now)

    @property
    def silent_s(self) -> float:
        """For how long the controller has been silent, in seconds."""
        return self._patience.silent_s

    def on_renewed(self) -> list[Action]:
        """There is a new connection, of which the controller does not know whose it is."""
        return do.send([self.link.stream.sync()] if self.link.is_open else [])

    def on_controller_ended(self, now: float) -> list[Action]:
        """The controller's process has ended: nobody listens at its address."""
        if self._leaving is not None:
            self._leaving.hurries = True
            return self._go_if_done(now)
        text = "the controller has ended without a good-bye: nobody listens there; stopping"
        return [do.Say(text), *self._leave(FAILED, now, hurries=True)]

    def on_joined(self, uuid: m.PeerId, engine: m.EngineId) -> list[Action]:
        """An engine is registered."""
        known = self._engines.get(uuid)
        if known is None:
            return []
        known.engine = engine
        return self._startups.note()

    def on_ready(self, uuid: m.PeerId) -> list[Action]:
        """An engine is through with its start-up."""
        known = self._engines.get(uuid)
        if known is None:
            return []
        known.is_ready = True
        return self._startups.note()

    def on_failed(self, uuid: m.PeerId, failure: StartupFailure) -> None:
        """An engine's start-up has failed, and its process will end for that."""
        known = self._engines.get(uuid)
        if known is not None:
            known.failure = failure

    def on_leaving(self, uuid: m.PeerId, exit_code: int, reason: str, now: float) -> list[Action]:
        """An engine says that it is about to leave, and why."""
        known = self._engines.get(uuid)
        if known is None or known.is_expected_to_end:
            return []
        known.is_expected_to_end = True
        if exit_code == 0:
            return []
        return [do.Say(reason), *self._go_on_without(exit_code, now)]

    def on_exited(self, death: m.Death, now: float) -> list[Action]:
        """An engine's process has ended; ``death.expected`` is filled in here."""
        known = self._engines.pop(death.uuid, None)
        if known is None:
            return []
        if known.is_starting and not known.is_expected_to_end:
            death = self._startups.fail(known, death, now)
        told = msgspec.structs.replace(death, expected=known.is_expected_to_end)
        actions = do.send(self.link.send(m.Exited(told)))
        if not known.is_expected_to_end:
            actions += self._mourn(known, death, now)
        elif not self._engines and self._leaving is None:
            actions += self._leave(STOPPED_IN_ORDER, now)
        return actions + self._go_if_done(now)

    def stop(self, reason: str, now: float, exit_code: int = STOPPED_IN_ORDER) -> list[Action]:
        """End everything in order; asked again, at once."""
        if self._leaving is not None:
            self._leaving.hurries = True
            return [do.Kill(uuid) for uuid in self._engines] + self._go_if_done(now)
        return [do.Say(reason, is_error=exit_code != 0), *self._leave(exit_code, now)]

    def close(self, reason: str, now: float) -> list[Action]:
        """The end is near: the engines get no new work, and all leave once they are idle."""
        if self._leaving is not None or self._term.is_closing(now):
            return []
        self._term.close(now)
        return [do.Say(f"closing: {reason}", is_error=False)]

    def is_beat_due(self, now: float) -> bool:
        """Tell whether `tick` would beat now, and so needs to know how the engines are."""
        return now >= self._beat_due

    def tick(
        self,
        now: float,
        busy_s: Mapping[m.PeerId, float],
        frozen: Collection[m.PeerId] = (),
        started: Mapping[m.PeerId, int] = MappingProxyType({}),
    ) -> list[Action]:
        """Do what is due.

        Args:
            now: the monotonic time, in seconds.
            busy_s: for how long each engine has been in its current task.
            frozen: engines that live but cannot run; they have no pulse.
            started: the number of the last task that each engine has begun.
        """
        actions = do.send(self.link.tick(now))
        is_due = self.is_beat_due(now)
        news = self._patience.tick(now)
        if now >= self._beat_due:
            self._beat_due = now + self._beat_s
        if is_due and self._patience.silent_s < DEAF_AFTER_S:
            running = (uuid for uuid in self._engines if uuid not in frozen)
            is_closing = self._term.is_closing(now)
            pulses = [m.Pulse(uuid, busy_s.get(uuid, 0.0), is_closing) for uuid in running]
            actions += do.send(self.link.send(m.Beat(pulses)))
        actions += [do.Kill(uuid) for uuid in self._engines.take_overdue(now)]
        if is_due and self._leaving is None and (why := self._term.look(now, busy_s, started)):
            actions += [do.Say(f"stopping: {why}", is_error=False)]
            actions += self._leave(STOPPED_IN_ORDER, now)
        if self._leaving is None:
            actions += self._watch_controller(news, now)
            actions += self._startups.tick(now)
        return actions + self._go_if_done(now)

    def wait_s(self, now: float) -> float:
        """Return how long the shell may wait for events before the next `tick`."""
        due = [self._beat_due, now + TICK_S, *(e.kill_at for e in self._engines.values())]
        if self._leaving is not None:
            due.append(self._leaving.give_up_at)
        return max(0.0, min(due) - now)

    def snapshot(self) -> NodeSnapshot:
        """Return what this supervisor knows, as a frozen record."""
        engines = self._engines.values()
        return NodeSnapshot(
            {engine.uuid: engine.engine for engine in engines},
            frozenset(engine.uuid for engine in engines if engine.is_expected_to_end),
            self._leaving is not None,
        )

    def __repr__(self) -> str:
        n_stopping = len(self._engines) - len(self._engines.staying())
        return f"<NodeCore: {len(self._engines)} engines, {n_stopping} stopping>"

    def check(self) -> None:
        """Assert every invariant."""
        self.link.stream.check()
        assert all(uuid == engine.uuid for uuid, engine in self._engines.items())
        if self._leaving is not None:
            assert all(engine.is_expected_to_end for engine in self._engines.values())
        else:
            assert self._engines, "without engines it leaves"

    # messages

    def _handle(self, message: m.PeerMessage, now: float) -> list[Action]:
        match message:
            case m.Welcome():
                self._was_welcomed = True
                return []
            case m.Beat(every_s=every_s):
                self._beat_s = min(max(every_s, BEAT_S), MOST_BEAT_S)
                return []
            case m.Signal(uuids, signum) if signum in SIGNALS:
                return [do.SendSignal(uuid, signum) for uuid in uuids if uuid in self._engines]
            case m.Stop(None):
                return self._leave(STOPPED_IN_ORDER, now)
            case m.Stop(list() as uuids):
                return self._stop_engines(uuids, now)
            case m.Bye(reason):
                because = f": {reason}" if reason else ""
                actions = [do.Say(f"the controller said good-bye{because}", is_error=False)]
                return [*actions, *self._leave(STOPPED_IN_ORDER, now, hurries=True)]
            case m.Refused(reason):
                actions = [do.Say(f"the controller refused: {reason}")]
                return [*actions, *self._leave(FAILED_TO_REGISTER, now, hurries=True)]
            case _:
                raise ProtocolError(f"{type(message).__name__} to a supervisor")

    def _watch_controller(self, news: News, now: float) -> list[Action]:
        limits = self._limits
        waited_s = self._patience.listened_s
        if not self._was_welcomed and waited_s >= limits.registration_timeout_s:
            text = f"the controller did not answer within {limits.registration_timeout_s:g} s"
            return [do.Say(text), *self._leave(FAILED_TO_REGISTER, now, hurries=True)]
        silent_s = f"nothing was heard from the controller for {self._patience.silent_s:.0f} s"
        if news is News.OVER:
            return [do.Say(f"{silent_s}; stopping"), *self._leave(FAILED, now, hurries=True)]
        if news is News.LONG:
            return [do.Say(f"{silent_s}; waiting for it, up to {limits.patience_s:g} s")]
        if news is News.BACK:
            return [do.Say("the controller is back", is_error=False)]
        if not self._startups.are_over and waited_s >= limits.registration_timeout_s + START_S:
            return self._give_up_late_ones(now)
        return []

    # helpers

    def _mourn(self, engine: OwnEngine, death: m.Death, now: float) -> list[Action]:
        actions: list[Action] = [do.Say(engine.obituary(death))]
        if engine.engine is None or engine.is_starting:
            actions += self._go_on_without(FAILED, now)
        elif not self._engines and self._leaving is None:
            actions += [do.Say("no engine is left"), *self._leave(FAILED, now)]
        return actions

    def _go_on_without(self, exit_code: int, now: float) -> list[Action]:
        """An engine has failed to start: the others go on, if there are any."""
        if self._engines.staying():
            return self._startups.note()
        return [*self._startups.report(), *self._leave(exit_code, now)]

    def _give_up_late_ones(self, now: float) -> list[Action]:
        late = [e.uuid for e in self._engines.staying() if e.engine is None]
        if not late:
            return []
        limit_s = self._limits.registration_timeout_s + START_S
        stopped = self._stop_engines(late, now)
        text = f"{len(late)} engines did not start within {limit_s:g} s"
        return [do.Say(text), *stopped, *self._go_on_without(FAILED_TO_REGISTER, now)]

    def _stop_engines(self, uuids: Iterable[m.PeerId], now: float) -> list[Action]:
        kill_at = now + self._limits.stop_timeout_s
        return [do.Terminate(uuid) for uuid in self._engines.stop(uuids, kill_at)]

    def _leave(self, exit_code: int, now: float, *, hurries: bool = False) -> list[Action]:
        if self._leaving is None:
            self._leaving = Leaving(exit_code or self._startups.exit_code, hurries)
        elif hurries:
            self._leaving.hurries = True
        return self._stop_engines(list(self._engines), now)

    def _go_if_done(self, now: float) -> list[Action]:
        """Leave when no engine is left and the controller knows, or will not listen."""
        if self._leaving is None or self._engines:
            return []
        return self._leaving.go(self.link, now)
