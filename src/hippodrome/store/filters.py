"""Queries over records in the manner of MongoDB.

A query is a map of keys to what they must be: a value, or a map of operators to operands, all of
which must hold. ``$and``, ``$or`` and ``$nor`` take lists of queries in place of a key. A key that
a record lacks is None, which is neither less nor greater than anything.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import ge, gt, le, lt
from typing import Any, Final

from hippodrome.store import times
from hippodrome.store.fields import Field, field_of, is_time
from hippodrome.store.record import TaskRecord

Test = Callable[[Any], bool]  # Any: whatever a field holds, or a client asks for
Make = Callable[[Any], Test]

MOST_PARTS: Final = 10_000  # of a query: each costs once for each record


@dataclass(frozen=True, slots=True)
class Condition:
    """One operator on one key, for stores that have an index."""

    key: str
    operator: str
    operand: Any  # Any: as in the query, but times are seconds since the epoch


@dataclass(frozen=True, slots=True)
class Filter:
    """A query that has been understood.

    Attributes:
        fits: whether a record is asked for.
        conditions: some that each such record fulfils.
    """

    fits: Callable[[TaskRecord], bool]
    conditions: tuple[Condition, ...] = ()


def understand(query: Any) -> Filter:  # Any: as a client sent it
    """Return what *query* asks for.

    Raises:
        ValueError: there is no such key or operator, or an operand makes no sense.
        TypeError: the same.
    """
    if _n_parts(query) > MOST_PARTS:
        raise ValueError(f"a query of more than {MOST_PARTS} parts; $in takes lists of any length")
    return _understand(query)


def _n_parts(query: Any) -> int:
    """Return of how many maps and keys *query* is made, or a number above the limit."""
    n = 0
    left = [query]
    while left and n <= MOST_PARTS:
        part = left.pop()
        if isinstance(part, dict):
            n += 1 + len(part)
            left.extend(part.values())
        elif isinstance(part, list):
            left.extend(each for each in part if isinstance(each, dict | list))
    return n


def _understand(query: Any) -> Filter:
    if not isinstance(query, dict) or not all(isinstance(key, str) for key in query):
        raise TypeError(f"a query is a map of keys, not {query!r}")
    tests: list[Callable[[TaskRecord], bool]] = []
    conditions: list[Condition] = []
    for key, wanted in query.items():
        if key in _LOGIC:
            tests.append(_LOGIC[key]([_understand(part).fits for part in wanted]))
        elif key.startswith("$"):
            raise ValueError(f"there is no operator {key!r} of whole queries")
        else:
            tests.append(_on_field(field_of(key), _test_of(key, wanted, conditions)))
    if len(tests) == 1:
        return Filter(tests[0], tuple(conditions))
    return Filter(_every(tests), tuple(conditions))


def _every(tests: list[Callable[[TaskRecord], bool]]) -> Callable[[TaskRecord], bool]:
    return lambda record: all(test(record) for test in tests)


_LOGIC: Final[Mapping[str, Callable[[list[Any]], Callable[[TaskRecord], bool]]]] = {
    "$and": _every,
    "$or": lambda tests: lambda record: any(test(record) for test in tests),
    "$nor": lambda tests: lambda record: not any(test(record) for test in tests),
}


def _on_field(field: Field, test: Test) -> Callable[[TaskRecord], bool]:
    return lambda record: test(field(record))


def _test_of(key: str, wanted: Any, conditions: list[Condition] | None) -> Test:
    """Return what a value of *key* must fulfil; simple conditions are noted."""
    if not _has_operators(wanted):
        wanted = {"$eq": wanted}
    tests = []
    for name, given in wanted.items():
        if name == "$not":
            tests.append(_negated(_test_of(key, given, None)))
            continue
        if name not in OPERATORS:
            raise ValueError(f"there is no operator {name!r}; there are {', '.join(OPERATORS)}")
        if name in _OF_LISTS and isinstance(given, str):
            given = [given]  # one text, and not its letters
        operand = times.as_seconds(given) if is_time(key) else given
        if conditions is not None:
            conditions.append(Condition(key, name, operand))
        tests.append(OPERATORS[name](operand))
    return tests[0] if len(tests) == 1 else lambda value: all(test(value) for test in tests)


def _has_operators(wanted: Any) -> bool:
    """Whether *wanted* is a map of operators, and no value that is asked for.

    Raises:
        ValueError: it would be one if a name had its ``$``.
    """
    names = [str(name) for name in wanted] if isinstance(wanted, dict) else []
    for name in names:
        if f"${name}" in OPERATORS:
            raise ValueError(f"there is no operator {name!r}; did you mean '${name}'?")
    return any(name.startswith("$") for name in names)


def _negated(test: Test) -> Test:
    return lambda value: not test(value)


# ---------------------------------------------------------------- operators


def _ordered(compare: Callable[[Any, Any], bool]) -> Make:
    def make(operand: Any) -> Test:
        def test(value: Any) -> bool:
            if value is None or operand is None:
                return False
            try:
                return compare(value, operand)
            except TypeError:  # a text is neither less nor greater than a number
                return False

        return test

    return make


def _in(operand: Any) -> Test:
    wanted = _list(operand)
    hashed = frozenset(each for each in wanted if _has_hash(each))
    others = [each for each in wanted if not _has_hash(each)]
    return lambda value: any(
        each in (hashed if _has_hash(each) else others) for each in _values(value)
    )


def _all(operand: Any) -> Test:
    wanted = _list(operand)
    if len(wanted) > MOST_PARTS:
        raise ValueError(f"$all of more than {MOST_PARTS} values")
    return lambda value: all(each in _values(value) for each in wanted)


def _concat(operand: Any) -> Test:
    whole = "".join(_list(operand))
    return lambda value: bool(value == whole)


def _exists(operand: Any) -> Test:
    return lambda value: (value is not None) == bool(operand)


def _mod(operand: Any) -> Test:
    divisor, remainder = (int(number) for number in operand)
    if not divisor:
        raise ValueError("$mod by 0")
    return lambda value: isinstance(value, int | float) and value % divisor == remainder


def _glob(operand: Any) -> Test:
    pattern = re.compile(fnmatch.translate(operand))
    return lambda value: isinstance(value, str) and pattern.match(value) is not None


def _list(operand: Any) -> list[Any]:
    if not isinstance(operand, list):
        raise TypeError(f"a list is wanted, not {operand!r}")
    return operand


def _has_hash(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _values(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


OPERATORS: Final[Mapping[str, Make]] = {
    "$eq": lambda operand: lambda value: bool(value == operand),
    "$ne": lambda operand: lambda value: bool(value != operand),
    "$lt": _ordered(lt),
    "$lte": _ordered(le),
    "$gt": _ordered(gt),
    "$gte": _ordered(ge),
    "$in": _in,
    "$nin": lambda operand: _negated(_in(operand)),
    "$all": _all,
    "$concat": _concat,
    "$exists": _exists,
    "$mod": _mod,
    "$glob": _glob,
}
_OF_LISTS: Final = frozenset({"$in", "$nin", "$all"})
