"""The channels of a client, and what it puts on them; a pure part of its core."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hippodrome.client.link.events import ClientAction, SendFrames
from hippodrome.protocol.frames import Buffer, Frames
from hippodrome.protocol.link import Link
from hippodrome.protocol.messages import Message


class ClientLinks(dict[str, Link]):
    """The link of each channel, by its name; what is to be sent is returned as actions."""

    @property
    def is_open(self) -> bool:
        return all(link.is_open for link in self.values())

    def hello(self) -> list[ClientAction]:
        """Introduce the client, on both."""
        return self._sending((channel, link.hello()) for channel, link in self.items())

    def tick(self, now: float) -> list[ClientAction]:
        return self._sending((channel, link.tick(now)) for channel, link in self.items())

    def speak_up(self) -> list[ClientAction]:
        """Let the controller see whose connections these are."""
        opened = [(channel, link) for channel, link in self.items() if link.is_open]
        return [SendFrames(channel, link.stream.sync()) for channel, link in opened]

    def send(
        self, channel: str, message: Message, buffers: Sequence[Buffer] = ()
    ) -> list[ClientAction]:
        return [SendFrames(channel, frames) for frames in self[channel].send(message, buffers)]

    def that_know_tasks(self) -> tuple[str, ...]:
        """Return the channels over which to speak of tasks, so that none is missed.

        The control channel is the fast one, but may overtake tasks that have just been submitted;
        so what concerns them is said once more behind them.
        """
        return ("control", "task") if self["task"].stream.n_unacknowledged else ("control",)

    def _sending(self, parts: Iterable[tuple[str, list[Frames]]]) -> list[ClientAction]:
        return [SendFrames(channel, frames) for channel, found in parts for frames in found]
