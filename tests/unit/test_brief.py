"""The log at DEBUG: one short line for each action, and nothing in it that is secret or long."""

from __future__ import annotations

import logging
from typing import Any

import msgspec
import pytest

from hippodrome.engine.core import EngineCore
from hippodrome.hub.core import HubCore
from hippodrome.hub.query import FramedAnswer
from hippodrome.node import actions as do
from hippodrome.node.core import Limits, NodeCore
from hippodrome.process.actionlog import note_action
from hippodrome.protocol import messages as m
from hippodrome.protocol.brief import MOST_TEXT, brief
from hippodrome.protocol.frames import unnumbered
from hippodrome.protocol.ids import client_of, msg_id_of, new_peer_id, short
from hippodrome.protocol.link import Link

UUID = m.PeerId("0123456789abcdef" * 2)
LOG = logging.getLogger("test_brief")


def lines_of(caplog: pytest.LogCaptureFixture, *actions: Any) -> list[str]:
    with caplog.at_level(logging.DEBUG, LOG.name):
        for action in actions:
            note_action(LOG, action)
    return caplog.messages


def test_messages_are_shown_by_name_with_what_they_say() -> None:
    death = m.Death(UUID, None, 9, 3, expected=False, reason="killed by SIGKILL")
    assert brief(m.Exited(death)) == (
        "Exited(death=Death(uuid='01234567', signal=9, started=3, expected=False, "
        "reason='killed by SIGKILL'))"
    )


def test_payloads_and_secrets_are_counted_and_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    hello = Link("node", "control", UUID, secret=b"sesame sesame!!!").hello()[0]
    answer = FramedAnswer(m.Answered(UUID, m.Answer(1, b"hidden")), [memoryview(b"hidden too")])
    hello_line, answer_line = lines_of(caplog, do.SendControl(hello), answer)
    assert hello_line.startswith("SendControl(Hello(protocol=")
    assert "secret=<16 bytes>" in hello_line
    assert answer_line == (
        "FramedAnswer(message=Answered(client='01234567', answer=Answer(number=1, "
        "value=<6 bytes>)), buffers=[<10 bytes>])"
    )


def test_what_only_shows_that_somebody_is_there_is_left_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    beat, sync = unnumbered(m.Beat([])), unnumbered(m.Sync(1, 2))
    kill = do.Kill(UUID)
    assert lines_of(caplog, do.SendControl(beat), do.SendControl(sync), kill) == [
        "Kill(uuid='01234567')"
    ]


def test_a_line_is_short_whatever_it_is_about(caplog: pytest.LogCaptureFixture) -> None:
    many = m.Stop([m.PeerId(f"{n:032x}") for n in range(10_000)])
    text, junk = do.Tell("x\n" * 10_000), do.SendControl([b"junk"])
    lines = lines_of(caplog, many, text, junk)
    assert lines[0].endswith("and 9996 more])")
    assert all(len(line) < 3 * MOST_TEXT and line.isprintable() for line in lines)


def test_without_debug_nothing_is_made_of_an_action(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hippodrome.process.actionlog.brief", lambda _: pytest.fail("made"))
    LOG.setLevel(logging.INFO)
    note_action(LOG, do.Kill(UUID))


def test_ids_are_made_and_taken_apart_in_one_place() -> None:
    peer = new_peer_id()
    assert len(peer) == 32
    assert msg_id_of(peer, 7) == f"{peer}_7"
    assert client_of(msg_id_of(peer, 7)) == peer
    assert client_of(m.MsgId("mine")) == ""
    assert short(f"{UUID}_7 and {UUID * 2}") == f"01234567_7 and {UUID * 2}"


def test_cores_show_what_they_hold_in_numbers() -> None:
    hub = HubCore()
    hub.handle(m.EngineArrived(UUID, {"host": "h", "pid": 7, "node": "n"}), [])
    assert repr(hub) == "<HubCore: 1 members, 0 silent, 0 records>"
    node = NodeCore(UUID, {}, [m.PeerId("a"), m.PeerId("b")], Limits(), 0.0)
    assert repr(node) == "<NodeCore: 2 engines, 0 stopping>"
    node.stop("because", 1.0)
    assert repr(node) == "<NodeCore: 2 engines, 2 stopping>"
    assert repr(EngineCore(UUID, {})) == "<EngineCore unregistered: 0 queued, 0 running, 0 ended>"


def test_what_is_no_message_has_a_line_too(caplog: pytest.LogCaptureFixture) -> None:
    assert lines_of(caplog, do.SendControl([b"", b"x"])) == ["SendControl([<0 bytes>, <1 bytes>])"]
    assert brief(msgspec.msgpack.encode(1)) == "<1 bytes>"
