"""Actions that a supervisor's core asks of its shell."""

from __future__ import annotations

import msgspec

from hippodrome.protocol.frames import Frames
from hippodrome.protocol.messages import EngineId, PeerId


class SendControl(msgspec.Struct, frozen=True):
    """Put these frames on the control connection."""

    frames: Frames


class SendSignal(msgspec.Struct, frozen=True):
    """Deliver a signal to this engine's process."""

    uuid: PeerId
    signum: int


class Terminate(msgspec.Struct, frozen=True):
    """Tell this engine's process to end in order."""

    uuid: PeerId


class Kill(msgspec.Struct, frozen=True):
    """Kill this engine and all of its process group."""

    uuid: PeerId


class Say(msgspec.Struct, frozen=True):
    """Tell the person who started this."""

    text: str
    is_error: bool = True


class Tell(msgspec.Struct, frozen=True):
    """Tell the program that started this, and waits for it."""

    line: str


class AllRegistered(msgspec.Struct, frozen=True):
    """All engines have their numbers, and are through with their start-ups."""

    engines: tuple[EngineId, ...]


class Exit(msgspec.Struct, frozen=True):
    """End this process."""

    exit_code: int


Action = SendControl | SendSignal | Terminate | Kill | Say | Tell | AllRegistered | Exit


def send(messages: list[Frames]) -> list[Action]:
    """Return the actions that send *messages*."""
    return [SendControl(frames) for frames in messages]
