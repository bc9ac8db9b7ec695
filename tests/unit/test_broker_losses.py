"""What an engine's end sets free does not go to that engine; who waits for it hears of the end."""

from __future__ import annotations

from hippodrome.protocol import messages as m
from support.bench import Bench, F, attempts_of, names_of, task


def test_what_waited_for_a_direct_call_is_not_sent_to_the_engine_that_was_lost_with_it() -> None:
    bench = Bench.make()
    client, lost = bench.client(), bench.engine()
    call = m.SubmitDirect([m.MsgId("call")], [m.EngineId(0)], F, b"args", 0, "", [F])
    client.send("task", call, b"code")
    after = m.Dependencies([m.MsgId("call")], success=False, failure=True)
    client.send("task", m.Submit([task("clean up", after=after)]))
    bench.say(m.Left(m.EngineId(0), "silent", None, final=False))
    assert client.results()["call"].status == "lost"
    assert "clean up" not in client.results()
    assert names_of(lost) == ["call"]
    other = bench.engine()
    assert [(a.msg_id, a.attempt) for a in attempts_of(other)] == [("clean up", 1)]


def test_that_engines_left_is_told_before_what_was_lost_with_them() -> None:
    bench = Bench.make()
    client, other = bench.client(), bench.client()
    bench.engine(), bench.engine()
    bench.pass_time(1)
    for engine in (0, 1):
        name = m.MsgId(f"call {engine}")
        call = m.SubmitDirect([name], [m.EngineId(engine)], F, b"args", 0, "", [F])
        client.send("task", call, b"code")
    bench.say(
        *(m.Left(m.EngineId(engine), "killed", None, final=True) for engine in (0, 1)),
    )
    told = [m.Membership([], {m.EngineId(engine): "killed" for engine in (0, 1)}, 3)]
    _welcome, *came = [item.message for item in client.came["task"]]
    assert came[: came.index(client.got(m.Results)[0])] == told
    assert client.got(m.Membership, "control")[-1:] == told
    assert other.got(m.Membership, "task") == told
    assert set(client.results()) == {"call 0", "call 1"}
