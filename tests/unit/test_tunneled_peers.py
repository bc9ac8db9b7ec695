"""A peer behind a tunnel is not taken for dead when its connections are closed, as others are."""

from __future__ import annotations

import pytest

from hippodrome.protocol.messages import PeerId
from hippodrome.scheduler.closings import CLOSED_LOCAL_S, Closings
from hippodrome.scheduler.peers import Channel, Peer

BEAT_S = 0.25


@pytest.mark.parametrize("role", ["client", "node"])
@pytest.mark.parametrize("way", ["tunnel", ""])
def test_a_tunnel_that_breaks_ends_nobody(role: str, way: str) -> None:
    peer = Peer(PeerId("a"), role, {"way": way} if way else {})
    channel = Channel(peer, "control", None)  # which came to the socket of this host
    peer.channels["control"] = channel
    closings = Closings()
    assert channel.local is not bool(way)
    for beat in range(60):
        closings.tick(beat * BEAT_S, 0.0)
        if role == "node":
            closings.hear_beat(peer)
    channel.closed_at = closings.time
    for beat in range(60, 60 + round(10 * CLOSED_LOCAL_S / BEAT_S)):
        closings.tick(beat * BEAT_S, 0.0)
    assert closings.is_over(peer) is not bool(way)
