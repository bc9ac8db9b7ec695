"""The large buffers of a message, and whether they are where its receiver can have them.

In messages they are references. A receiver maps them in the memory of its own host: the
controller's, or that of its supervisor. A client elsewhere is a place of its own. For who has no
such memory, or where there is no room in it, they are brought here and sent as frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hippodrome.protocol.frames import Buffer, Frames
from hippodrome.protocol.messages import PeerId
from hippodrome.scheduler.haulage import HERE, Haulage, HostShelf
from hippodrome.scheduler.peers import Peer, Peers
from hippodrome.segments.leases import Leases
from hippodrome.segments.reference import names

READY: Final = ""


class Cargo:
    """Brings what messages refer to, and tells when it is there.

    Args:
        token: begins each reference; without one there are none.
        haulage: brings objects.
        peers: who is connected.
        leases: opens what is here.
        shelf: tells whether who is on this host can map an object that is here.
    """

    def __init__(
        self,
        token: bytes,
        haulage: Haulage,
        peers: Peers,
        leases: Leases,
        shelf: HostShelf | None = None,
    ) -> None:
        self._token = token
        self._haulage = haulage
        self._peers = peers
        self._leases = leases
        self._is_shared = shelf.is_shared if shelf is not None else bool

    @property
    def n_changes(self) -> int:
        """Counts what has come to a place, and what never will."""
        return self._haulage.n_changes

    def place_of(self, peer: Peer) -> PeerId | None:
        """Return where a peer has objects; None if it can have none."""
        if peer.maps:
            return HERE
        if peer.role == "client":
            return peer.uuid if "data" in peer.channels else None
        node = self._peers.get(PeerId(str(peer.info.get("node")))) if "home" in peer.info else None
        return node.uuid if node is not None and "data" in node.channels else None

    def announce(self, peer: Peer, buffers: Sequence[Buffer]) -> None:
        """A peer has sent *buffers*: what they refer to is where it is."""
        if self._token and buffers and not peer.maps:
            place = self.place_of(peer)
            if place is None and "home" in peer.info:  # whose supervisor is not connected yet
                place = PeerId(str(peer.info.get("node")))
            if place is not None:
                self._haulage.note(names(self._token, buffers), place)

    def look(self, peer: Peer, buffers: Sequence[Buffer]) -> str | None:
        """See to it that a peer can have *buffers*.

        Returns:
            `READY` if it can, None if they are on their way, or why they will never come.
        """
        found = names(self._token, buffers) if self._token else []
        if not found:
            return READY
        place = self._reachable(peer, found)
        missing = [name for name in found if not self._haulage.bring(name, place)]
        reasons = [self._haulage.why_not(name, place) for name in missing]
        return next((why for why in reasons if why), None) if missing else READY

    def load(self, peer: Peer, buffers: Frames) -> Frames:
        """Return *buffers* as a peer is sent them that can have them now."""
        found = names(self._token, buffers) if self._token and buffers else []
        if not found:
            return buffers
        place = self._reachable(peer, found)
        if place == HERE and not (peer.maps and all(map(self._is_shared, found))):
            return self._leases.opened(buffers)
        if peer.role == "client":
            for name in found:
                self._haulage.hand_over(name, place)
        return buffers

    def _reachable(self, peer: Peer, found: Sequence[str]) -> PeerId:
        """Return where a peer gets objects: `HERE`, if they cannot be brought to its own place."""
        place = self.place_of(peer)
        if place is None or peer.role == "client":
            return place or HERE
        has_room = all(self._haulage.why_not(name, place) is None for name in found)
        return place if has_room else HERE
