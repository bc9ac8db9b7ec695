"""Exceptions on their way to the client: whatever they do, a record and an error come out."""

from __future__ import annotations

import copy
import linecache
import pickle
import sys
import textwrap
import threading
import traceback
from typing import Any

import numpy as np
import pytest
import zmq

from hippodrome import errors
from hippodrome.originals import locate
from hippodrome.protocol import frames
from hippodrome.protocol.messages import Failure
from hippodrome.serialize import (
    Reference,
    describe_exception,
    dumps,
    loads,
    restore_error,
    unpickling_in,
)

KILO = 1024


class Plain(Exception):
    pass


class StrRaises(Exception):
    def __str__(self):
        raise ValueError("no text")


class StrExits(Exception):
    def __str__(self):
        raise SystemExit(3)


class StrRecurses(Exception):
    def __str__(self):
        return str(self)


class StrIsNoText(Exception):
    def __str__(self):
        return 3  # type: ignore[return-value]


class EvilText(str):
    __slots__ = ()

    def __len__(self):
        raise SystemExit

    def encode(self, *_: Any) -> bytes:
        raise SystemExit

    def __str__(self):
        return self


class StrIsEvil(Exception):
    def __str__(self):
        return EvilText("evil text")


class ReprRaises(Exception):
    def __repr__(self):
        raise SystemExit

    __str__ = __repr__


class ReduceRaises(Exception):
    def __reduce__(self):
        raise GeneratorExit


class ReduceRecurses(Exception):
    def __reduce__(self):
        return self.__reduce__()


class ReduceLies(Exception):
    def __reduce__(self):
        return dict, ()


class ComesBackBroken(Exception):
    def __init__(self, one, other):
        super().__init__(one)


class GetstateRaises(Exception):
    def __getstate__(self):
        raise SystemExit


class SetstateRaises(Exception):
    def __setstate__(self, state):
        raise SystemExit

    def __reduce__(self):
        return SetstateRaises, (), {"a": 1}


class NotesRaise(Exception):
    @property
    def __notes__(self):
        raise SystemExit


class CauseOfItself(Exception):
    def __init__(self):
        self.__cause__ = self
        self.__context__ = self


class AttributesRaise(Exception):
    def __getattribute__(self, name):
        raise SystemExit(name)


class OddMeta(type):
    @property
    def __name__(cls):
        raise SystemExit

    def __instancecheck__(cls, _):
        raise SystemExit


class OddClass(Exception, metaclass=OddMeta):
    pass


class OddBase(BaseException):
    pass


def with_attribute(value: object) -> Exception:
    error = Plain("with an attribute")
    error.attribute = value  # type: ignore[attr-defined]
    return error


def chained(n: int) -> Exception:
    error = Plain("the last")
    for i in range(n):
        before, error = error, Plain(f"number {i}")
        error.__context__ = before
    return error


def nested_groups(n: int) -> Exception:
    error: Exception = Plain("innermost")
    for _ in range(n):
        error = ExceptionGroup("group", [error])
    return error


def local_class() -> Exception:
    class Local(Exception):
        pass

    return Local("local")


NASTY = {
    "StrRaises": StrRaises,
    "StrExits": StrExits,
    "StrRecurses": StrRecurses,
    "StrIsNoText": StrIsNoText,
    "StrIsEvil": StrIsEvil,
    "ReprRaises": ReprRaises,
    "ReduceRaises": ReduceRaises,
    "ReduceRecurses": ReduceRecurses,
    "ReduceLies": ReduceLies,
    "ComesBackBroken": lambda: ComesBackBroken(1, 2),
    "GetstateRaises": lambda: GetstateRaises(1),
    "SetstateRaises": SetstateRaises,
    "NotesRaise": NotesRaise,
    "CauseOfItself": CauseOfItself,
    "AttributesRaise": AttributesRaise,
    "OddClass": OddClass,
    "OddBase": OddBase,
    "SystemExit": lambda: SystemExit(3),
    "KeyboardInterrupt": KeyboardInterrupt,
    "huge text": lambda: Plain("x" * 50_000_000),
    "huge attribute": lambda: with_attribute(np.zeros(10_000_000)),
    "huge list": lambda: with_attribute(list(range(1_000_000))),
    "huge bytes": lambda: with_attribute(bytes(50_000_000)),
    "lock": lambda: with_attribute(threading.Lock()),
    "lambda": lambda: with_attribute(lambda: 3),
    "cycle": lambda: with_attribute([with_attribute(None)]),
    "surrogates": lambda: Plain("\ud800 \udfff"),
    "null": lambda: Plain("\x00\x1b[31m"),
    "local class": local_class,
    "chained": lambda: chained(3000),
    "groups": lambda: nested_groups(50),
    "deep groups": lambda: nested_groups(5000),
    "wide group": lambda: ExceptionGroup("wide", [Plain(i) for i in range(2000)]),
    "many notes": lambda: noted(*["note"] * 50_000),
    "odd notes": lambda: noted_oddly(),
    "odd args": lambda: Plain(StrExits(), Reference("x"), object()),
    "syntax": lambda: SyntaxError("bad", ("file", 1, 1, "x" * 100_000, 1, 2)),
    "odd syntax": lambda: SyntaxError("bad", ("f", "1", StrExits(), 3, 2, 2)),
    "name": lambda: NameError("x", name="x"),
    "unicode": lambda: UnicodeDecodeError("utf-8", b"\xff" * 100_000, 0, 1, "bad"),
}


def noted(*notes: str) -> Exception:
    error = Plain("noted")
    for note in notes:
        error.add_note(note)
    return error


def noted_oddly() -> Exception:
    error = Plain("noted")
    error.__notes__ = [StrExits(), 3, None]  # type: ignore[list-item]
    return error


def raised(error: BaseException) -> Failure:
    try:
        raise error
    except BaseException as caught:
        return describe_exception(caught, sys.exc_info()[2])


@pytest.mark.parametrize("name", NASTY)
def test_a_nasty_exception_becomes_a_record_and_an_error(name):
    failure = raised(NASTY[name]())
    for text in (failure.evalue, failure.traceback):
        assert type(text) is str
        assert len(text.encode()) <= 64 * KILO
    assert 0 < len(failure.ename) <= 200
    assert len(failure.exception) <= KILO * KILO
    assert frames.encode(failure)
    error = restore_error(failure, {"engine_id": 3, "method": "apply"})
    assert isinstance(error, errors.RemoteError)
    assert failure.ename in str(error)
    assert error.render_traceback()


@pytest.mark.parametrize("name", ["SystemExit", "KeyboardInterrupt", "OddBase", "lambda", "cycle",
                                  "surrogates", "local class", "groups", "wide group"])  # fmt: skip
def test_the_original_is_the_cause_where_it_can_be_pickled(name):
    original = NASTY[name]()
    cause = restore_error(raised(original)).__cause__
    assert type(cause).__name__ == type(original).__name__
    assert repr(cause) == repr(original)


@pytest.mark.parametrize(
    "name", ["ReduceLies", "SetstateRaises", "lock", "huge bytes", "huge list"]
)
def test_an_original_that_would_not_come_back_is_left_out(name):
    assert raised(NASTY[name]()).exception == b""


def test_the_record_says_what_was_raised():
    failure = raised(ValueError("some text"))
    assert (failure.ename, failure.evalue) == ("ValueError", "some text")
    assert failure.traceback.startswith("Traceback (most recent call last):\n")
    assert failure.traceback.endswith("\nValueError: some text")
    assert "raise error" in failure.traceback


def test_a_traceback_is_optional():
    failure = describe_exception(ValueError("some text"), None)
    assert failure.traceback == "ValueError: some text"


def test_the_traceback_begins_at_the_users_frames():
    class Bad:
        def __reduce__(self):
            raise ValueError("from the user")

    with pytest.raises(errors.SerializationError) as caught:
        dumps([Bad(), lambda: 0])
    cause = caught.value.__cause__  # its traceback begins in our frames
    assert "serialize" in cause.__traceback__.tb_frame.f_code.co_filename
    lines = describe_exception(cause, cause.__traceback__).traceback.splitlines()
    assert "in __reduce__" in lines[1]
    assert lines[-1] == "ValueError: from the user"


@pytest.mark.parametrize("name", ["NotesRaise", "AttributesRaise", "OddClass"])
def test_frames_are_shown_even_if_the_exception_spoils_the_rest(name):
    lines = raised(NASTY[name]()).traceback.splitlines()
    assert "in raised" in lines[1]


def test_causes_and_contexts_are_in_the_text():
    try:
        try:
            raise KeyError("first")
        except KeyError as error:
            raise ValueError("second") from error
    except ValueError as error:
        text = describe_exception(error, error.__traceback__).traceback
    assert text.index("KeyError: 'first'") < text.index("direct cause") < text.index("second")


def test_notes_and_groups_are_in_the_text_and_on_the_original():
    error = ExceptionGroup("several", [ValueError("one"), noted("a note")])
    failure = raised(error)
    for part in ("several (2 sub-exceptions)", "ValueError: one", "a note"):
        assert part in failure.traceback
    cause = restore_error(failure).__cause__
    assert isinstance(cause, ExceptionGroup)
    assert cause.exceptions[1].__notes__ == ["a note"]


def test_source_lines_come_from_linecache():
    source = textwrap.dedent("""
        def f():
            return 1 / 0  # a cell
    """)
    linecache.cache["<cell 1>"] = (len(source), None, source.splitlines(True), "<cell 1>")
    names: dict[str, Any] = {}
    exec(compile(source, "<cell 1>", "exec"), names)
    try:
        names["f"]()
    except ZeroDivisionError as error:
        failure = describe_exception(error, error.__traceback__)
    assert "return 1 / 0  # a cell" in failure.traceback


def test_long_texts_keep_their_beginning_and_end():
    failure = raised(ValueError("begin" + "é" * 100_000 + "end"))
    assert failure.evalue.startswith("beginé")
    assert failure.evalue.endswith("éend")
    assert "bytes left out" in failure.evalue
    assert failure.traceback.endswith("éend")


def test_an_interrupt_while_describing_passes():
    class Interrupts(Exception):
        def __str__(self):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        describe_exception(Interrupts(), None)


@pytest.mark.parametrize(
    "cls",
    [
        errors.EngineError,
        errors.TaskAborted,
        errors.TaskTimeout,
        errors.DependencyTimeout,
        errors.UnmetDependency,
        errors.ImpossibleDependency,
        errors.InvalidDependency,
        errors.DeserializationError,
        errors.TaskRejectError,
        errors.ControllerLost,
    ],
)
def test_an_outcome_that_the_cluster_decided_is_our_own_error(cls):
    error = restore_error(Failure(cls.__name__, "the reason"), {"engine_id": 1})
    assert type(error) is cls
    assert "the reason" in str(error)
    assert type(pickle.loads(pickle.dumps(error))) is cls


def test_an_unmet_dependency_raised_by_a_task_is_our_own_error():
    for original in (errors.UnmetDependency(), errors.ImpossibleDependency("never")):
        error = restore_error(raised(original))
        assert type(error) is type(original)
        assert error.__cause__ is not None


def test_a_users_error_that_has_the_name_of_one_of_ours_stays_the_users():
    theirs = type("EngineError", (Exception,), {"__module__": "__main__"})
    error = restore_error(raised(theirs("engine of a car")))
    assert isinstance(error, errors.RemoteError)
    assert not isinstance(error, errors.EngineError)
    aborted = restore_error(raised(errors.TaskAborted("of a nested cluster")))
    assert type(aborted) is errors.RemoteError
    assert isinstance(aborted.__cause__, errors.TaskAborted)


@pytest.mark.parametrize("data", [b"garbage", b"\x80", pickle.dumps(3), pickle.dumps(None), b"."])
def test_an_original_that_cannot_be_read_is_no_cause(data):
    error = restore_error(Failure("ValueError", "text", "traceback", data))
    assert type(error) is errors.RemoteError
    assert error.__cause__ is None


def test_references_inside_an_exception_stay_references_on_the_client():
    cause = restore_error(raised(Plain(Reference("x")))).__cause__
    assert isinstance(cause, Plain)
    assert cause.args == (Reference("x"),)


def test_exceptions_as_values_travel_too():
    with unpickling_in({"__name__": "__main__"}):
        sent = dumps([ValueError(1), local_class()])
    one, other = loads(sent.payload, sent.buffers)
    assert (repr(one), type(other).__name__) == ("ValueError(1)", "Local")


class Coded(ValueError):
    """Has a constructor that must not run again, and state in each place there is."""

    __slots__ = ("slot",)

    def __init__(self, number, *, slot):
        super().__init__(f"number {number}")
        self.number = number
        self.slot = slot

    def __reduce__(self):
        return _made, (self.number, self.slot)


def _made(number, slot):
    return Coded(number, slot=slot)


class Registered(Exception):
    known: list[type] = []

    def __init_subclass__(cls) -> None:
        Registered.known.append(cls)


def arrived(original: Exception) -> Any:
    return restore_error(describe_exception(original), {"engine_id": 1, "method": "f"})


@pytest.mark.parametrize(
    "original",
    [
        ValueError("x"),
        KeyError("k"),
        FileNotFoundError(2, "No such file", "data.csv"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "no start byte"),
        SyntaxError("wrong", ("f.py", 3, 4, "a b")),
        ImportError("no", name="n", path="p"),
        AttributeError("a", name="b", obj=3),
        MemoryError("m"),
        RecursionError("r"),
        TimeoutError("t"),
        ExceptionGroup("several", [ValueError(1), KeyError(2)]),
        Coded(7, slot="s"),
        zmq.ZMQError(11),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_that_arrives_is_also_of_the_type_that_was_raised(original):
    error = arrived(original)
    assert isinstance(error, errors.RemoteError)
    assert isinstance(error, type(original))
    assert str(error).startswith(f"[1:f] {type(original).__name__}")
    assert (error.ename, error.__cause__.args) == (type(original).__name__, error.args)
    for name in ("errno", "filename", "start", "lineno", "name", "path", "number", "slot"):
        assert repr(getattr(error, name, None)) == repr(getattr(error.__cause__, name, None)), name
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert isinstance(again, type(original))
        assert (str(again), again.traceback) == (str(error), error.traceback)
    with pytest.raises(type(original)):
        raise error


def test_what_would_end_a_loop_or_surprise_stays_a_remote_error_alone():
    for original in (StopIteration(1), StopAsyncIteration(), errors.TaskTimeout(), Registered()):
        assert type(arrived(original)) is errors.RemoteError
    assert not Registered.known
    for original in (KeyboardInterrupt(), SystemExit(3), GeneratorExit()):
        assert type(arrived(original)) is errors.RemoteError


def test_members_of_a_group_that_arrives_can_be_caught():
    caught = []
    try:
        raise arrived(ExceptionGroup("several", [ValueError(1), KeyError(2)]))
    except* KeyError as group:
        caught += group.exceptions
    except* ValueError as group:
        caught += group.exceptions
    assert sorted(type(one).__name__ for one in caught) == ["KeyError", "ValueError"]


class KeepsItsFields(ValueError):
    """An exception that lets nobody look at its fields, or change them."""

    __dict__ = property(lambda self: 1 / 0)

    def __setattr__(self, name, value):
        raise TypeError(name)


def test_members_say_which_engine_they_come_from():
    named = ValueError("named")
    named.engine_info = "its own"
    several = ExceptionGroup("several", [ValueError(1), ExceptionGroup("more", [KeyError(2)])])
    raised_there = [ValueError(0), several, named, errors.UnmetDependency("no")]
    infos = [{"engine_id": n, "item": 10 + n} for n in range(len(raised_there))]
    arrived_all = [restore_error(raised(e), i) for e, i in zip(raised_there, infos, strict=True)]
    group = errors.CompositeError("4 of 4 failed", arrived_all)
    for each in (group, pickle.loads(pickle.dumps(group)), group.derive(group.exceptions)):
        found = []
        try:
            raise each
        except* ValueError as values:
            found += [one.engine_info for one in leaves(values)]
        except* KeyError as keys:
            found += [one.engine_info for one in leaves(keys)]
        except* errors.UnmetDependency as unmet:
            found += [one.engine_info for one in leaves(unmet)]
        assert found == [infos[0], infos[1], "its own", infos[1], infos[3]]
    assert type(group.exceptions[0]) is ValueError


def test_members_that_let_nobody_at_their_fields_say_it_too():
    error = errors.RemoteError("KeepsItsFields", "", "", {"engine_id": 4, "method": "f"})
    error.__cause__ = KeepsItsFields()
    group = errors.CompositeError("1 of 1 failed", [error])
    assert group.exceptions[0].engine_info == {"engine_id": 4, "method": "f"}
    assert group.exceptions[0].__notes__ == ["raised by [4:f] KeepsItsFields"]


def test_members_of_one_error_say_it_too():
    several = ExceptionGroup("several", [ValueError(1), KeyError(2)])
    info = {"engine_id": 3, "method": "f"}
    found = []
    try:
        raise restore_error(raised(several), info)
    except* (ValueError, KeyError) as group:
        found += [one.engine_info for one in leaves(group)]
    assert found == [info, info]


def test_a_group_that_holds_itself_many_times_is_walked_once():
    group = ExceptionGroup("0", [ValueError(1)])
    for n in range(60):
        group = ExceptionGroup(str(n), [group, group])
    locate(group, {"engine_id": 1})
    while isinstance(group, ExceptionGroup):
        group = group.exceptions[0]
    assert group.engine_info == {"engine_id": 1}


def leaves(group):
    for one in group.exceptions:
        if isinstance(one, ExceptionGroup):
            yield from leaves(one)
        else:
            yield one


def test_what_python_prints_of_an_error_ends_with_the_remote_traceback():
    def deep():
        raise KeyError("b")

    try:
        deep()
    except KeyError as error:
        failure = describe_exception(error)
    unknown = Failure(failure.ename, failure.evalue, failure.traceback)
    for one in (failure, unknown):
        error = restore_error(one, {"engine_id": 3, "method": "f"})
        printed = "".join(traceback.format_exception(error))
        assert printed.index("[3:f] KeyError: 'b'") < printed.index("engine 3:f")
        assert printed.index("engine 3:f") < printed.rindex("in deep")
        assert printed.endswith("KeyError: 'b'\n")
        group = errors.CompositeError("2 of 2 failed", [error, restore_error(one)])
        printed = "".join(traceback.format_exception(group))
        assert "[3:f] KeyError: 'b'" in printed
        members = printed.split("\n  +-+---------------- 1 ")[1].split("---------------- 2 ")
        assert ["in deep" in member for member in members] == [True, True]


class MadeOfParts(Exception):
    def __init__(self, place: str, code: int) -> None:
        super().__init__(f"{code} at {place}")
        self.code = code


class MadeOfNames(ValueError):
    def __init__(self, *, code: int) -> None:
        super().__init__(code)
        self.code = code


class SaysMore(KeyError):
    def __init__(self, what: str) -> None:
        super().__init__(f"no {what}")


class OfTheSystem(OSError):
    def __init__(self, path: str, code: int, more: int) -> None:
        super().__init__(code, "is not there", path)
        self.more = more


@pytest.mark.parametrize(
    "original",
    [
        MadeOfParts("sea", 3),
        MadeOfNames(code=3),
        SaysMore("wind"),
        OfTheSystem("/x", 2, 3),
        ExceptionGroup("g", [ValueError(1), MadeOfParts("sea", 3)]),
    ],
    ids=lambda original: type(original).__name__,
)
def test_an_error_is_of_its_type_also_where_the_class_would_not_make_it_again(original):
    error = restore_error(raised(original))
    cause = error.__cause__
    assert type(cause) is type(original)
    assert str(cause) == str(original)
    assert repr(cause.args) == repr(original.args)
    assert vars(cause) == vars(original)
    if not isinstance(original, ExceptionGroup):
        assert isinstance(error, type(original))
        assert str(pickle.loads(pickle.dumps(error))) == str(error)
