"""The engines of a supervisor: how far each has come, and when it is killed."""

from __future__ import annotations

import math
from collections.abc import Iterable

import msgspec

from hippodrome.protocol.messages import Death, EngineId, PeerId


class StartupFailure(msgspec.Struct, frozen=True):
    """What an engine told of the failure of its start-up: a line, and the traceback."""

    summary: str
    text: str = ""


class OwnEngine(msgspec.Struct):
    """One engine, from its spawning to its end."""

    uuid: PeerId
    engine: EngineId | None = None
    is_ready: bool = False
    failure: StartupFailure | None = None
    is_expected_to_end: bool = False
    kill_at: float = math.inf

    @property
    def is_starting(self) -> bool:
        """Whether it is in its start-up."""
        return self.engine is not None and not self.is_ready

    def obituary(self, death: Death) -> str:
        """Say how it ended, unasked."""
        if self.engine is not None:
            return f"engine {self.engine} {death.reason}"
        last = death.stderr.rstrip().rpartition("\n")[2]
        text = f"an engine {death.reason} before it was registered"
        return f"{text}: {last}" if last else text


class OwnEngines(dict[PeerId, OwnEngine]):
    """Those that have not ended."""

    def staying(self) -> list[OwnEngine]:
        """Return those that nobody expects to end."""
        return [engine for engine in self.values() if not engine.is_expected_to_end]

    def stop(self, uuids: Iterable[PeerId], kill_at: float) -> list[PeerId]:
        """Expect *uuids* to end until *kill_at*; return those that were not told to before."""
        found = [self[uuid] for uuid in uuids if uuid in self]
        told = []
        for engine in found:
            if engine.kill_at == math.inf:
                engine.is_expected_to_end, engine.kill_at = True, kill_at
                told.append(engine.uuid)
        return told

    def take_overdue(self, now: float) -> list[PeerId]:
        """Return those that have had their time to end, once."""
        overdue = [engine for engine in self.values() if now >= engine.kill_at]
        for engine in overdue:
            engine.kill_at = math.inf
        return [engine.uuid for engine in overdue]
