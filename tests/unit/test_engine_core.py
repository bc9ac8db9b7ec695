"""What an engine decides, one message at a time."""

from __future__ import annotations

import pytest

from hippodrome.engine.actions import Action, EngineChannel, Interrupt, Join, Leave, Send, StartOver
from hippodrome.engine.attempts import AttemptEnded
from hippodrome.engine.core import FAILED_TO_REGISTER, EngineCore
from hippodrome.errors import ProtocolError
from hippodrome.protocol.frames import Frames, decode, read_head, unnumbered
from hippodrome.protocol.messages import (
    Assign,
    Attempt,
    AttemptBundle,
    Beat,
    Bye,
    Digest,
    Drop,
    Dropped,
    EngineId,
    Functions,
    Hello,
    Message,
    MsgId,
    NeedFunctions,
    Outcomes,
    PeerId,
    Refused,
    Registered,
    Submit,
    Welcome,
)
from hippodrome.protocol.session import Session
from hippodrome.protocol.silence import REGISTRATION_S
from support.flat import outcomes_of, singles_of

F = Digest(b"f")


class Told:
    """An engine core and a controller that is one method call away."""

    def __init__(self, **options: int) -> None:
        self.core = EngineCore(PeerId("e" * 32), {}, **options)  # type: ignore[arg-type]
        self.sessions = {channel: Session() for channel in EngineChannel}
        self.serial = 1
        self.actions: list[Action] = []
        for channel in EngineChannel:
            self.hear(self.core.hello(channel))

    def hear(self, actions: list[Action]) -> list[Message]:
        """Let the controller take in what the engine sent; return the messages."""
        messages: list[Message] = []
        self.actions = [action for action in actions if not isinstance(action, Send)]
        for action in actions:
            if isinstance(action, Send):
                number, acknowledged, body = read_head(action.frames[0])
                message = decode(body)
                messages.append(message)
                session = self.sessions[action.channel]
                if isinstance(message, Hello):
                    for frames in session.greet(message):
                        messages += self.hear(self.core.receive(action.channel, frames))
                elif number:
                    session.stream.receive(number, acknowledged)
        return messages

    def tell(self, channel: EngineChannel, message: Message, *buffers: bytes) -> list[Message]:
        return self.hear(self.core.receive(channel, self.frames(channel, message, *buffers)))

    def frames(self, channel: EngineChannel, message: Message, *buffers: bytes) -> Frames:
        return self.sessions[channel].stream.send(message, buffers)

    def assign(self, *attempts: Attempt | AttemptBundle, brings: bool = True) -> list[Message]:
        first = self.serial
        self.serial += sum(len(singles_of(attempt)) for attempt in attempts)
        functions, buffers = ([F], [b"pickle"]) if brings else ([], [])
        return self.tell(EngineChannel.TASK, Assign(first, list(attempts), functions), *buffers)

    def drop(self, *attempts: tuple[str, int]) -> list[tuple[MsgId, int]]:
        names = [(MsgId(msg_id), number) for msg_id, number in attempts]
        (answer,) = self.tell(EngineChannel.CONTROL, Drop(names))
        assert isinstance(answer, Dropped)
        return answer.attempts

    def start(self) -> str | None:
        start = self.core.next_attempt()
        self.core.check()
        return None if start is None else start.msg_id

    def finish(self, msg_id: str, status: str = "ok", stdout: str = "") -> None:
        assert self.core.running is not None
        assert self.core.running.msg_id == msg_id
        self.core.finish(AttemptEnded(status, 0.0, 0.0, msg_id.encode(), stdout=stdout))
        self.core.check()

    def flush(self) -> list[Message]:
        return self.hear(self.core.flush())


def task(msg_id: str, number: int = 1, function: Digest = F) -> Attempt:
    return Attempt(MsgId(msg_id), number, function, b"payload")


def bundle(msg_ids: str, number: int = 1) -> AttemptBundle:
    """Return attempts of tasks that are named by one letter each."""
    names = [MsgId(letter) for letter in msg_ids]
    return AttemptBundle(names, number, F, [b"payload"] * len(names))


@pytest.fixture
def told() -> Told:
    return Told()


def test_a_cell_that_fails_ends_those_of_its_client_that_wait_behind_it(told: Told) -> None:
    other = Digest(b"g")
    attempts = [task("me_1"), task("me_2"), task("you_1"), task("me_3", function=other)]
    told.assign(*attempts, task("me_4", 2))
    told.tell(EngineChannel.TASK, Functions([other]), b"pickle")
    told.drop(("me_4", 2))
    assert told.start() == "me_1"
    told.assign(task("me_5"), brings=False)
    told.core.finish(AttemptEnded("error", 1.0, 1.0, ends_cells=True))
    told.core.check()
    (message,) = told.flush()
    assert isinstance(message, Outcomes)
    ended = [one for outcome in message.outcomes for one in outcomes_of(outcome)]
    assert ended == [("me_1", 1, "error"), ("me_2", 1, "aborted"), ("me_5", 1, "aborted")]
    assert told.drop(("me_2", 1), ("me_5", 1)) == [], "they have an outcome"
    for msg_id in ("you_1", "me_3"):
        assert told.start() == msg_id
        told.finish(msg_id)
    told.assign(task("me_6"), brings=False)
    assert told.start() == "me_6", "what comes later is another matter"


def test_attempts_start_in_the_order_of_their_serial_numbers(told: Told) -> None:
    told.assign(task("a"), task("b"))
    told.assign(task("c"))
    for msg_id in "abc":
        assert told.start() == msg_id
        told.finish(msg_id)
    assert told.start() is None


def test_finished_attempts_leave_in_one_message(told: Told) -> None:
    told.assign(task("a"), task("b"))
    for msg_id in "ab":
        told.start()
        told.finish(msg_id)
    (message,) = told.flush()
    assert isinstance(message, Outcomes)
    assert [outcome.msg_id for outcome in message.outcomes] == ["a", "b"]
    assert told.flush() == []


def test_a_queued_attempt_that_is_dropped_never_starts(told: Told) -> None:
    told.assign(task("a"), task("b"), task("c"))
    assert told.drop(("b", 1)) == [("b", 1)]
    assert told.start() == "a"
    told.finish("a")
    assert told.start() == "c"


def interrupted(told: Told, *attempts: tuple[str, int]) -> list[int]:
    """Ask for an interrupt of *attempts*; return the serial numbers that get one."""
    names = [(MsgId(msg_id), number) for msg_id, number in attempts]
    told.tell(EngineChannel.CONTROL, Drop(names, interrupt=True))
    return [action.serial for action in told.actions if isinstance(action, Interrupt)]


def test_an_interrupt_strikes_the_attempt_that_is_named_and_no_other(told: Told) -> None:
    told.assign(task("a"), task("b"), task("c", 2))
    assert interrupted(told, ("a", 1)) == [], "it has not begun"
    for msg_id in "bc":
        assert told.start() == msg_id
        assert interrupted(told, ("a", 1)) == []
        assert interrupted(told, ("c", 1)) == [], "an attempt before or after is another one"
        assert interrupted(told, ("c", 3)) == []
        if msg_id == "b":
            assert interrupted(told, ("b", 1), ("d", 1)) == [2]
            told.finish("b")
            assert interrupted(told, ("b", 1)) == [], "it is over"
    assert interrupted(told, ("c", 2)) == [3]


def test_what_has_started_or_ended_cannot_be_dropped(told: Told) -> None:
    told.assign(task("a"), task("b"))
    told.start()
    told.finish("a")
    told.start()
    assert told.drop(("a", 1), ("b", 1)) == []


def test_what_has_started_cannot_be_dropped_behind_a_later_attempt_that_was(told: Told) -> None:
    told.assign(task("a"))
    told.start()
    told.assign(task("a", 2))
    assert told.drop(("a", 2)) == [("a", 2)]
    assert told.drop(("a", 1)) == []
    told.finish("a")
    assert told.drop(("a", 1)) == []


def test_an_attempt_that_is_dropped_before_it_arrives_never_starts(told: Told) -> None:
    assert told.drop(("a", 1)) == [("a", 1)]
    told.assign(task("a"), task("b"))
    assert told.start() == "b"
    assert told.core.snapshot().early_drops == 0


def test_drops_of_what_never_arrives_are_forgotten_in_the_end() -> None:
    told = Told(early_drop_limit=10)
    for i in range(100):
        told.drop((f"t{i}", 1))
    assert told.core.snapshot().early_drops == 10


def test_ended_attempts_are_forgotten_once_the_controller_has_their_outcomes(told: Told) -> None:
    told.assign(task("a"))
    told.start()
    told.finish("a")
    told.flush()
    assert told.drop(("a", 1)) == []
    told.assign(task("b"))  # its head acknowledges
    assert told.core.snapshot().ended == 0


def test_a_newer_attempt_takes_the_place_of_a_queued_older_one(told: Told) -> None:
    told.assign(task("a", 1), task("b"))
    (answer,) = told.assign(task("a", 2))
    assert isinstance(answer, Dropped)
    assert answer.attempts == [("a", 1)]
    assert told.start() == "b"
    told.finish("b")
    start = told.core.next_attempt()
    assert start is not None
    assert start.attempt == 2


def test_a_missing_function_holds_up_everything_behind_it(told: Told) -> None:
    other = Digest(b"other")
    (question,) = told.assign(task("a", function=other), task("b"))
    assert question == NeedFunctions([other])
    assert told.start() is None
    assert told.flush() == [], "it has been asked for"
    told.tell(EngineChannel.TASK, Functions([other]), b"pickle of the other")
    assert told.start() == "a"


def test_dropping_the_attempt_that_waits_for_a_function_lets_the_next_one_start(
    told: Told,
) -> None:
    told.assign(task("a", function=Digest(b"other")), task("b"))
    assert told.start() is None
    assert not told.core.has_next
    told.drop(("a", 1))
    assert told.core.has_next
    assert told.start() == "b"


def test_a_function_that_was_forgotten_is_asked_for_again() -> None:
    told = Told(function_bytes=0)
    other = Digest(b"other")
    told.assign(task("a"), task("c", function=other))
    told.tell(EngineChannel.TASK, Functions([other]), b"pickle of the other")
    for name in ("a", "c"):
        assert told.start() == name
        told.finish(name)
    told.flush()
    assert told.assign(task("b"), brings=False) == [NeedFunctions([F])]
    assert told.start() is None
    told.tell(EngineChannel.TASK, Functions([F]), b"pickle")
    assert told.start() == "b"


def test_functions_of_waiting_attempts_are_kept_however_large_they_are() -> None:
    told = Told(function_bytes=1000)
    other = Digest(b"other")
    attempts = [Attempt(MsgId(name), 1, f, b"x") for name, f in (("b", other), ("c", F))]
    told.assign(task("a"))
    told.tell(EngineChannel.TASK, Assign(2, attempts, [other]), b"x" * 5000)
    for name in ("a", "b", "c"):
        assert told.start() == name
        told.finish(name)
    assert told.start() is None
    assert told.core.snapshot().functions == 1, "the large one is not kept for later"


def test_the_function_that_was_called_last_is_kept_however_large_it_is() -> None:
    told = Told(function_bytes=0)
    for name in "abc":
        told.assign(task(name), brings=name == "a")
        assert told.start() == name
        told.finish(name)
        told.flush()


def test_buffers_go_to_the_attempts_that_own_them(told: Told) -> None:
    attempts = [Attempt(MsgId(f"t{n}"), 1, F, b"x", n) for n in range(3)]
    told.tell(EngineChannel.TASK, Assign(1, attempts, [F]), b"pickle", b"1", b"2", b"3")
    for expected in ((), (b"1",), (b"2", b"3")):
        start = told.core.next_attempt()
        assert start is not None
        assert start.buffers == expected
        told.finish(start.msg_id)


@pytest.mark.parametrize(
    ("message", "buffers"),
    [
        (Assign(1, [Attempt(MsgId("a"), 1, F, b"", 2)]), [b"only one"]),
        (Assign(1, [task("a")], [F]), []),
        (Assign(1, [AttemptBundle([], 1, F, [])]), []),
        (Assign(1, [AttemptBundle([MsgId("a")], 1, F, [b"x", b"y"])]), []),
        (Assign(1, [AttemptBundle([MsgId("a"), MsgId("a")], 1, F, [b"x", b"y"])]), []),
        (Assign(1, [task("a")]), [b"too many"]),
        (Functions([F]), []),
        (Submit([]), []),
        (Drop([]), []),
    ],
)
def test_a_malformed_message_changes_nothing(
    told: Told, message: Message, buffers: list[bytes]
) -> None:
    before = told.core.snapshot()
    with pytest.raises(ProtocolError):
        told.core.receive(EngineChannel.TASK, told.frames(EngineChannel.TASK, message, *buffers))
    assert told.core.snapshot() == before
    told.core.check()


def test_the_controller_gives_the_engine_its_number(told: Told) -> None:
    told.tell(EngineChannel.CONTROL, Registered(EngineId(3)))
    assert told.actions == [Join(EngineId(3))]
    assert told.core.tick(EngineChannel.CONTROL, 1e9)[1:] == []


def leaves(core: EngineCore, seconds: float) -> list[Leave]:
    """Let it tick for so long; return how it leaves."""
    begin = core._waiting._ticked or 100.0
    ticks = [
        core.tick(EngineChannel.CONTROL, begin + step / 2) for step in range(int(2 * seconds) + 1)
    ]
    return [action for actions in ticks for action in actions if isinstance(action, Leave)]


def test_time_in_which_the_engine_did_not_run_does_not_count(told: Told) -> None:
    for pause in range(5):
        actions = told.core.tick(EngineChannel.CONTROL, 1000.0 * pause)
        assert not any(isinstance(action, Leave) for action in actions)


def test_an_engine_that_gets_no_number_leaves(told: Told) -> None:
    assert leaves(told.core, REGISTRATION_S - 0.5) == []
    (leave,) = leaves(told.core, 0.5)
    assert leave.exit_code == FAILED_TO_REGISTER
    assert "did not register" in leave.reason


def test_an_engine_that_is_not_answered_says_so() -> None:
    (leave,) = leaves(EngineCore(PeerId("e" * 32), {}), REGISTRATION_S)
    assert "did not answer" in leave.reason


def test_a_refusal_is_final(told: Told) -> None:
    told.hear(told.core.receive(EngineChannel.CONTROL, unnumbered(Refused("wrong key"))))
    (leave,) = told.actions
    assert isinstance(leave, Leave)
    assert leave.exit_code == FAILED_TO_REGISTER
    assert "wrong key" in leave.reason


def test_the_controllers_good_bye_ends_the_engine(told: Told) -> None:
    told.tell(EngineChannel.CONTROL, Bye("shut down"))
    assert told.actions == [Leave("shut down", 0)]


def test_a_beat_needs_no_answer(told: Told) -> None:
    assert told.core.receive(EngineChannel.CONTROL, unnumbered(Beat())) == []


def test_a_controller_that_has_forgotten_the_engine_starts_over(told: Told) -> None:
    told.assign(task("a"), task("b"), task("c", function=Digest(b"other")))
    told.start()
    told.sessions[EngineChannel.TASK] = Session()
    told.sessions[EngineChannel.TASK].stream.send(Beat())
    (hello,) = told.core.hello(EngineChannel.TASK)
    assert isinstance(hello, Send)
    sent = decode(read_head(hello.frames[0])[2])
    assert isinstance(sent, Hello)
    actions = told.core.receive(EngineChannel.TASK, unnumbered(Welcome(sent.number, 0, fresh=True)))
    assert StartOver() in actions
    snapshot = told.core.snapshot()
    assert snapshot.queued == ()
    assert snapshot.asked == frozenset()
    assert snapshot.running == ("a", 1), "it cannot be undone; its outcome will be ignored"
    told.finish("a")
    told.core.check()


def test_a_bundle_starts_one_by_one_and_its_outcomes_leave_together(told: Told) -> None:
    told.assign(bundle("abc"), task("d"))
    for serial, msg_id in enumerate("abcd", 1):
        start = told.core.next_attempt()
        assert start is not None
        assert (start.serial, start.msg_id, start.pickle) == (serial, msg_id, b"pickle")
        told.finish(msg_id)
    (message,) = told.flush()
    assert isinstance(message, Outcomes)
    together, alone = message.outcomes
    assert (together.msg_ids, together.payloads) == (["a", "b", "c"], [b"a", b"b", b"c"])
    assert alone.msg_id == "d"


@pytest.mark.parametrize(("status", "stdout"), [("error", ""), ("unmet", ""), ("ok", "printed")])
def test_what_is_not_plain_breaks_a_bundle_and_keeps_its_place(
    told: Told, status: str, stdout: str
) -> None:
    told.assign(bundle("abcde"))
    for msg_id in "abcde":
        told.start()
        told.finish(msg_id, *((status, stdout) if msg_id == "c" else ()))
    (message,) = told.flush()
    parts = [[m for m, _, _ in outcomes_of(outcome)] for outcome in message.outcomes]
    assert parts == [["a", "b"], ["c"], ["d", "e"]]
    assert message.outcomes[1].status == status


def test_what_has_left_gets_no_more_outcomes(told: Told) -> None:
    told.assign(bundle("ab"))
    told.start()
    told.finish("a")
    (first,) = told.flush()
    told.start()
    told.finish("b")
    (second,) = told.flush()
    assert [first.outcomes[0].msg_ids, second.outcomes[0].msg_ids] == [["a"], ["b"]]


def test_some_of_a_bundle_are_dropped(told: Told) -> None:
    told.assign(bundle("abcd"))
    told.start()
    assert told.drop(("a", 1), ("b", 1), ("d", 1)) == [("b", 1), ("d", 1)]
    told.finish("a")
    assert told.start() == "c"
    told.finish("c")
    assert told.start() is None


def test_a_bundle_of_which_some_were_dropped_early_runs_the_rest(told: Told) -> None:
    assert told.drop(("a", 1), ("c", 1)) == [("a", 1), ("c", 1)]
    told.assign(bundle("abc"))
    assert told.start() == "b"
    told.finish("b")
    assert told.start() is None
    assert told.core.snapshot().early_drops == 0


def test_newer_attempts_take_the_place_of_some_of_a_bundle(told: Told) -> None:
    told.assign(bundle("abc"))
    told.start()
    (answer,) = told.assign(bundle("ac", 2))
    assert answer == Dropped([(MsgId("c"), 1)]), "the first has begun"
    told.finish("a")
    names = []
    while (msg_id := told.start()) is not None:
        names.append((msg_id, told.core.running.attempt))
        told.finish(msg_id)
    assert names == [("b", 1), ("a", 2), ("c", 2)]


@pytest.mark.parametrize("first", [0, -1, -(2**63), 2**62, 2**63 - 1])
def test_attempts_with_serial_numbers_that_none_can_have_are_refused(first: int) -> None:
    told = Told()
    with pytest.raises(ProtocolError):
        told.tell(EngineChannel.TASK, Assign(first, [task("a")], [F]), b"pickle")
    assert told.start() is None


@pytest.mark.parametrize("is_bundle", [False, True])
def test_an_old_acknowledgement_forgets_no_newer_attempt(is_bundle: bool) -> None:
    """The next attempt of a task may come before its last outcome has been acknowledged."""
    told = Told()
    told.assign(bundle("ab") if is_bundle else task("a"))
    assert told.start() == "a"
    told.finish("a")
    late = told.frames(EngineChannel.TASK, Assign(told.serial + 5, [task("a", 2)]))
    told.flush()  # what it brings has not been heard where `late` was sent
    told.hear(told.core.receive(EngineChannel.TASK, late))
    told.tell(EngineChannel.TASK, Functions([]))  # acknowledges the outcome of the first attempt
    told.core.check()
    assert told.drop(("a", 2)) == [("a", 2)]
    assert told.start() == ("b" if is_bundle else None)
