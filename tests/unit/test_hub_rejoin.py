"""Who comes back, and as whom: only a death that the operating system reported is final."""

from __future__ import annotations

import pytest

from hippodrome.hub.config import HubConfig
from hippodrome.hub.core import HubCore
from hippodrome.protocol import messages as m
from hippodrome.protocol.messages import PeerId

ENGINE = PeerId("e")
NODE = PeerId("n")
CONFIG = HubConfig(suspect_after_s=1.0, lost_after_s=2.0)
ARRIVED = m.EngineArrived(ENGINE, {"host": "here", "pid": 1, "node": NODE})
PULSES = m.Pulses(NODE, [m.Pulse(ENGINE, 0.0)])
KILLED = m.Death(ENGINE, None, 9, 3, expected=False, reason="was killed")
CLOSED = m.Death(ENGINE, None, None, 1 << 62, expected=False, reason="its connection closed")


def hub_with_an_engine() -> HubCore:
    hub = HubCore(CONFIG)
    hub.tick(0.0, 0.0)
    hub.handle(m.NodeCame(NODE, {}), [])
    assert joined(hub.handle(ARRIVED, [])) == [0]
    return hub


def joined(messages: list[m.Message]) -> list[int]:
    return [message.info.engine for message in messages if isinstance(message, m.Joined)]


def left(messages: list[m.Message]) -> list[m.Left]:
    return [message for message in messages if isinstance(message, m.Left)]


def test_an_engine_whose_supervisor_was_silent_comes_back_with_its_first_beat() -> None:
    hub = hub_with_an_engine()
    for seconds in range(1, 4):
        hub.handle(m.Awake(), [])
        hub.tick(float(seconds), 0.0)
    assert hub.snapshot().members == 0
    assert joined(hub.handle(PULSES, [])) == [0]


@pytest.mark.parametrize("loss", [CLOSED, None], ids=["its own", "its supervisor's"])
def test_an_engine_whose_connection_stayed_closed_comes_back_with_its_id(
    loss: m.Death | None,
) -> None:
    hub = hub_with_an_engine()
    event = m.Departed(loss) if loss is not None else m.NodeGone(NODE, "it closed")
    (gone,) = left(hub.handle(event, []))
    assert (gone.started, gone.final) == (None, False)
    assert joined(hub.handle(ARRIVED, [])) == [0]


def test_a_beat_does_not_bring_back_an_engine_that_has_no_connection() -> None:
    hub = hub_with_an_engine()
    hub.handle(m.Departed(CLOSED), [])
    assert hub.handle(PULSES, []) == []


def test_an_engine_that_died_stays_away() -> None:
    hub = hub_with_an_engine()
    (gone,) = left(hub.handle(m.Departed(KILLED), []))
    assert (gone.started, gone.final) == (3, True)
    assert hub.handle(ARRIVED, []) == []
    assert hub.handle(PULSES, []) == []


def test_an_engine_that_introduces_itself_again_is_confirmed() -> None:
    """The scheduler may have forgotten its connection and with it who it is."""
    assert joined(hub_with_an_engine().handle(ARRIVED, [])) == [0]


def test_an_end_that_is_told_twice_is_one_end() -> None:
    hub = hub_with_an_engine()
    stopped = m.Death(ENGINE, 0, None, 3, expected=True, reason="was stopped")
    assert len(left(hub.handle(m.Departed(stopped), []))) == 1
    for death in (stopped, KILLED, CLOSED):
        assert hub.handle(m.Departed(death), []) == []
    assert hub.handle(m.NodeGone(NODE, "it closed"), []) == []
