"""The controller's side of one channel of one peer: the counterpart of `link.Link`.

A session begins when the controller welcomes a peer as fresh, and is named by the number of the
introduction that it answered. The peer repeats that number in later introductions. A welcome
can be lost with its connection; then the peer introduces itself without the number, or with an
older one, and the session begins anew. Resuming by message numbers alone would take the
numbers of one stream for those of another.
"""

from __future__ import annotations

from hippodrome.protocol.frames import Frames, unnumbered
from hippodrome.protocol.messages import Hello, Welcome
from hippodrome.protocol.stream import SIZES, Sizes, Stream


class Session:
    """One channel of one peer, for as long as the controller remembers the peer.

    Args:
        sizes: how large things may be.
    """

    def __init__(self, sizes: Sizes = SIZES) -> None:
        self.stream: Stream = Stream(sizes)
        self._began = 0
        self._greeted = 0

    def is_news(self, hello: Hello) -> bool:
        """Tell whether *hello* is not late: its connection is the newest one, or a new one."""
        return hello.number > self._greeted

    def greet(self, hello: Hello, info: dict[str, str | int] | None = None) -> list[Frames]:
        """Return what to send over the connection on which *hello* came, to begin or resume.

        Nothing if it is late: a newer connection of the same peer has been greeted already.

        Raises:
            ProtocolError: the peer claims to have what was never sent; nothing has changed.
        """
        if not self.is_news(hello):
            return []
        if fresh := hello.session == 0 or hello.session != self._began:
            rest = self.stream.restart()
            self._began = hello.number
        else:
            rest = self.stream.resume(hello.received)
        self._greeted = hello.number
        welcome = Welcome(hello.number, self.stream.received, fresh, info or {})
        return [unnumbered(welcome), *rest]
