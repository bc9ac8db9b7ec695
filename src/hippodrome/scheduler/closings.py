"""When a peer whose connections were closed is given up.

Pure. A process that ended has its connections closed, but so has one that was cut off. Here they
are told apart, by time in which this process ran itself.
"""

from __future__ import annotations

from typing import Final

from hippodrome.protocol.silence import ListeningClock
from hippodrome.scheduler.peers import Peer

CLOSED_LOCAL_S: Final = 1.25  # a process here whose connection stays closed so long has died
CLOSED_REMOTE_S: Final = 600.0
ENDED_REMOTE_S: Final = 5.0  # one elsewhere that seems to have ended: room for attempts to be back
WAS_HEARD_S: Final = 5.0  # no longer before its connection closed: it, not the network, closed it
RESUMED_S: Final = 10.0  # after we were held up, in which many a connection may be replaced
BACKLOG_S: Final = 1.0  # after that, in which what comes may have waited for long
HELD_UP_S: Final = 2.0  # more than expected between ticks, and this process was not running


class Closings:
    """Judges peers by when their connections were closed, and when they last beat.

    Attributes:
        remote_s: how long a connection of another host may stay closed, in seconds.
    """

    def __init__(self) -> None:
        self.remote_s: float = CLOSED_REMOTE_S
        self._clock = ListeningClock()
        self._resumed_at = -RESUMED_S

    @property
    def time(self) -> float:
        """The time by which connections are closed and beats are heard, in seconds."""
        return self._clock.time

    def tick(self, now: float, late_s: float) -> None:
        """It is *now*, *late_s* later than this should have been called."""
        self._clock.tick(now)
        if late_s > HELD_UP_S:
            self._resumed_at = self._clock.time

    def hear_beat(self, node: Peer) -> None:
        """A supervisor has beaten; what has waited for long does not tell when."""
        if self.time - self._resumed_at >= BACKLOG_S:
            node.heard_at = self.time

    def is_over(self, peer: Peer) -> bool:
        """Tell whether a peer's connections have been closed for too long."""
        closed_at = peer.closed_at
        if closed_at is None:
            return False
        return self.time - closed_at > self._patience_s(peer, closed_at)

    def _patience_s(self, peer: Peer, closed_at: float) -> float:
        """Return how long a peer whose connections were closed may take to be back.

        On this host nothing but its end closes a connection. Tunnels prove nothing: one that
        breaks closes the connections of those who are well.
        """
        if all(channel.local for channel in peer.channels.values()):
            return CLOSED_LOCAL_S
        if peer.is_tunneled:
            return self.remote_s
        return ENDED_REMOTE_S if self._has_ended(peer, closed_at) else self.remote_s

    def _has_ended(self, peer: Peer, closed_at: float) -> bool:
        """Tell whether a peer elsewhere, whose connections were closed, has probably ended.

        A supervisor that beat to the last has not been cut off: a connection that carries nothing
        any more closes only after twice as long a silence, and who hears nothing does not beat.
        But what lies between, such as a firewall, may have reset it,
        also more than once; then it is back after an attempt or some.
        """
        resumed_at = self._resumed_at
        was_heard = closed_at - peer.heard_at < WAS_HEARD_S
        is_of_now = closed_at < resumed_at or peer.heard_at > resumed_at
        return was_heard and is_of_now and self.time - resumed_at >= RESUMED_S
