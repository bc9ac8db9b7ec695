"""How a peer and the controller begin, resume and restart the numbering of a channel."""

from __future__ import annotations

import itertools

import pytest

from hippodrome.errors import ProtocolError
from hippodrome.protocol import frames
from hippodrome.protocol.frames import Frames
from hippodrome.protocol.link import HELLO_AGAIN_S, PROBE_AFTER_S, Link
from hippodrome.protocol.messages import Abort, Beat, Bye, Hello, PeerId, Refused, Sync, Welcome
from hippodrome.protocol.session import Session
from hippodrome.protocol.stream import (
    ACK_EVERY_MESSAGES,
    SYNC_AFTER_S,
    SYNC_AT_MOST_S,
    Stream,
    Verdict,
)


def link() -> Link:
    return Link("client", "task", PeerId("c"), {"host": "here"})


def read(parts: Frames) -> object:
    return frames.decode(frames.read_head(parts[0])[2])


def hello_of(sent: list[Frames]) -> Hello:
    (parts,) = sent
    message = read(parts)
    assert isinstance(message, Hello)
    return message


def connect(peer: Link, session: Session) -> list[object]:
    """Introduce *peer*; return what it handles, the welcome included."""
    handled = []
    for parts in session.greet(hello_of(peer.hello())):
        received = peer.receive(parts)
        handled.append(received.message)
    return handled


def test_what_is_sent_before_the_welcome_goes_out_with_it() -> None:
    peer = link()
    hello = hello_of(peer.hello())
    assert peer.send(Bye("early")) == []
    (welcome,) = Session().greet(hello)
    (parts,) = peer.receive(welcome).replies
    assert read(parts) == Bye("early")


def test_unnumbered_messages_do_not_wait_for_the_welcome() -> None:
    (parts,) = link().send(Beat())
    assert read(parts) == Beat()


def test_a_hello_is_repeated_until_it_is_answered() -> None:
    peer = link()
    peer.hello()
    assert peer.tick(5.0) == []
    assert hello_of(peer.tick(5.0 + HELLO_AGAIN_S)).number == 2
    assert peer.tick(5.0 + HELLO_AGAIN_S) == []


def test_the_welcome_of_an_earlier_hello_is_ignored() -> None:
    peer = link()
    early = hello_of(peer.hello())
    peer.hello()
    (welcome,) = Session().greet(early)
    assert peer.receive(welcome).message is None
    assert not peer.is_open


def test_a_late_hello_does_not_take_the_session_back_to_an_old_connection() -> None:
    peer, session = link(), Session()
    late = hello_of(peer.hello())
    connect(peer, session)
    assert session.greet(late) == []


def test_a_reconnect_resends_what_was_lost_and_only_that() -> None:
    peer, session = link(), Session()
    connect(peer, session)
    arrived, _lost = (session.stream.send(Bye(text)) for text in ("one", "two"))
    assert peer.receive(arrived).message == Bye("one")
    assert connect(peer, session)[1:] == [Bye("two")]


def test_a_session_whose_welcome_was_lost_begins_anew() -> None:
    peer, session = link(), Session()
    session.greet(hello_of(peer.hello()))  # lost with its connection
    session.stream.send(Bye("one"))  # lost as well
    welcome, message = connect(peer, session)
    assert isinstance(welcome, Welcome)
    assert welcome.fresh
    assert message == Bye("one")


def test_numbers_of_a_forgotten_session_are_not_mistaken_for_those_of_the_next() -> None:
    """The controller forgot the peer, greeted it anew, and that welcome was lost."""
    peer, forgotten = link(), Session()
    connect(peer, forgotten)
    for n in range(3):
        peer.receive(forgotten.stream.send(Bye(f"old {n}")))
    session = Session()
    session.greet(hello_of(peer.hello()))
    for n in range(5):
        session.stream.send(Bye(f"new {n}"))
    assert connect(peer, session)[1:] == [Bye(f"new {n}") for n in range(5)]


def test_a_numbered_message_before_the_welcome_is_left_to_be_sent_again() -> None:
    peer, session = link(), Session()
    _lost, message = session.greet(hello_of(peer.hello())), session.stream.send(Bye("one"))
    assert peer.receive(message).message is None
    assert connect(peer, session)[1:] == [Bye("one")]


def test_a_malformed_message_does_not_block_those_behind_it() -> None:
    peer, session = link(), Session()
    connect(peer, session)
    head = session.stream.send(Bye("one"))[0]
    with pytest.raises(ProtocolError):
        peer.receive([head[:16] + b"\xc1"])
    assert peer.receive(session.stream.send(Bye("two"))).message == Bye("two")


@pytest.mark.parametrize("parts", [[], [b"short"], [frames.head(0, 0, b"")]])
def test_a_message_without_a_proper_head_is_refused(parts: Frames) -> None:
    with pytest.raises(ProtocolError):
        link().receive(parts)


def test_an_idle_link_says_something_now_and_then() -> None:
    """Else nobody would learn that its connection was replaced while it had nothing to say."""
    peer, session = link(), Session()
    connect(peer, session)
    asked = [now for now in range(20) if peer.tick(float(now))]
    assert asked == [PROBE_AFTER_S, 2 * PROBE_AFTER_S, 3 * PROBE_AFTER_S]
    peer.receive(frames.unnumbered(Beat()))
    assert not any(peer.tick(20.0 + now) for now in range(int(PROBE_AFTER_S)))


def test_a_refusal_closes_the_link() -> None:
    peer = link()
    connect(peer, Session())
    assert peer.receive(frames.unnumbered(Refused("why"))).message == Refused("why")
    assert not peer.is_open


def test_claiming_to_have_what_was_never_sent_is_refused_and_changes_nothing() -> None:
    peer, session = link(), Session()
    connect(peer, session)
    session.stream.send(Bye("one"))
    liar = Hello(1, "client", "task", PeerId("c"), 9, received=7, session=1)
    with pytest.raises(ProtocolError, match="message 7 is acknowledged, 1 were sent"):
        session.greet(liar)
    assert connect(peer, session)[1:] == [Bye("one")]


def test_a_gap_asks_once_for_what_is_missing() -> None:
    stream = Stream()
    assert stream.receive(3, 0) is Verdict.GAP
    (question,) = stream.on_gap()
    assert read(question) == Sync(0, 0, resend=True)
    assert stream.on_gap() == []


def test_a_resend_is_asked_for_again_when_the_first_question_was_lost() -> None:
    stream = Stream()
    stream.on_gap()
    (question,) = stream.on_sync(Sync(3, 0))
    assert read(question) == Sync(0, 0, resend=True)


def test_one_sided_traffic_is_acknowledged_now_and_then() -> None:
    stream = Stream()
    due = []
    for number in range(1, 2 * ACK_EVERY_MESSAGES + 1):
        stream.receive(number, 0)
        due += stream.acknowledgement_due()
    assert [read(parts) for parts in due] == [
        Sync(0, ACK_EVERY_MESSAGES),
        Sync(0, 2 * ACK_EVERY_MESSAGES),
    ]


def test_silence_is_asked_about_ever_more_rarely_but_never_given_up() -> None:
    stream = Stream()
    stream.send(Abort())
    asked = [now for now in range(300) if stream.tick(float(now))]
    gaps = [after - before for before, after in itertools.pairwise(asked)]
    assert asked[0] == SYNC_AFTER_S
    assert gaps == sorted(gaps)
    assert gaps[-1] == SYNC_AT_MOST_S


def test_a_stream_that_owes_nothing_needs_no_tick() -> None:
    stream = Stream()
    stream.send(Abort())
    stream.tick(0.0)
    assert stream.next_tick() == SYNC_AFTER_S
    stream.acknowledge(1)
    assert stream.tick(1.0) == []
    assert stream.next_tick() is None
