"""What an engine's end sets free does not go to that engine."""

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
