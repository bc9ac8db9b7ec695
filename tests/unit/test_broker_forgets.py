"""Engines and clients that are gone leave nothing behind, however many there have been."""

from __future__ import annotations

import pytest

from hippodrome.protocol import messages as m
from hippodrome.scheduler import cores
from simulation.kept import sizes
from support.bench import Bench, F, attempts_of, task

MANY = 10_000
FEW = 60
SECOND = 1.0


def info(number: int) -> m.EngineInfo:
    uuid = m.PeerId(f"e{number}")
    return m.EngineInfo(m.EngineId(number), uuid, m.PeerId("n"), "here", 1)


def held(bench: Bench) -> dict[str, int]:
    """Return what is large in the broker, but for what ended lately, which has its own bound."""
    found = sizes(bench.broker, FEW)
    return {path: n for path, n in found.items() if "ndings" not in path}


@pytest.mark.parametrize("final", [True, False], ids=["ended", "silent"])
def test_ten_thousand_engines_come_and_go(monkeypatch: pytest.MonkeyPatch, *, final: bool) -> None:
    monkeypatch.setattr(cores, "MOST_GONE", FEW // 2)
    bench = Bench.make()
    client = bench.client()
    client.send("task", m.Submit([task("first")], [F]), b"code")
    for number in range(MANY):
        engine = m.EngineId(number)
        bench.say(m.Joined(info(number)), m.Suspected(engine, True))
        client.send("task", m.SubmitDirect([m.MsgId(f"d{number}")], [engine], F, b"args"))
        bench.say(m.Left(engine, "gone", None, final=final))
    bench.pass_time(SECOND)
    assert held(bench) == {}


def test_an_engine_that_comes_back_goes_on_with_its_serials() -> None:
    bench = Bench.make()
    engine, client = bench.engine(), bench.client()
    client.send("task", m.Submit([task("a")], [F]), b"code")
    bench.say(m.Left(m.EngineId(0), "silent", None, final=False))
    client.send("task", m.Submit([task("b")]))
    bench.say(m.Joined(bench.info(engine, 0)))
    assert [attempt.msg_id for attempt in attempts_of(engine)] == ["a", "b"]


def test_calls_of_engines_that_never_were_leave_nothing() -> None:
    bench = Bench.make()
    client = bench.client()
    for number in range(2 * FEW):
        functions = [] if number else [F]
        names = [m.MsgId(f"d{number}")], [m.EngineId(number)]
        message = m.SubmitDirect(*names, F, b"args", 0, "", functions)
        client.send("task", message, *(b"code" for _ in functions))
    assert len(client.results()) == 2 * FEW
    assert held(bench) == {}


def test_clients_come_and_go() -> None:
    bench = Bench.make()
    bench.engine()
    for _ in range(2 * FEW):
        client = bench.client()
        client.send("task", m.Submit([task("a")]))  # of a function that is not to be had
        client.send("control", m.Query(1, "nothing"))
        client.send("control", m.Bye())
        bench.broker.reception.news.clear()
    assert held(bench) == {}
