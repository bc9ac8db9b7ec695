"""What a supervisor decides: whom it tells, whom it stops, and when it leaves."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from hippodrome.errors import ProtocolError
from hippodrome.node.actions import (
    Action,
    AllRegistered,
    Exit,
    Kill,
    Say,
    SendControl,
    SendSignal,
    Tell,
    Terminate,
)
from hippodrome.node.core import (
    BEAT_S,
    DEAF_AFTER_S,
    FAILED,
    FAILED_TO_REGISTER,
    START_S,
    TICK_S,
    Limits,
    NodeCore,
)
from hippodrome.node.engines import StartupFailure
from hippodrome.protocol.frames import decode, read_head, unnumbered
from hippodrome.protocol.messages import (
    Assign,
    Beat,
    Bye,
    Death,
    EngineId,
    Exited,
    Hello,
    Message,
    PeerId,
    Pulse,
    Refused,
    Signal,
    Stop,
    Sync,
    WhoAreYou,
)
from hippodrome.protocol.session import Session
from hippodrome.protocol.silence import PATIENCE_S

A, B = PeerId("a" * 32), PeerId("b" * 32)


class Node:
    """A supervisor's core, a clock, and a controller that is one method call away."""

    def __init__(self, *engines: PeerId, welcomed: bool = True) -> None:
        self.now = 100.0
        self.limits = Limits()
        self.core = NodeCore(PeerId("n" * 32), {}, engines or (A, B), self.limits, self.now)
        self.session = Session()
        self.answers = self.beats = welcomed
        self.sent: list[Message] = []
        self.perform(self.core.hello())
        self.sent.clear()

    def perform(self, actions: Sequence[Action]) -> list[Action]:
        """Let the controller take in what is sent; return the other actions."""
        others: list[Action] = []
        for action in actions:
            if not isinstance(action, SendControl):
                if not isinstance(action, Tell):
                    others.append(action)
                continue
            number, acknowledged, body = read_head(action.frames[0])
            message = decode(body)
            self.sent.append(message)
            if not self.answers:
                continue
            if isinstance(message, Hello):
                replies = self.session.greet(message)
            elif isinstance(message, Sync):
                replies = self.session.stream.on_sync(message)
            elif number:
                self.session.stream.receive(number, acknowledged)
                continue
            else:
                continue
            for frames in replies:
                others += self.perform(self.core.receive(frames, self.now))
        self.core.check()
        return others

    def tell(self, message: Message) -> list[Action]:
        frames = self.session.stream.send(message)
        return self.perform(self.core.receive(frames, self.now))

    def join_all(self) -> list[Action]:
        actions: list[Action] = []
        for number, uuid in enumerate(self.core.snapshot().engines):
            actions += self.join(uuid, number)
        return actions

    def join(self, uuid: PeerId, number: int) -> list[Action]:
        assert self.perform(self.core.on_joined(uuid, EngineId(number))) == []
        return self.perform(self.core.on_ready(uuid))

    def die(self, uuid: PeerId, code: int | None = None, signum: int | None = 9) -> list[Action]:
        reason = "killed by SIGKILL" if signum else f"exited with code {code}"
        death = Death(uuid, code, signum, 7, False, "last words", reason)
        return self.perform(self.core.on_exited(death, self.now))

    def pass_time(self, seconds: float, *, held_up: bool = False) -> list[Action]:
        """Let it tick as its shell does; held up, once at the end."""
        actions: list[Action] = []
        step_s = seconds if held_up else min(seconds, TICK_S)
        end = self.now + seconds
        while True:
            self.now = min(self.now + step_s, end)
            if self.beats:
                actions += self.perform(self.core.receive(unnumbered(Beat()), self.now))
            actions += self.perform(self.core.tick(self.now, {A: 1.5}))
            if self.now >= end:
                return actions

    def told(self, kind: type[Message]) -> list[Message]:
        return [message for message in self.sent if isinstance(message, kind)]


@pytest.fixture
def node() -> Node:
    node = Node()
    assert node.join_all() == [AllRegistered((EngineId(0), EngineId(1)))]
    return node


def test_it_beats_every_second_for_all_its_engines(node: Node) -> None:
    for _ in range(10):
        node.pass_time(0.5)
    beats = node.told(Beat)
    assert len(beats) == 5
    assert beats[0] == Beat([Pulse(A, 1.5), Pulse(B, 0.0)])


def test_an_engine_whose_process_is_stopped_has_no_pulse(node: Node) -> None:
    assert node.core.is_beat_due(node.now + 1.0)
    node.now += 1.0
    node.perform(node.core.tick(node.now, {A: 1.5}, [A]))
    assert node.told(Beat)[-1] == Beat([Pulse(B, 0.0)])


def test_one_that_is_told_that_the_end_is_near_says_so_and_leaves_when_it_is_idle(
    node: Node,
) -> None:
    assert node.perform(node.core.close("SIGUSR1", node.now)) == [
        Say("closing: SIGUSR1", is_error=False)
    ]
    assert node.core.close("SIGUSR1", node.now) == []
    node.pass_time(5.0)  # A is in a task
    assert node.told(Beat)[-1] == Beat([Pulse(A, 1.5, closing=True), Pulse(B, 0.0, closing=True)])
    assert not node.core.snapshot().is_leaving
    for _ in range(8):
        node.now += 0.5
        node.perform(node.core.tick(node.now, {A: 0.0, B: 0.0}))
    assert node.core.snapshot().is_leaving


def test_a_death_is_told_at_once_and_the_others_go_on(node: Node) -> None:
    assert node.die(A) == [Say("engine 0 killed by SIGKILL")]
    (exited,) = node.told(Exited)
    assert isinstance(exited, Exited)
    assert exited.death == Death(A, None, 9, 7, False, "last words", "killed by SIGKILL")
    assert not node.core.snapshot().is_leaving


def test_the_death_of_the_last_engine_ends_the_supervisor(node: Node) -> None:
    node.die(A)
    actions = node.die(B)
    assert actions[-1] == Exit(FAILED), "the controller has acknowledged the last words"
    assert [type(message) for message in node.sent] == [Exited, Exited, Bye, Sync]


def test_signals_are_delivered_to_the_engines_named(node: Node) -> None:
    actions = node.tell(Signal([B, PeerId("unknown")], 2))
    assert actions == [SendSignal(B, 2)]


def test_an_engine_that_does_not_stop_in_time_is_killed(node: Node) -> None:
    assert node.tell(Stop([A])) == [Terminate(A)]
    assert node.pass_time(0.9) == []
    assert node.pass_time(0.2) == [Kill(A)]
    assert node.pass_time(1.0) == [], "once"
    node.die(A)
    (exited,) = node.told(Exited)
    assert isinstance(exited, Exited)
    assert exited.death.expected


def test_stopping_all_ends_the_supervisor_in_order(node: Node) -> None:
    assert node.tell(Stop(None)) == [Terminate(A), Terminate(B)]
    node.die(A, 0, None)
    assert node.die(B, 0, None)[-1] == Exit(0)


def test_stopping_each_engine_by_name_ends_it_in_order_too(node: Node) -> None:
    node.tell(Stop([A]))
    node.tell(Stop([B]))
    assert not node.core.snapshot().is_leaving
    node.die(A, 0, None)
    assert node.die(B, 0, None)[-1] == Exit(0)


def test_last_words_wait_for_their_acknowledgement_but_not_for_long(node: Node) -> None:
    node.tell(Stop(None))
    node.answers = False
    node.die(A)
    assert node.die(B) == []
    assert node.pass_time(0.9) == []
    assert node.pass_time(0.2) == [Exit(0)]


def test_the_controllers_good_bye_ends_everything(node: Node) -> None:
    actions = node.tell(Bye("shut down"))
    assert actions == [
        Say("the controller said good-bye: shut down", is_error=False),
        Terminate(A),
        Terminate(B),
    ]
    node.answers = False
    node.die(A)
    assert node.die(B)[-1] == Exit(0), "there is nobody to wait for"


def test_silence_is_said_once_and_waited_out_for_as_long_as_patience_lasts(node: Node) -> None:
    node.beats = False
    (long,) = node.pass_time(PATIENCE_S - 1.0)
    assert isinstance(long, Say)
    assert "for 10 s; waiting for it, up to 120 s" in long.text
    over, *rest = node.pass_time(2.0)
    assert isinstance(over, Say)
    assert "nothing was heard from the controller for 120 s; stopping" in over.text
    assert rest == [Terminate(A), Terminate(B)]
    node.die(A)
    assert node.die(B)[-1] == Exit(FAILED)


def test_a_controller_that_is_heard_again_is_said_to_be_back(node: Node) -> None:
    node.beats = False
    node.pass_time(20.0)
    node.beats = True
    assert node.pass_time(1.0) == [Say("the controller is back", is_error=False)]
    assert node.pass_time(PATIENCE_S) == []


def test_time_in_which_the_supervisor_itself_did_not_run_is_not_silence(node: Node) -> None:
    node.beats = False
    for _ in range(5):
        assert node.pass_time(10 * PATIENCE_S, held_up=True) == []
    assert node.pass_time(3.0) == []


def test_who_hears_nothing_does_not_beat(node: Node) -> None:
    node.beats = False
    node.pass_time(20.0)
    assert len(node.told(Beat)) <= DEAF_AFTER_S / BEAT_S + 1
    node.beats = True
    node.pass_time(2.0)
    assert len(node.told(Beat)) >= DEAF_AFTER_S / BEAT_S + 1


def test_a_controller_that_has_ended_is_not_waited_for(node: Node) -> None:
    node.beats = node.answers = False
    say, *rest = node.perform(node.core.on_controller_ended(node.now))
    assert isinstance(say, Say)
    assert "has ended without a good-bye" in say.text
    assert rest == [Terminate(A), Terminate(B)]
    node.die(A)
    assert node.die(B)[-1] == Exit(FAILED)


def test_a_late_reconnect_is_no_controller_that_never_answered(node: Node) -> None:
    node.answers = False
    node.perform(node.core.receive(unnumbered(WhoAreYou()), node.now))
    assert isinstance(node.sent[-1], Hello)
    assert node.pass_time(3 * Limits().registration_timeout_s) == []


def test_a_new_connection_is_made_known_at_once(node: Node) -> None:
    node.answers = False
    node.perform(node.core.on_renewed())
    assert isinstance(node.sent[-1], Sync)


def test_a_controller_that_never_answers_is_a_failure_to_register() -> None:
    node = Node(A, welcomed=False)
    (long,) = node.pass_time(Limits().registration_timeout_s - 0.5)
    assert isinstance(long, Say)
    say, *rest = node.pass_time(0.5)
    assert say == Say("the controller did not answer within 60 s")
    assert rest == [Terminate(A)]
    assert node.die(A)[-1] == Exit(FAILED_TO_REGISTER)


def test_a_refusal_is_told_to_the_person(node: Node) -> None:
    say, *_ = node.perform(node.core.receive(unnumbered(Refused("wrong role")), node.now))
    assert say == Say("the controller refused: wrong role")


def test_an_engine_that_cannot_register_leaves_the_others_alone() -> None:
    node = Node(A, B)
    leaving = node.core.on_leaving
    assert node.perform(leaving(A, FAILED_TO_REGISTER, "no answer", node.now)) == [Say("no answer")]
    assert node.die(A, 255, None) == []
    assert node.join(B, 0) == [AllRegistered((EngineId(0),))]
    assert node.pass_time(200.0) == []


def test_engines_of_which_none_can_register_are_a_failure() -> None:
    node = Node(A, B)
    for uuid in (A, B):
        node.perform(node.core.on_leaving(uuid, FAILED_TO_REGISTER, "no answer", node.now))
    node.die(A, 255, None)
    assert node.die(B, 255, None)[-1] == Exit(FAILED_TO_REGISTER)


def test_an_engine_that_dies_before_it_registers_leaves_the_others_alone() -> None:
    node = Node(A, B)
    assert node.join(B, 0) == []
    say, ready = node.die(A, 1, None)
    assert say == Say("an engine exited with code 1 before it was registered: last words")
    assert ready == AllRegistered((EngineId(0),))


def test_engines_that_all_die_before_they_register_are_a_failure() -> None:
    node = Node(A, B)
    node.die(A, 1, None)
    assert node.die(B, 1, None)[-1] == Exit(FAILED)


def test_an_engine_that_does_not_start_in_time_is_stopped_alone() -> None:
    node = Node(A, B)
    node.join(B, 0)
    limits = Limits()
    say, *rest = node.pass_time(limits.registration_timeout_s + START_S)
    assert say == Say("1 engines did not start within 90 s")
    assert rest == [Terminate(A), AllRegistered((EngineId(0),))]


def test_an_engine_in_its_start_up_is_not_ready() -> None:
    node = Node(A, B)
    node.join(A, 0)
    assert node.perform(node.core.on_joined(B, EngineId(1))) == []
    assert node.perform(node.core.on_ready(B)) == [AllRegistered((EngineId(0), EngineId(1)))]


@pytest.mark.parametrize("told", [None, StartupFailure("ValueError: no", "Traceback ...")])
def test_a_start_up_that_fails_is_said_and_the_exit_code_tells(told: StartupFailure | None) -> None:
    node = Node(A, B)
    node.join(A, 0)
    node.core.on_joined(B, EngineId(1))
    if told is not None:
        node.core.on_failed(B, told)
    say, ready = node.die(B, 1, None)
    assert isinstance(say, Say)
    assert "in its start-up" in say.text
    assert (told is None) or told.summary in say.text
    assert ready == AllRegistered((EngineId(0),))
    node.tell(Stop())
    assert node.die(A, 0, None)[-1] == Exit(FAILED)


def test_when_all_start_ups_fail_nothing_is_left() -> None:
    node = Node(A, B)
    for number, uuid in enumerate((A, B)):
        node.core.on_joined(uuid, EngineId(number))
    node.die(A, 3, None)
    assert node.die(B, 3, None)[-1] == Exit(FAILED)


def test_a_start_up_that_takes_long_is_said() -> None:
    node = Node(A, B)
    node.join(A, 0)
    node.core.on_joined(B, EngineId(1))
    said = node.pass_time(30.0)
    assert Say("1 of 2 engines is still in its start-up", is_error=False) in said
    assert len(said) < 4, "ever more rarely"


def test_time_in_which_the_supervisor_did_not_run_does_not_count_for_registration() -> None:
    node = Node(A, welcomed=False)
    assert node.pass_time(1000.0, held_up=True) == []


def test_a_second_request_to_stop_does_not_wait(node: Node) -> None:
    node.perform(node.core.stop("stopping: SIGINT", node.now))
    assert node.perform(node.core.stop("stopping: SIGINT", node.now)) == [Kill(A), Kill(B)]


def test_the_wait_ends_when_something_is_due(node: Node) -> None:
    node.pass_time(0.0)
    assert node.core.wait_s(node.now) == pytest.approx(0.5)
    node.pass_time(0.7)
    assert node.core.wait_s(node.now) == pytest.approx(0.3)
    node.tell(Stop([A]))
    node.pass_time(0.9)
    assert node.core.wait_s(node.now) == pytest.approx(0.1)


def test_what_is_not_for_supervisors_is_refused(node: Node) -> None:
    with pytest.raises(ProtocolError):
        node.core.receive(node.session.stream.send(Assign(1, [])), node.now)


@pytest.mark.parametrize("codes", [(1, 1), (1, 2), (0, 1), (255, 0)])
def test_what_an_engine_says_of_its_leaving_counts_once(codes: tuple[int, int]) -> None:
    node = Node()
    node.join_all()
    first, second = codes
    said = node.perform(node.core.on_leaving(A, first, "it must", node.now))
    assert [action.text for action in said if isinstance(action, Say)] == ["it must"] * (first > 0)
    assert node.perform(node.core.on_leaving(A, second, "once more", node.now)) == []
    ends = node.die(A, first, None)
    assert not any(isinstance(action, Say) for action in ends), "its end was announced"


def test_an_engine_that_is_gone_says_nothing_of_its_leaving() -> None:
    node = Node()
    node.join_all()
    node.die(A)
    assert node.perform(node.core.on_leaving(A, 1, "too late", node.now)) == []


@pytest.mark.parametrize(("asked_s", "beats_s"), [(0.0, 1.0), (0.1, 1.0), (1.5, 1.5), (60.0, 2.0)])
def test_it_beats_as_often_as_the_controller_says_within_limits(
    node: Node, asked_s: float, beats_s: float
) -> None:
    node.beats = False
    for n in range(40):
        if n == 20:
            node.sent.clear()
        node.perform(node.core.receive(unnumbered(Beat(every_s=asked_s)), node.now))
        node.pass_time(0.5)
    assert abs(len(node.told(Beat)) - 10.0 / beats_s) <= 1
