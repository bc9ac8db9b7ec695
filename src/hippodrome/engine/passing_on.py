"""What a task that runs shows and publishes, passed on while it does.

People look on, but nothing waits for them: only while the controller keeps up is there room. What
is left out comes once more, with the outcome.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hippodrome.engine.attempts import StartAttempt, Value, data_of
from hippodrome.protocol.frames import Buffer, Frames
from hippodrome.protocol.inflight import InFlight
from hippodrome.protocol.link import Link
from hippodrome.protocol.messages import CommMessage, Display, Message, Output, Piece, Published

LIVE_MESSAGES: Final = 65  # on their way; one more than are acknowledged at the latest
LIVE_BYTES: Final = 8 << 20

LivePiece = tuple[str, int, str | Display | CommMessage]  # stream, place and what it is


class PassingOn:
    """One channel of an engine, as far as it carries what need not arrive.

    Args:
        link: the channel.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self._in_flight = InFlight(link.stream, LIVE_BYTES, LIVE_MESSAGES)

    def has_room(self) -> bool:
        """Whether the controller keeps up."""
        return self._in_flight.has_room()

    def show(self, running: StartAttempt, shown: Sequence[LivePiece]) -> list[Frames]:
        """Return the message that says what *running* has shown."""
        msg_id, attempt = running.msg_id, running.attempt
        pieces = [
            Piece(msg_id, attempt, name, at, text=what)
            if isinstance(what, str)
            else Piece(msg_id, attempt, name, at, display=what)
            if isinstance(what, Display)
            else Piece(msg_id, attempt, name, at, comm=what)
            for name, at, what in shown
        ]
        return self._send(Output(pieces))

    def publish(self, running: StartAttempt, values: Sequence[Value]) -> list[Frames]:
        """Return the message that says what *running* has published."""
        buffers: list[Buffer] = []
        return self._send(Published(data_of(running, values, buffers)), buffers)

    def _send(self, message: Message, buffers: Sequence[Buffer] = ()) -> list[Frames]:
        messages = self._link.send(message, buffers)
        for frames in messages:
            self._in_flight.add(frames)
        return messages
