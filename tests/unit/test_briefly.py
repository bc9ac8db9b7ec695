"""Errors of calls lead to the user's line, not through ours."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from types import CodeType
from typing import Any

import pytest

from hippodrome import briefly
from hippodrome.briefly import brief, brief_methods

OURS = f"{briefly._OURS}made_up.py"
SOURCE = """
def refuse(x):
    raise ValueError(x)

def blunder(x):
    return x.nonesuch

def call(f, *args):
    return f(*args)

def translate(f):
    try:
        f(1)
    except AttributeError as error:
        raise ValueError("meant") from error

def items(f):
    yield 1
    f(2)

def outer(f, x):
    return inner(f, x)

def inner(f, x):
    return f(x)

def wait(f):
    raise KeyboardInterrupt

def no_arguments():
    pass
"""


@pytest.fixture
def ours() -> dict[str, Any]:
    """Functions that look like ours."""
    names: dict[str, Any] = {"__name__": "hippodrome.made_up"}
    exec(compile(SOURCE, OURS, "exec"), names)
    names["inner"] = brief(names["inner"])
    return names


def frames(error: BaseException) -> list[str]:
    found = traceback.extract_tb(error.__traceback__)
    return [frame.name for frame in found if frame.filename != __file__ or frame.name == "users"]


def raised(f: Any, *args: Any) -> BaseException:
    with pytest.raises(BaseException) as caught:
        f(*args)
    return caught.value


def users(x: object) -> None:
    raise KeyError(x)


def test_what_we_raise_on_purpose_comes_without_our_frames(ours: dict[str, Any]) -> None:
    assert frames(raised(ours["call"], ours["refuse"], 1)) == ["call", "refuse"]
    assert frames(raised(brief(ours["call"]), ours["refuse"], 1)) == []
    assert frames(raised(brief(ours["outer"]), ours["refuse"], 1)) == []


def test_a_mistake_of_ours_keeps_its_frames(ours: dict[str, Any]) -> None:
    assert frames(raised(brief(ours["outer"]), ours["blunder"], 1))[-1] == "blunder"


def test_an_interrupt_comes_without_our_frames(ours: dict[str, Any]) -> None:
    assert frames(raised(brief(ours["wait"]), None)) == []


def test_frames_of_the_user_are_kept(ours: dict[str, Any]) -> None:
    assert frames(raised(brief(ours["call"]), users, 1)) == ["users"]


def test_what_led_to_an_error_is_shortened_too(ours: dict[str, Any]) -> None:
    error = raised(brief(ours["translate"]), ours["blunder"])
    assert frames(error) == []
    assert error.__cause__ is not None
    assert frames(error.__cause__) == []


def test_generators_are_shortened_where_they_raise(ours: dict[str, Any]) -> None:
    found: Iterator[int] = brief(ours["items"])(ours["refuse"])
    assert next(found) == 1
    assert frames(raised(next, found)) == []


def test_a_wrong_call_is_the_callers(ours: dict[str, Any]) -> None:
    assert frames(raised(brief(ours["no_arguments"]), 1)) == []
    assert frames(raised(brief(ours["call"]), ours["no_arguments"], 1)) == []


def test_public_methods_of_a_class_are_brief_and_look_as_before(ours: dict[str, Any]) -> None:
    names = ours | {"brief_methods": brief_methods}
    text = """
@brief_methods("value", but=("spin",))
class Thing:
    def __init__(self, x=1):
        '''Be made.'''
        self.refuse = x
    def go(self, x):
        '''Go.'''
        refuse(x)
    def spin(self):
        refuse(1)
    def _hidden(self):
        refuse(1)
    @classmethod
    def make(cls):
        refuse(1)
    @property
    def value(self):
        refuse(1)
"""
    code: CodeType = compile(text, OURS, "exec")
    exec(code, names)
    thing = names["Thing"]()
    assert frames(raised(thing.go, 1)) == []
    assert frames(raised(thing.make)) == []
    assert frames(raised(lambda: thing.value)) == []
    assert frames(raised(thing.spin)) == ["spin", "refuse"]
    assert frames(raised(thing._hidden)) == ["_hidden", "refuse"]
    assert (thing.go.__doc__, thing.go.__name__) == ("Go.", "go")
    assert frames(raised(thing.go)) == []


def test_code_that_dataclasses_make_of_ours_is_ours() -> None:
    from hippodrome.client.views.flags import TaskFlags

    assert frames(raised(brief(TaskFlags), True, False, None, "", (), (), "x")) == []
    assert sys.exc_info() == (None, None, None)
