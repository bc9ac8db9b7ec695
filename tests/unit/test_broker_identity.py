"""Who is who: an id is one peer's, whoever else knows it, and its owner always gets in again."""

from __future__ import annotations

from typing import Any

import pytest

from hippodrome.protocol import messages as m
from hippodrome.protocol.frames import unnumbered
from hippodrome.scheduler import peers as peers_module
from support.bench import Bench, F, PlayedPeer, attempts_of, names_of, outcomes, task

MINE, YOURS = b"m" * 16, b"y" * 16


@pytest.fixture
def bench() -> Bench:
    return Bench.make()


def engine_of(bench: Bench, secret: bytes = MINE) -> PlayedPeer:
    engine = bench.peer("engine", "engine", "the-engine", secret).connect_all()
    bench.say(m.Joined(bench.info(engine, 0)))
    return engine


def refusals(peer: PlayedPeer) -> list[str]:
    return [refused.code for refused in peer.got(m.Refused)]


@pytest.mark.parametrize("secret", [YOURS, b"", MINE[:-1], MINE + b"m"])
@pytest.mark.parametrize("n_before", [0, 3, 10**6])
def test_who_knows_an_engines_id_and_not_its_secret_does_not_get_its_tasks(
    bench: Bench, secret: bytes, n_before: int
) -> None:
    client, engine = bench.client(), engine_of(bench)
    thief = bench.peer("engine", "engine", engine.uuid, secret)
    for link in thief.links.values():
        link._hellos = n_before
    thief.connect_all()
    assert refusals(thief) == ["peer_in_use"] * 2
    client.send("task", m.Submit([task("a")], [F]), b"code")
    assert (names_of(engine), thief.got(m.Assign)) == (["a"], [])
    engine.send("task", outcomes(*attempts_of(engine)))
    assert client.results()["a"].status == "ok"


def test_the_owner_gets_in_again_over_a_new_connection_at_once(bench: Bench) -> None:
    client, engine = bench.client(), engine_of(bench)
    engine.connect_all()  # the old ones look open still
    assert refusals(engine) == []
    client.send("task", m.Submit([task("a")], [F]), b"code")
    assert names_of(engine) == ["a"]


@pytest.mark.parametrize("role", ["engine", "node", "client"])
def test_the_place_of_one_who_has_gone_is_kept_for_him(bench: Bench, role: str) -> None:
    owner = bench.peer(role, uuid="owner", secret=MINE).connect_all()
    for channel in owner.links:
        owner.close(channel)
    bench.tick(1000.0)
    bench.tick(2000.0)
    assert bench.broker.peers.get(owner.uuid) is None
    thief = bench.peer(role, uuid="owner", secret=YOURS).connect_all()
    assert set(refusals(thief)) == {"peer_in_use"}
    owner.connect_all()
    assert refusals(owner) == []
    assert bench.broker.peers.get(owner.uuid) is not None


def test_of_those_who_have_gone_so_many_are_remembered(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers_module, "MOST_GONE", 3)
    for n in range(10):
        peer = bench.peer("client", uuid=f"c{n}", secret=MINE).connect_all()
        peer.send("control", m.Bye())
    assert len(bench.broker.peers._gone) == 3
    assert refusals(bench.peer("client", uuid="c9", secret=YOURS).connect_all())
    assert not refusals(bench.peer("client", uuid="c0", secret=YOURS).connect_all())


def test_both_channels_are_of_one_peer(bench: Bench) -> None:
    owner = bench.peer("client", uuid="c", secret=MINE)
    owner.connect("task")
    thief = bench.peer("client", uuid="c", secret=YOURS)
    thief.connect("control")
    assert refusals(thief) == ["peer_in_use"]
    owner.connect("control")
    assert owner.got(m.Membership)


def test_without_a_secret_an_id_is_refused_while_its_connection_is_open(bench: Bench) -> None:
    first = bench.peer("client", uuid="c").connect_all()
    other = bench.peer("client", uuid="c")
    for link in other.links.values():
        link._hellos = 5
    other.connect_all()
    assert refusals(other) == ["peer_in_use"] * 2
    for channel in first.links:
        first.close(channel)
    other.connect_all()
    assert all(link.is_open for link in other.links.values())


@pytest.mark.parametrize(
    "uuid", ["", "a b", "a\n2026 ERROR forged", "\x1b[2J", "ü", "x" * 65, "x" * 5_000_000, "a/b"]
)
def test_an_id_is_short_and_plain(bench: Bench, uuid: str) -> None:
    hello = m.Hello(m.PROTOCOL, "client", "task", m.PeerId(uuid), 1)
    bench.broker.receive(b"r", None, unnumbered(hello))
    assert bench.broker.peers.channel_at(b"r") is None
    assert len(bench.broker.reception.complaints) == 1


@pytest.mark.parametrize(
    "info", [{"host": "x" * 1025}, {"x" * 1025: 1}, {str(n): n for n in range(33)}]
)
def test_a_peer_that_says_too_much_of_itself_is_refused(
    bench: Bench, info: dict[str, str | int]
) -> None:
    hello = m.Hello(m.PROTOCOL, "client", "task", m.PeerId("c"), 1, info=info)
    bench.broker.receive(b"r", None, unnumbered(hello))
    assert bench.broker.peers.channel_at(b"r") is None


@pytest.mark.parametrize(
    ("hello", "key_role", "code"),
    [
        (m.Hello(99, "client", "task", m.PeerId("p"), 1), None, "protocol_version"),
        (m.Hello(m.PROTOCOL, "client", "task", m.PeerId("p"), 1), "engine", "authentication"),
        (m.Hello(m.PROTOCOL, "client", "task", m.PeerId("p"), 1), "nobody", "authentication"),
        (m.Hello(m.PROTOCOL, "king", "task", m.PeerId("p"), 1), None, "protocol"),
        (m.Hello(m.PROTOCOL, "engine", "task", m.PeerId("c"), 9), None, "peer_in_use"),
    ],
)
def test_a_refusal_says_by_a_code_why(
    bench: Bench, hello: m.Hello, key_role: str | None, code: str
) -> None:
    bench.peer("client", uuid="c", secret=MINE).connect_all()
    asker = bench.peer("client", key_role)
    bench.ends[b"r"] = (asker, "task")
    bench.deliver(b"r", [unnumbered(hello)])
    assert refusals(asker) == [code]


def test_no_text_that_is_made_of_a_peer_shows_its_secret(bench: Bench) -> None:
    hello: Any = m.Hello(m.PROTOCOL, "client", "task", m.PeerId("p"), 1, secret=b"hush" * 4)
    peer = bench.peer("client", uuid="p", secret=b"hush" * 4).connect_all()
    here = bench.broker.peers.get(peer.uuid)
    texts = [repr(hello), repr(here), *bench.broker.reception.complaints]
    texts += [repr(channel) for channel in here.channels.values()]  # type: ignore[union-attr]
    assert not any("hush" in text for text in texts)


# ---------------------------------------------------------------- who has died unseen


@pytest.mark.parametrize("channels", [["task", "control"], ["task"], ["control"]])
def test_every_connection_of_an_idle_client_is_tried(bench: Bench, channels: list[str]) -> None:
    """A connection that is closed is noticed only by writing to it."""
    client = bench.peer("client", secret=MINE)
    for channel in channels:
        client.connect(channel)
    open_routes = {client.routes[channel] for channel in channels}
    now = 100.0
    while open_routes and now < 110.0:
        now += 0.5
        bench.broker.tick(now)
        for route, _ in bench.broker.flush():
            if route in open_routes:  # as the socket says when the process behind it is gone
                open_routes.discard(route)
                bench.broker.closed(route)
    bench.tick(now + 5.0)
    bench.tick(now + 10.0)
    assert bench.broker.peers.get(client.uuid) is None
    assert bench.broker.leases.take_lost()


def test_who_hears_beats_is_not_asked_besides(bench: Bench) -> None:
    client = bench.client()
    for n in range(1, 8):
        bench.tick(100.0 + n)
    assert client.got(m.Beat, "control")
    assert client.got(m.Sync, "task") == []


@pytest.mark.parametrize("purpose", ["question", "", "QUESTION", 7, 1 << 62, "question\n" * 99])
def test_who_says_that_it_only_asks_is_told_of_beside_the_others(
    bench: Bench, purpose: str | int
) -> None:
    asks = purpose == "question"
    client = bench.peer("client")
    client.info["purpose"] = purpose
    client.connect_all()
    engine = bench.peer("engine")
    engine.info["purpose"] = purpose
    engine.connect_all()
    client.send("control", m.Bye("done"))
    came, left = bench.broker.reception.news
    assert (came.is_aside, left.is_aside) == (asks, asks)
    assert (came.text.endswith("came"), left.text.endswith("left: done")) == (True, True)
