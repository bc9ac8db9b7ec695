"""Single decisions of the client's core; tests/property has the state machine."""

from __future__ import annotations

from typing import Any

import pytest

from hippodrome.client.link.core import ABORT_DONE, ClientCore, State
from hippodrome.client.link.events import (
    AbortRequested,
    ClientAction,
    ClientEvent,
    Closing,
    Connected,
    ControllerEnded,
    DeliverAnswer,
    EnginesChanged,
    Enqueue,
    FlushAsked,
    FramesArrived,
    Lose,
    Question,
    Renewed,
    Resolve,
    SendFrames,
    SubmittedDirect,
    TaskSubmitted,
    TellUser,
    Ticked,
    Turned,
    Welcomed,
)
from hippodrome.client.link.io_thread import _refusal
from hippodrome.client.link.outstanding import TASKS_PER_MESSAGE
from hippodrome.errors import AuthenticationError, ProtocolError, ProtocolVersionError
from hippodrome.protocol.bundles import ids_of
from hippodrome.protocol.frames import decode, read_head, unnumbered
from hippodrome.protocol.link import Link
from hippodrome.protocol.messages import (
    Abort,
    Beat,
    Bye,
    Digest,
    EngineId,
    EngineInfo,
    Flush,
    Flushed,
    Hello,
    Membership,
    MsgId,
    Options,
    PeerId,
    Query,
    Refused,
    Submit,
    SubmitDirect,
    Sync,
    Task,
)
from hippodrome.protocol.session import Session

CHANNELS = ("task", "control")


class Wire:
    """A core and the controller's side of its channels."""

    def __init__(self, patience_s: float = 10.0) -> None:
        self.core = ClientCore(PeerId("c" * 32), {}, patience_s)
        self.sessions = {channel: Session() for channel in CHANNELS}

    def feed(self, event: ClientEvent) -> list[ClientAction]:
        actions = self.core.handle(event)
        self.core.check()
        return actions

    def connect(self) -> list[ClientAction]:
        """Greet both channels as a controller would, and tell of one engine."""
        actions: list[ClientAction] = []
        for action in self.feed(Connected()):
            assert isinstance(action, SendFrames)
            actions += self.greet(action)
        return actions + self.tell("control", Membership([engine(0)]))

    def greet(self, hello: SendFrames) -> list[ClientAction]:
        message = message_of(hello)
        assert isinstance(message, Hello)
        return [
            action
            for frames in self.sessions[hello.channel].greet(message)
            for action in self.feed(FramesArrived(hello.channel, frames))
        ]

    def tell(self, channel: str, message: Any) -> list[ClientAction]:
        return self.feed(FramesArrived(channel, self.sessions[channel].stream.send(message)))

    def acknowledge(self) -> None:
        sent = self.core.links["task"].stream.sent
        self.feed(FramesArrived("task", unnumbered(Sync(0, sent))))


def message_of(action: ClientAction) -> Any:
    assert isinstance(action, SendFrames)
    return decode(read_head(action.frames[0])[2])


def messages(actions: list[ClientAction], channel: str | None = None) -> list[Any]:
    sends = [action for action in actions if isinstance(action, SendFrames)]
    return [message_of(send) for send in sends if channel in {None, send.channel}]


def engine(number: int) -> EngineInfo:
    return EngineInfo(EngineId(number), PeerId(f"{number}"), PeerId("n"), "host", 1)


def task(number: int, function: bytes = b"f", n_buffers: int = 0) -> Task:
    return Task(MsgId(f"m_{number}"), Digest(function), b"payload", n_buffers)


def submitted(number: int, function: bytes = b"f") -> TaskSubmitted:
    return TaskSubmitted(task(number, function), b"pickle of " + function, (), None)


def kinds(actions: list[ClientAction]) -> list[type]:
    return [type(action) for action in actions]


@pytest.fixture
def wire() -> Wire:
    wire = Wire()
    wire.connect()
    return wire


def test_it_is_ready_once_both_channels_are_open_and_the_engines_known() -> None:
    wire = Wire()
    hellos = wire.feed(Connected())
    assert kinds(hellos) == [SendFrames, SendFrames]
    assert Welcomed not in kinds(wire.greet(hellos[1]))  # type: ignore[arg-type]
    assert Welcomed not in kinds(wire.tell("control", Membership([])))
    assert Welcomed in kinds(wire.greet(hellos[0]))  # type: ignore[arg-type]
    assert wire.core.state is State.OPEN


def test_a_refusal_is_final_and_says_why() -> None:
    wire = Wire()
    wire.feed(Connected())
    actions = wire.feed(FramesArrived("task", unnumbered(Refused("wrong key"))))
    assert actions == [Lose("wrong key", final=True, refused=True)]
    assert kinds(wire.feed(submitted(1))) == [Resolve]


def test_a_burst_is_one_message_and_a_function_travels_once(wire: Wire) -> None:
    for number in range(3):
        assert wire.feed(submitted(number)) == []
    (submit,) = messages(wire.feed(Turned()))
    (bundle,) = submit.tasks
    assert bundle.msg_ids == ["m_0", "m_1", "m_2"]
    assert submit.functions == [b"f"]
    wire.feed(submitted(3))
    (submit,) = messages(wire.feed(Turned()))
    assert submit.functions == []
    assert wire.feed(Turned()) == []


def test_the_size_of_a_message_is_bounded(wire: Wire) -> None:
    sizes = [
        len(message.tasks[0].msg_ids)
        for number in range(2 * TASKS_PER_MESSAGE + 50)
        for message in messages(wire.feed(submitted(number)))
    ]
    sizes += [len(message.tasks[0].msg_ids) for message in messages(wire.feed(Turned()))]
    assert sizes == [TASKS_PER_MESSAGE, TASKS_PER_MESSAGE, 50]


def test_only_tasks_that_follow_each_other_and_are_alike_are_bundled(wire: Wire) -> None:
    """Order is kept; another function, other options or buffers end a bundle."""
    retried = Options(retries=1)
    kinds = [("f", None), ("f", None), ("g", None), ("f", None), ("f", retried), ("f", retried)]
    for number, (function, options) in enumerate(kinds):
        item = Task(MsgId(f"m_{number}"), Digest(function.encode()), b"args", 0, options)
        wire.feed(TaskSubmitted(item, b"pickle", (), None))
    (submit,) = messages(wire.feed(Turned()))
    assert [ids_of(item) for item in submit.tasks] == [
        ["m_0", "m_1"], ["m_2"], ["m_3"], ["m_4", "m_5"],
    ]  # fmt: skip
    assert submit.tasks[3].options == retried
    assert isinstance(submit.tasks[1], Task)


def test_a_task_with_buffers_of_its_own_leaves_at_once(wire: Wire) -> None:
    actions = wire.feed(TaskSubmitted(task(0, n_buffers=2), b"pickle", (b"one", b"two"), None))
    assert isinstance(actions[0], SendFrames)
    assert actions[0].frames[1:] == [b"pickle", b"one", b"two"]


def test_direct_calls_do_not_overtake_balanced_ones(wire: Wire) -> None:
    wire.feed(submitted(0))
    call = SubmitDirect([MsgId("m_1")], [EngineId(0)], Digest(b"f"), b"p")
    sent = messages(wire.feed(SubmittedDirect(call, b"pickle", (), None)))
    assert [type(message) for message in sent] == [Submit, SubmitDirect]
    assert sent[1].functions == []


def test_an_abort_follows_tasks_that_may_not_have_arrived(wire: Wire) -> None:
    wire.feed(submitted(0))
    wire.feed(Turned())
    actions = wire.feed(AbortRequested(None))
    assert messages(actions, "control") == messages(actions, "task") == [Abort([MsgId("m_0")])]
    assert isinstance(messages(wire.feed(Question(ABORT_DONE, b"\x80", 1)), "task")[0], Query)
    wire.acknowledge()
    actions = wire.feed(AbortRequested((MsgId("m_0"), MsgId(f"{'c' * 32}_9"))))
    assert messages(actions, "control") == [Abort([MsgId("m_0")])]
    assert messages(actions, "task") == []


def test_a_flush_is_answered_behind_what_was_submitted(wire: Wire) -> None:
    actions = wire.tell("task", Flush(7))
    assert Enqueue(FlushAsked(7)) in actions
    wire.feed(submitted(0))
    sent = messages(wire.feed(FlushAsked(7)), "task")
    assert [type(message) for message in sent] == [Submit, Flushed]
    assert sent[1] == Flushed(7)


@pytest.mark.parametrize("name", ["history", "db_query", "queue_status"])
def test_questions_about_all_tasks_follow_those_that_may_not_have_arrived(
    wire: Wire, name: str
) -> None:
    wire.feed(submitted(0))
    kinds_sent = [type(one) for one in messages(wire.feed(Question(name, b"\x80", 1)), "task")]
    assert kinds_sent == [Submit, Query]
    wire.acknowledge()
    assert len(messages(wire.feed(Question(name, b"\x80", 1)), "control")) == 1


def test_aborting_nothing_says_nothing(wire: Wire) -> None:
    assert wire.feed(AbortRequested(None)) == []
    assert wire.feed(AbortRequested((MsgId(f"{'c' * 32}_9"),))) == []


def test_tasks_of_other_clients_can_be_aborted(wire: Wire) -> None:
    ended, foreign = MsgId(f"{'c' * 32}_9"), MsgId(f"{'d' * 32}_0")
    assert wire.feed(AbortRequested((ended,))) == []
    actions = wire.feed(AbortRequested((ended, foreign)))
    assert messages(actions, "control") == [Abort([foreign])]


def test_silence_is_asked_about_and_then_believed(wire: Wire) -> None:
    wire.feed(submitted(0))
    wire.feed(Turned())
    seen: list[ClientAction] = []
    for half_seconds in range(24):
        seen += wire.feed(Ticked(half_seconds / 2))
    assert any(isinstance(message, Sync) for message in messages(seen, "control"))
    assert kinds(seen).count(Lose) == kinds(seen).count(Resolve) == 1
    assert wire.core.state is State.SILENT


def test_a_long_silence_is_said_once_and_its_end_too() -> None:
    wire = Wire(patience_s=60.0)
    wire.connect()
    seen: list[ClientAction] = []
    for half_seconds in range(50):
        seen += wire.feed(Ticked(half_seconds / 2))
    (said,) = [action for action in seen if isinstance(action, TellUser)]
    assert "for 10 s; waiting for it, up to 60 s" in said.text
    wire.feed(FramesArrived("control", unnumbered(Beat())))
    assert TellUser("the controller is back") in wire.feed(Ticked(25.5))
    assert wire.core.state is State.OPEN


def test_a_controller_that_has_ended_is_not_waited_for(wire: Wire) -> None:
    wire.feed(submitted(0))
    wire.feed(Turned())
    actions = wire.feed(ControllerEnded())
    assert kinds(actions) == [Lose, Resolve]
    assert wire.feed(ControllerEnded()) == []
    assert wire.core.state is State.SILENT


def test_renewed_connections_are_made_known_at_once(wire: Wire) -> None:
    actions = wire.feed(Renewed())
    assert [type(message) for message in messages(actions)] == [Sync] * len(CHANNELS)


def test_a_process_that_was_suspended_does_not_blame_the_controller(wire: Wire) -> None:
    wire.feed(submitted(0))
    wire.feed(Ticked(0.0))
    wire.feed(Ticked(0.5))
    assert Lose not in kinds(wire.feed(Ticked(3600.0)))
    assert Lose not in kinds(wire.feed(Ticked(3600.5)))
    wire.feed(FramesArrived("control", unnumbered(Beat())))
    assert wire.core.state is State.OPEN


def test_a_new_controller_fails_what_the_old_one_had(wire: Wire) -> None:
    wire.feed(submitted(0))
    wire.feed(Turned())
    wire.feed(Question("queue_status", b"\x80", "question"))
    wire.sessions = {channel: Session() for channel in CHANNELS}
    actions = wire.connect()
    assert kinds(actions).count(Resolve) == 1
    assert DeliverAnswer in kinds(actions)
    (changed,) = [action for action in actions if isinstance(action, EnginesChanged)]
    assert list(changed.present) == [0]
    wire.feed(submitted(1))
    (submit,) = messages(wire.feed(Turned()))
    assert submit.functions == [b"f"], "the new controller has never seen the function"


def test_engines_of_the_old_controller_are_forgotten(wire: Wire) -> None:
    wire.tell("control", Membership([engine(1), engine(2)]))
    wire.sessions = {channel: Session() for channel in CHANNELS}
    wire.connect()
    assert list(wire.core.engines) == [0]


def test_a_good_bye_is_final_at_once(wire: Wire) -> None:
    wire.feed(submitted(0))
    wire.feed(Turned())
    actions = wire.tell("control", Bye("maintenance"))
    assert Lose("maintenance", final=True, asked=True) in actions
    assert kinds(actions)[-1] is Resolve
    assert wire.feed(Ticked(1.0)) == []
    assert wire.tell("control", Beat()) == []
    assert kinds(wire.feed(Question("queue_status", b"\x80", None))) == [DeliverAnswer]


def test_a_good_bye_for_which_nobody_asked_is_told_apart(wire: Wire) -> None:
    actions = wire.tell("control", Bye("the disk is full", failed=True))
    assert Lose("the disk is full", final=True, asked=False) in actions


def test_leaving_sends_what_was_submitted_and_says_good_bye(wire: Wire) -> None:
    wire.feed(submitted(0))
    actions = wire.feed(Closing("done"))
    assert [type(message) for message in messages(actions)] == [Submit, Bye]
    assert kinds(actions)[-2:] == [Lose, Resolve]
    assert wire.feed(Closing("again")) == []


def test_the_link_is_that_of_a_client(wire: Wire) -> None:
    assert all(isinstance(link, Link) for link in wire.core.links.values())
    assert {link.role for link in wire.core.links.values()} == {"client"}


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("protocol_version", ProtocolVersionError),
        ("authentication", AuthenticationError),
        ("peer_in_use", ProtocolError),
        ("protocol", ProtocolError),
        ("", ProtocolError),
    ],
)
def test_a_refusal_is_raised_by_its_code_and_not_by_its_words(code: str, kind: type) -> None:
    wire = Wire()
    wire.feed(Connected())
    text = "the protocol of this key is no version of authentication"
    (lost, *_) = wire.feed(FramesArrived("task", unnumbered(Refused(text, code))))
    assert isinstance(lost, Lose)
    assert lost.code == code
    error = _refusal(lost)
    assert type(error) is kind
    assert str(error) == text
