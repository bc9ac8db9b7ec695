"""What the log says at DEBUG of tasks and engines is a story that can be followed."""

from __future__ import annotations

from hippodrome.protocol import messages as m
from hippodrome.scheduler.events import AssignAttempts, Serial
from hippodrome.scheduler.story import told
from support.bench import Bench, F, attempts_of, outcomes, task

LOST = """
engine 0 is a member
engine 1 is a member
task a: attempt 1 to engine 0, serial 1
task b: attempt 1 to engine 1, serial 1
2 tasks c to d: attempt 1 to engine 0, serial 2
task e: attempt 1 to engine 1, serial 2
task a: ok on engine 0, to client client00
engine 0 is silent
2 tasks c to d: engine 0 is asked to drop it
engine 0 is lost: its process was killed; it began 2
task c: lost on engine 0, to client client00
task d: attempt 2 to engine 1, serial 3
engine 0 is a member
task b: client client00 wants it aborted
task b: engine 1 is asked to drop or interrupt it
task b: aborted on engine 1, to client client00
task e: ok on engine 1, to client client00
task d: ok on engine 1, to client client00
"""


def test_a_lost_engine_makes_a_story() -> None:
    bench = Bench.make(hwm=4)
    lines: list[str] = []
    bench.broker.watch(lambda what: lines.append(told(what)))
    one, other = bench.engine(), bench.engine()
    client = bench.client()
    client.send("task", m.Submit([task("a"), task("b")], [F]), b"secret code")
    names = [m.MsgId(name) for name in "cde"]
    client.send("task", m.Submit([m.TaskBundle(names, F, [b"secret"] * 3)]))
    one.send("task", outcomes(attempts_of(one)[0]))
    bench.say(m.Suspected(m.EngineId(0), True))
    bench.say(m.Left(m.EngineId(0), "its process was killed", 2, final=False))
    bench.say(m.Joined(bench.info(one, 0)))
    client.send("control", m.Abort([m.MsgId("b")], True))
    other.send("task", outcomes(attempts_of(other)[0], status="aborted"))
    other.send("task", outcomes(*attempts_of(other)[1:]))
    print("\n".join(filter(None, lines)))
    assert "\n".join(filter(None, lines)) == LOST.strip()


def test_an_odd_id_stays_on_its_line() -> None:
    names = [m.MsgId("a\nforged" + "x" * 10_000)]
    text = told(AssignAttempts(m.EngineId(0), Serial(1), names, 1, F, [b"payload"]))
    assert "\n" not in text
    assert len(text) < 2000
    assert "payload" not in text


def test_who_looks_at_a_broker_sees_what_it_holds() -> None:
    bench = Bench.make(hwm=1)
    bench.engine()
    client = bench.client()
    later = m.Dependencies([m.MsgId("b")])
    tasks = [task("a"), task("b"), task("c", after=later)]
    client.send("task", m.Submit(tasks, [F]), b"code")
    assert repr(bench.broker) == (
        "<Broker: 1 clients, 1 engines, 0 nodes; <TaskScheduler leastload: 1 tasks wait, "
        "1 are ready, 1 assigned, 1 engines>, 0 calls by name>"
    )
