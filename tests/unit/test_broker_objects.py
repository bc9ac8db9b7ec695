"""Objects as the broker sees them: to each host once, before what refers to them is sent there."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from hippodrome.protocol import messages as m
from hippodrome.protocol.frames import Buffer
from hippodrome.segments import reference
from hippodrome.segments.reference import TOKEN_BYTES
from support.bench import Bench, F, PlayedPeer, outcomes, task

TOKEN = b"t" * TOKEN_BYTES
X = b"x" * 3_000_000
Y = b"y" * 5_000_000


def ref(name: str) -> bytes:
    return reference.encode(TOKEN, name)


class Files:
    """The objects of a place."""

    def __init__(self, **has: bytes) -> None:
        self.has = dict(has)
        self.parts: dict[str, bytes] = {}
        self.is_full = False
        self.is_hidden = False
        self.asked: list[tuple[str, int]] = []

    def put(self, name: str, at: int, size: int, data: Buffer) -> None:
        if self.is_full:
            raise OSError("full")
        self.parts[name] = (self.parts.get(name, b"") if at else b"") + bytes(data)
        if len(self.parts[name]) == size:
            self.has[name] = self.parts.pop(name)

    def whole(self, name: str) -> bytes:
        if name not in self.has:
            raise FileNotFoundError(name)
        return self.has[name]

    def size(self, name: str) -> int:
        return len(self.whole(name))

    def read(self, name: str, at: int, n: int) -> bytes:
        self.asked.append((name, at))
        return self.whole(name)[at : at + n]

    def remove(self, names: Iterable[str]) -> None:
        for name in names:
            self.has.pop(name, None)
            self.parts.pop(name, None)

    def is_shared(self, name: str) -> bool:
        return not self.is_hidden


class Hosts:
    """The controller's host, two others with a supervisor and engines, and a client elsewhere."""

    def __init__(self) -> None:
        self.here = Files()
        self.bench = Bench.make(token=TOKEN, large_limit=1 << 30, shelf=self.here, hwm=2)
        self.bench.is_one_host = False
        self.files = {name: Files() for name in "ab"}
        self.nodes = {
            name: self.bench.peer("node", uuid=name * 32).connect_all().carry(self.files[name])
            for name in "ab"
        }
        self.offers = Files(x=X, y=Y)
        self.client = self.bench.client().carry(self.offers)

    def engine(self, host: str) -> PlayedPeer:
        bench = self.bench
        if host == "here":
            bench.is_one_host = True
            engine = bench.engine()
            bench.is_one_host = False
            return engine
        engine = bench.peer("engine")
        engine.info |= {"node": host * 32} | ({} if host == "bare" else {"home": 1})
        engine.connect_all()
        bench.n_engines += 1
        bench.say(m.Joined(bench.info(engine, bench.n_engines - 1)))
        return engine

    def call(
        self, names: dict[str, int], *buffers: bytes, client: PlayedPeer | None = None
    ) -> None:
        """Call engines by number, each under a name."""
        ids = [m.MsgId(name) for name in names]
        targets = [m.EngineId(number) for number in names.values()]
        message = m.SubmitDirect(ids, targets, F, b"args", len(buffers), "", [F])
        (client or self.client).send("task", message, b"code", *buffers)

    def end(self, engine: PlayedPeer, *buffers: bytes) -> None:
        attempt = attempts(engine)[-1]
        outcome = m.Outcome(attempt.msg_id, attempt.attempt, "ok", 1.0, 2.0, 0.0, b"", len(buffers))
        engine.send("task", m.Outcomes([outcome]), *buffers)

    def freed(self) -> list[str]:
        self.bench.turn()
        freed = self.bench.broker.take_freed()
        self.here.remove(freed)
        return freed


def attempts(engine: PlayedPeer) -> list[m.Attempt]:
    found = [one for message in engine.got(m.Assign, "task") for one in message.attempts]
    return [one for one in found if isinstance(one, m.Attempt)]


def buffers_of(peer: PlayedPeer) -> list[bytes]:
    return [bytes(frame) for frame in peer.came["task"][-1].buffers if bytes(frame) != b"code"]


@pytest.fixture
def hosts() -> Hosts:
    return Hosts()


def test_an_argument_goes_to_each_host_once_and_is_freed_in_the_end(hosts: Hosts) -> None:
    engines = [hosts.engine(host) for host in "aabb"]
    hosts.call({"t0": 0, "t1": 1, "t2": 2, "t3": 3}, ref("x"))
    assert [buffers_of(engine) for engine in engines] == [[ref("x")]] * 4
    assert [files.has for files in hosts.files.values()] == [{"x": X}] * 2
    assert len(hosts.offers.asked) == 3, "each MiB of it once"
    for engine in engines:
        assert hosts.freed() == []
        hosts.end(engine)
    assert hosts.freed() == ["x"]
    assert [files.has for files in (*hosts.files.values(), hosts.offers)] == [{}, {}, {"y": Y}]


def test_engines_beside_the_controller_map_what_a_client_elsewhere_sends(hosts: Hosts) -> None:
    here, there = hosts.engine("here"), hosts.engine("a")
    hosts.call({"t0": 0, "t1": 1}, b"small", ref("x"))
    assert buffers_of(here) == buffers_of(there) == [b"small", ref("x")]
    assert hosts.here.has == {"x": X}


def test_an_engine_without_shared_memory_gets_frames(hosts: Hosts) -> None:
    bare = hosts.engine("bare")
    hosts.call({"t0": 0}, ref("x"), b"small")
    assert buffers_of(bare) == [X, b"small"]


def test_where_a_host_has_no_room_its_engines_get_frames(hosts: Hosts) -> None:
    full, other = hosts.engine("a"), hosts.engine("b")
    hosts.files["a"].is_full = True
    hosts.call({"t0": 0, "t1": 1}, ref("x"))
    hosts.bench.pass_time(1)
    assert (buffers_of(full), buffers_of(other)) == ([X], [ref("x")])


def test_what_is_here_and_cannot_be_mapped_goes_to_engines_here_as_frames(hosts: Hosts) -> None:
    here = hosts.engine("here")
    hosts.here.is_hidden = True
    hosts.call({"t0": 0}, ref("x"))
    assert buffers_of(here) == [X]


def test_where_there_is_no_room_at_all_the_task_says_so(hosts: Hosts) -> None:
    hosts.engine("bare")
    hosts.here.is_full = True
    hosts.call({"t0": 0}, ref("x"))
    hosts.bench.pass_time(1)
    result = hosts.client.results()["t0"]
    assert result.failure is not None
    assert "no room" in result.failure.evalue


def test_a_task_whose_client_went_before_it_was_fetched_fails(hosts: Hosts) -> None:
    engine = hosts.engine("a")
    hosts.client.close("data")
    hosts.call({"t0": 0}, ref("x"))
    hosts.client.send("control", m.Bye("enough"))
    hosts.bench.pass_time(1)
    assert attempts(engine) == []
    ended = [came for came in hosts.bench.hub if isinstance(came.message, m.Ended)]
    assert len(ended) == 1
    assert hosts.freed() == ["x"]


def test_a_result_goes_from_its_host_to_its_client(hosts: Hosts) -> None:
    engine = hosts.engine("a")
    hosts.call({"t0": 0})
    hosts.files["a"].has["r"] = X
    hosts.end(engine, ref("r"), b"small")
    assert buffers_of(hosts.client) == [ref("r"), b"small"]
    assert hosts.offers.has["r"] == X
    assert hosts.freed() == ["r"]
    assert hosts.files["a"].has == {}
    assert hosts.offers.has["r"] == X, "it is the client's own"


def test_a_result_comes_here_for_a_client_here(hosts: Hosts) -> None:
    engine = hosts.engine("a")
    hosts.bench.is_one_host = True
    near = hosts.bench.client()
    hosts.call({"t0": 0}, client=near)
    hosts.files["a"].has["r"] = X
    hosts.end(engine, ref("r"))
    assert buffers_of(near) == [ref("r")]
    assert hosts.here.has == {"r": X}
    near.send("control", m.Bye("enough"))
    assert hosts.freed() == ["r"]
    assert hosts.files["a"].has == {}


def test_a_result_whose_host_has_gone_is_said_to_be_lost(hosts: Hosts) -> None:
    engine = hosts.engine("a")
    hosts.call({"t0": 0})
    hosts.nodes["a"].close("data")
    hosts.files["a"].has["r"] = X
    hosts.end(engine, ref("r"))
    assert hosts.client.results() == {}
    hosts.nodes["a"].send("control", m.Bye("enough"))
    hosts.bench.pass_time(1)
    failure = hosts.client.results()["t0"].failure
    assert failure is not None
    assert failure.ename == "ResultExpired"
    assert hosts.freed() == ["r"]


def test_nobody_waits_for_what_another_client_sends(hosts: Hosts) -> None:
    engine, other = hosts.engine("a"), hosts.bench.client()
    hosts.client.close("data")
    hosts.call({"large": 0}, ref("x"))
    hosts.call({"small": 0}, client=other)
    assert [one.msg_id for one in attempts(engine)] == ["small"]
    hosts.call({"behind": 0})
    assert [one.msg_id for one in attempts(engine)] == ["small"], "order is kept"
    hosts.client.connect("data")
    hosts.bench.pass_time(2)
    assert [one.msg_id for one in attempts(engine)] == ["small", "large", "behind"]
    serials = [message.first for message in engine.got(m.Assign, "task")]
    assert serials == sorted(serials)


def test_what_waits_for_its_arguments_has_not_begun_when_its_engine_dies(hosts: Hosts) -> None:
    first = hosts.engine("a")
    hosts.client.close("data")
    hosts.client.send("task", m.Submit([task("large", n_buffers=1)], [F]), b"code", ref("x"))
    hosts.client.send("task", m.Submit([task("small")]))
    assert [one.msg_id for one in attempts(first)] == ["small"]
    second = hosts.engine("b")
    serial = first.got(m.Assign, "task")[-1].first
    hosts.bench.say(m.Left(m.EngineId(0), "killed", serial, final=True))
    assert hosts.client.results()["small"].status == "lost"
    hosts.client.connect("data")
    hosts.bench.pass_time(2)
    assert [one.msg_id for one in attempts(second)] == ["large"]
    assert hosts.files["b"].has == {"x": X}


def test_an_aborted_task_is_not_sent_when_its_arguments_come(hosts: Hosts) -> None:
    engine = hosts.engine("a")
    hosts.client.close("data")
    hosts.client.send("task", m.Submit([task("large", n_buffers=1)], [F]), b"code", ref("x"))
    hosts.client.send("control", m.Abort([m.MsgId("large")]))
    (drop,) = engine.got(m.Drop, "control")
    engine.send("control", m.Dropped(drop.attempts))
    assert hosts.client.results()["large"].status == "aborted"
    hosts.client.connect("data")
    hosts.bench.pass_time(2)
    assert attempts(engine) == []
    assert hosts.freed() == ["x"]


def test_what_passes_is_not_kept_for_the_records(hosts: Hosts) -> None:
    engine = hosts.engine("a")
    hosts.call({"t0": 0}, ref("x"))
    hosts.files["a"].has["r"] = X
    hosts.end(engine, ref("r"))
    hosts.bench.pass_time(1)
    told = [c.message for c in hosts.bench.hub if isinstance(c.message, m.Submitted | m.Ended)]
    assert [message.passing for message in told] == [[1], [0]]
    assert hosts.bench.broker.for_hub.take_names() == []


def test_a_client_that_asks_the_hub_gets_what_is_here_as_frames(hosts: Hosts) -> None:
    from hippodrome.protocol.frames import encode

    hosts.here.has["kept-1"] = X
    message = m.Answered(hosts.client.uuid, m.Answer(7, b"\xc0"))
    hosts.bench.broker.receive_hub([encode(message), ref("kept-1")])
    hosts.bench.turn()
    assert buffers_of(hosts.client) == [X]
    assert hosts.freed() == ["kept-1"]


def test_junk_on_a_data_channel_is_complained_of(hosts: Hosts) -> None:
    hosts.client.send("data", m.Stop(None))
    assert any("broke the protocol" in line for line in hosts.bench.broker.reception.complaints)
    engine = hosts.engine("a")
    hosts.call({"t0": 0})
    engine.send("task", outcomes(*attempts(engine)))
    assert hosts.client.results()["t0"].status == "ok"
