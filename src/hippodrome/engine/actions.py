"""Actions that an engine's core asks of its shell."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from hippodrome.protocol.frames import Frames
from hippodrome.protocol.messages import EngineId


class EngineChannel(enum.Enum):
    """Which of the engine's two connections."""

    TASK = "task"
    CONTROL = "control"


@dataclass(frozen=True, slots=True)
class Send:
    """Put these frames on the connection."""

    channel: EngineChannel
    frames: Frames


@dataclass(frozen=True, slots=True)
class Join:
    """The controller has given this engine its number."""

    engine: EngineId


@dataclass(frozen=True, slots=True)
class StartOver:
    """The controller does not know this engine any more: serial numbers begin anew."""


@dataclass(frozen=True, slots=True)
class Interrupt:
    """Raise a KeyboardInterrupt in the running attempt, if it still is the one with this number."""

    serial: int


@dataclass(frozen=True, slots=True)
class Leave:
    """End this process with *exit_code*, once what is ready has been sent."""

    reason: str
    exit_code: int


Action = Send | Join | StartOver | Interrupt | Leave


def send(channel: EngineChannel, messages: list[Frames]) -> list[Action]:
    """Return the actions that send *messages*."""
    return [Send(channel, frames) for frames in messages]
