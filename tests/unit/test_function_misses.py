"""A function that is missing somewhere is asked for, and whoever asked is answered."""

from __future__ import annotations

from hippodrome.client.link import core as client_core
from hippodrome.client.link import events as ce
from hippodrome.engine.actions import EngineChannel, Send
from hippodrome.engine.core import EngineCore
from hippodrome.protocol import messages as m
from hippodrome.protocol.frames import Frames, decode, read_head
from hippodrome.protocol.functions import FunctionCache
from hippodrome.protocol.session import Session
from hippodrome.scheduler.intake import Intake

F, G = m.Digest(b"f"), m.Digest(b"g")
CLIENT = m.PeerId("c")


def read(frames: Frames) -> m.PeerMessage:
    return decode(read_head(frames[0])[2])


def hello_of(frames: Frames) -> m.Hello:
    message = read(frames)
    assert isinstance(message, m.Hello)
    return message


class PlayedEngine:
    """An engine whose task channel is open."""

    def __init__(self) -> None:
        self.core = EngineCore(m.PeerId("e"), {})
        self.session = Session()
        (hello,) = self.sent(self.core.hello(EngineChannel.TASK))
        for answer in self.session.greet(hello_of(hello)):
            self.core.receive(EngineChannel.TASK, answer)

    @staticmethod
    def sent(actions: list[object]) -> list[Frames]:
        return [action.frames for action in actions if isinstance(action, Send)]

    def say(self, message: m.Message, *buffers: bytes) -> list[m.PeerMessage]:
        frames = self.session.stream.send(message, buffers)
        actions = [*self.core.receive(EngineChannel.TASK, frames), *self.core.flush()]
        return [read(frames) for frames in self.sent(actions)]


def test_an_engine_asks_again_for_what_did_not_come() -> None:
    engine = PlayedEngine()
    attempt = m.Attempt(m.MsgId("t"), 1, F, b"args")
    assert engine.say(m.Assign(1, [attempt])) == [m.NeedFunctions([F])]
    assert engine.say(m.Functions([])) == [m.NeedFunctions([F])]
    assert engine.say(m.Functions([F]), b"code") == []
    assert engine.core.has_next


def test_a_client_answers_also_when_it_has_nothing() -> None:
    """The scheduler keeps back all that the client has submitted since, until it is answered."""
    core = client_core.ClientCore(CLIENT, {})
    session = Session()
    hellos = [a for a in core.handle(ce.Connected()) if isinstance(a, ce.SendFrames)]
    (hello,) = [action.frames for action in hellos if action.channel == "task"]
    for answer in session.greet(hello_of(hello)):
        core.handle(ce.FramesArrived("task", answer))
    question = session.stream.send(m.NeedFunctions([F]))
    actions = core.handle(ce.FramesArrived("task", question))
    sent = [read(action.frames) for action in actions if isinstance(action, ce.SendFrames)]
    assert sent == [m.Functions([])]


def submit(name: str, *functions: m.Digest, brings: tuple[m.Digest, ...] = ()) -> m.Submit:
    tasks = [m.Task(m.MsgId(f"{name}{n}"), digest, b"") for n, digest in enumerate(functions)]
    return m.Submit(tasks, list(brings))


def intake_without_room() -> Intake:
    return Intake(FunctionCache(limit_bytes=0), lambda msg_ids: True)


def test_functions_that_came_with_a_parked_submission_are_kept_for_it() -> None:
    intake = intake_without_room()
    taken = intake.submit(CLIENT, submit("t", F, G, brings=(F,)), [b"code f"], b"")
    assert taken.missing == [G]
    assert intake.supply(CLIENT, [G], [b"code g"]).refused == []


def test_a_function_that_was_dropped_while_another_was_awaited_is_asked_for() -> None:
    functions = FunctionCache(limit_bytes=0)
    functions.use(F)
    functions.put(F, b"code f")
    intake = Intake(functions, lambda msg_ids: True)
    assert intake.submit(CLIENT, submit("t", F, G), [], b"").missing == [G]
    functions.release(F)
    taken = intake.supply(CLIENT, [G], [b"code g"])
    assert (taken.missing, taken.refused, taken.events) == ([F], [], [])
    taken = intake.supply(CLIENT, [F], [b"code f"])
    assert (taken.missing, taken.refused) == ([], [])
    assert len(taken.events) == 1


def test_what_a_client_does_not_have_any_more_is_refused_and_blocks_nothing() -> None:
    intake = intake_without_room()
    assert intake.submit(CLIENT, submit("t", F), [], b"").missing == [F]
    assert intake.submit(CLIENT, submit("u", G, brings=(G,)), [b"code g"], b"").missing == []
    taken = intake.supply(CLIENT, [], [])
    assert taken.refused == ["t0"]
    assert [task.msg_id for event in taken.events for task in event.tasks] == ["u0"]
