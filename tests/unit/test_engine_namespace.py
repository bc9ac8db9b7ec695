"""The user namespace: what push, pull, execute and clear do to it."""

from __future__ import annotations

import asyncio
import importlib
import pickle
import sys
import traceback
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from hippodrome.engine import namespace
from hippodrome.engine.namespace import clear, execute, pull, push, user_namespace
from hippodrome.serialize.executereply import ExecuteReply


@pytest.fixture(autouse=True)
def installed() -> Iterator[None]:
    before = namespace.install()
    yield
    sys.modules["__main__"] = before


def test_what_is_pushed_can_be_pulled() -> None:
    push({"a": 1, "b": [2]})
    assert pull("a") == 1
    assert pull(["a", "b"]) == [1, [2]]


def test_import_main_finds_the_user_namespace() -> None:
    push({"a": 1})
    assert importlib.import_module("__main__").a == 1


def test_pickles_that_refer_to_main_find_the_user_namespace() -> None:
    execute("class C: pass")
    assert type(pickle.loads(pickle.dumps(pull("C()")))) is pull("C")


def test_targets_may_have_attributes_and_subscripts() -> None:
    push({"a": SimpleNamespace(), "d": {"k": [0, 0]}})
    push({"a.b": 1, "d['k'][-1]": 2, "d['new']": 3})
    assert pull("a.b") == 1
    assert pull("d") == {"k": [0, 2], "new": 3}


@pytest.mark.parametrize(
    "target",
    [
        "__import__('builtins').X",
        "a[f()]",
        "a[b]",
        "(a := 1)",
        "a, b",
        "a +",
        "",
        "1",
        "lambda: 0",
        "*a",
    ],
)
def test_other_targets_are_refused_and_nothing_is_assigned(target: str) -> None:
    with pytest.raises(ValueError, match="cannot assign"):
        push({"first": 1, target: 2})
    assert "first" not in user_namespace()


def test_a_target_whose_name_does_not_exist_is_a_name_error() -> None:
    with pytest.raises(NameError, match="nowhere"):
        push({"nowhere.b": 1})


def test_pull_evaluates_expressions() -> None:
    push({"a": [1, 2]})
    assert pull("a[0] + len(a)") == 3


def test_pulling_what_is_not_there_is_a_name_error() -> None:
    with pytest.raises(NameError):
        pull("nothing")


def test_execute_shares_the_namespace_and_counts() -> None:
    first = record_of(execute("a = 1\nb = a + 1"))
    second = record_of(execute("b"))
    assert pull("b") == 2
    assert second.execution_count == first.execution_count + 1
    assert second.source == "b"


def test_the_last_expression_is_the_result_unless_it_is_silent() -> None:
    assert record_of(execute("a = 20\na * 2", silent=False)).text == "40"
    assert record_of(execute("_ + 2", silent=False)).text == "42"
    assert record_of(execute("1 + 1")).data == {}
    assert record_of(execute("None", silent=False)).data == {}
    assert record_of(execute("", silent=False)).data == {}


def test_top_level_await_gives_a_coroutine() -> None:
    execute("import asyncio")
    coroutine: Any = execute("await asyncio.sleep(0, result=5)", silent=False)
    assert asyncio.run(coroutine).text == "5"


def test_a_traceback_shows_the_line() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        execute("a = 0\nb = 1 / a")
    text = "".join(traceback.format_exception(caught.value))
    assert "b = 1 / a" in text
    assert "<engine input" in text


def test_clear_leaves_a_namespace_that_works() -> None:
    push({"a": 1})
    clear()
    with pytest.raises(NameError):
        pull("a")
    assert record_of(execute("len('four')", silent=False)).text == "4"


def record_of(outcome: object) -> ExecuteReply:
    assert isinstance(outcome, ExecuteReply)
    return outcome
