"""Target specifications: parsed, never evaluated."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hippodrome.magics.targets import joined, parse_targets


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("all", "all"),
        (":", "all"),
        ("0", 0),
        ("-1", -1),
        ("0,2", [0, 2]),
        ("[0, 2]", [0, 2]),
        ("3,", [3]),
        ("::2", slice(None, None, 2)),
        ("1:3", slice(1, 3)),
        ("-2:", slice(-2, None)),
        ("[1:]", slice(1, None)),
        ("'0, 2'", [0, 2]),
        ('"[0, 2]"', [0, 2]),
        ("(1,)", [1]),
        ("{0, 2}", [0, 2]),
        ("[0 2]", [0, 2]),
        ("[ 0 10]", [0, 10]),
        ("[np.int64(0), np.int64(2)]", [0, 2]),
        ("range(0, 2)", [0, 1]),
        ("range(3, 0, -2)", [3, 1]),
        ("range(1)", [0]),
        ("slice(0, None, 2)", slice(0, None, 2)),
        ("slice(None, -1, None)", slice(None, -1)),
    ],
)
def test_what_can_be_written(text: str, meant: object) -> None:
    assert parse_targets(text) == meant


@pytest.mark.parametrize(
    "text",
    [
        "",
        "everything",
        "1:2:3:4",
        "0;1",
        "__import__('os')",
        "1.5",
        "a:b",
        "0 1 x",
        "range(0)",
        "range(0, 9, 0)",
        "range(999999999)",
        "range(1e3)",
        "slice(1)",
        "slice(a, b, c)",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="cannot read the targets"):
        parse_targets(text)


@given(st.text())
def test_no_text_does_anything_else(text: str) -> None:
    try:
        meant = parse_targets(text)
    except ValueError:
        return
    assert isinstance(meant, str | int | slice | list)


@given(st.lists(st.integers(0, 99), min_size=2))
def test_lists_come_back(ids: list[int]) -> None:
    assert parse_targets(",".join(map(str, ids))) == ids


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("-a --targets [0, 2] -o x", ["-a", "--targets", "[0,2]", "-o", "x"]),
        ("--targets range(0, 2) -a", ["--targets", "range(0,2)", "-a"]),
        ("--targets [0 2]", ["--targets", "[0,2]"]),
        ("--targets [np.int64(0), np.int64(2)]", ["--targets", "[0,2]"]),
        ("--targets {n} [ (", ["--targets", "{n}", "[", "("]),
    ],
)
def test_a_list_in_a_line_is_one_word(line: str, words: list[str]) -> None:
    assert joined(line).split() == words
