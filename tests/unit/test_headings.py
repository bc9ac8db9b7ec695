"""Lines that say where errors were raised."""

from __future__ import annotations

import re
from typing import Any

import pytest

from hippodrome.errors import CompositeError, RemoteError
from hippodrome.headings import heading, mark, numbers


def info(engine: int | None, **more: Any) -> dict[str, Any]:
    return ({} if engine is None else {"engine_id": engine}) | {"method": "f"} | more


def zero(engine: int | None, **more: Any) -> RemoteError:
    return RemoteError("ZeroDivisionError", "division by zero", "trace", info(engine, **more))


@pytest.mark.parametrize(
    ("where", "text"),
    [
        (info(1), "1:f"),
        (info(1, item=17), "1:f, item 17"),
        (info(1, items=(10, 19)), "1:f, items 10-19"),
        (info(1, part=2), "1:f, part 2"),
        (info(None, item=3), "item 3"),
        (info(None), ""),
        ({}, ""),
    ],
)
def test_a_mark_names_engine_function_and_item(where: dict[str, Any], text: str) -> None:
    assert mark(where) == text
    expected = f"[{text}] E: v" if text else "E: v"
    assert str(RemoteError("E", "v", "", where)) == expected


def test_numbers_are_drawn_together_and_cut_off() -> None:
    assert numbers("engine", [3]) == "engine 3"
    assert numbers("engine", [5, 4, 3, 0, 3, None, "x"]) == "engines 0, 3-5"
    assert numbers("engine", [None]) == ""
    assert numbers("item", range(0, 40, 2)) == "items 0, 2, 4, 6, 8, 10, 12, 14, ..."


@pytest.mark.parametrize(
    ("infos", "lines"),
    [
        ([info(1)], ["engine 1:f"]),
        ([info(None, item=3)], ["item 3"]),
        ([info(None)], []),
        ([info(None), info(None)], ["E in 2 tasks; first:"]),
        ([info(1), info(3)], ["E on engines 1, 3; first:", "engine 1:f (the same: 3:f)"]),
        ([info(i) for i in range(4)], ["E on engines 0-3; first:", "engine 0:f"]),
        ([info(1), info(1)], ["E in 2 tasks on engine 1; first:", "engine 1:f"]),
        (
            [info(1, item=17), info(1, item=33)],
            [
                "E in items 17, 33 on engine 1; first:",
                "engine 1:f, item 17 (the same: 1:f, item 33)",
            ],
        ),
        (
            [info(0, item=i) for i in range(9)],
            ["E in items 0-8 on engine 0; first:", "engine 0:f, item 0"],
        ),
        (
            [info(0, item=2), info(0)],
            [
                "E in 2 tasks on engine 0; first:",
                "engine 0:f, item 2 (the same: 0:f)",
            ],
        ),
    ],
)
def test_errors_that_are_alike_have_one_heading(
    infos: list[dict[str, Any]], lines: list[str]
) -> None:
    assert heading("E", infos) == lines


def test_each_engine_is_named_with_its_call_in_all_that_is_shown_of_a_few() -> None:
    error = CompositeError("2 of 4 tasks of f failed", [zero(1), zero(3)])
    for text in (str(error), "\n".join(error._render_traceback_())):
        assert re.findall(r"[\[ ](\d):f", text) == ["1", "3"]
    items = CompositeError("2 of 4 tasks of f failed", [zero(1, item=17), zero(3, item=33)])
    for text in (str(items), "\n".join(items._render_traceback_())):
        assert re.findall(r"(\d):f, item (\d+)", text) == [("1", "17"), ("3", "33")]
