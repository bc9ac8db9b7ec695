"""The memory that a supervisor's engines share, where the controller is on another host."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import zmq

from hippodrome.protocol.link import Link
from hippodrome.transport.sockets import is_local

if TYPE_CHECKING:
    from hippodrome.node.porter import Porter


class OwnSegments:
    """A directory of segments, and the connection by which they come and go.

    Args:
        directory: where they are; empty if there are none.
        dealer: the connection; None likewise.
    """

    def __init__(self, directory: str = "", dealer: zmq.Socket[Any] | None = None) -> None:
        self.directory = directory
        self._dealer = dealer
        self._porter: Porter | None = None

    def serve(self, link: Link) -> None:
        """Begin to bring and to give, over a channel."""
        if self._dealer is None:
            return
        from hippodrome.node.porter import Porter  # no supervisor beside the controller needs it

        self._porter = Porter(self._dealer, link, self.directory)
        self._porter.start()

    def close(self) -> None:
        """End."""
        if self._porter is not None:
            self._porter.stop()


@contextmanager
def own_segments(dealer: zmq.Socket[Any]) -> Iterator[OwnSegments | None]:
    """Make a directory for segments, unless the controller is on this host, which has one.

    Args:
        dealer: a connection for what comes and goes; closed in the end.
    """
    if is_local(dealer):
        dealer.close(0)
        yield None
        return
    from hippodrome.segments.files import SegmentHome

    with SegmentHome() as home:
        if home.directory is None:
            dealer.close(0)
            yield None
            return
        segments = OwnSegments(str(home.directory), dealer)
        try:
            yield segments
        finally:
            segments.close()
