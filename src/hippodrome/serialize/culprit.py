"""Finds the part of an object that cannot be pickled, to name it in the error.

Only after pickling failed: it looks for the first part that fails by itself, goes into that, and
stops where no part does.
"""

from __future__ import annotations

import copyreg
import functools
import pickle
import types
from collections.abc import Iterable, Iterator
from typing import Any, Final

from hippodrome.errors import SerializationError
from hippodrome.serialize.byvalue import objection
from hippodrome.serialize.byvalueparts import content_of, is_by_reference, is_main, look_up
from hippodrome.serialize.dependents import Requirement, Sealed, dependent
from hippodrome.serialize.globalnames import global_names
from hippodrome.serialize.namespaces import ABSENT

_MAX_DEPTH: Final = 30
_MAX_TEXT: Final = 1000
_MAX_KEY: Final = 60

Part = tuple[str, object]


def refusal(parts: Iterable[Part], error: BaseException) -> SerializationError:
    """Return the error that says which of *parts*, and what in it, cannot be pickled.

    Args:
        parts: named objects that were to be pickled.
        error: what the pickler raised.
    """
    where, culprit = _find(parts)
    if culprit is ABSENT:
        return SerializationError(f"cannot be pickled: {_reason(error)}")
    error = objection(culprit) or error  # which may be about another part
    return SerializationError(f"{where} of type {_kind(culprit)}: {_reason(error)}")


def explanation(name: str, value: object) -> str:
    """Return why the global variable *name* cannot be pickled: what in it, and what pickle says.

    Args:
        name: the variable.
        value: what it holds.
    """
    where, culprit = _find([(name, value)])
    error = objection(culprit)
    reason = "it cannot be pickled" if error is None else _brief_reason(error)
    return reason if where in ("", name) else f"{where} of type {_kind(culprit)}: {reason}"


def _find(parts: Iterable[Part]) -> tuple[str, object]:
    """Return the way to the innermost part that cannot be pickled, and that; ABSENT if none."""
    where, culprit = "", ABSENT
    for _ in range(_MAX_DEPTH):
        failing = _first_failing(list(parts))
        if failing is None:
            break
        where += failing[0]
        culprit = failing[1]
        parts = parts_of(culprit)
    return where, culprit


def _first_failing(parts: list[Part]) -> Part | None:
    """Return the first of *parts* that cannot be pickled, in few steps also if they are many."""
    if objection([value for _, value in parts]) is None:
        return None
    while len(parts) > 1:
        half = len(parts) // 2
        head = parts[:half]
        parts = parts[half:] if objection([value for _, value in head]) is None else head
    return parts[0] if objection(parts[0][1]) is not None else None


def parts_of(obj: object) -> Iterator[Part]:
    """Yield what *obj* consists of, each with the text that leads from *obj* to it."""
    match obj:
        case dict():
            for key, value in obj.items():
                yield f"[{_brief(key)}]", value
            yield from ((f" key {_brief(key)}", key) for key in obj)
        case list() | tuple():
            yield from ((f"[{i}]", value) for i, value in enumerate(obj))
        case set() | frozenset():
            yield from ((" element", value) for value in obj)
        case types.FunctionType():
            yield from _parts_of_function(obj)
        case types.MethodType():
            yield ".__self__", obj.__self__
            yield ".__func__", obj.__func__
        case functools.partial():
            yield ".func", obj.func
            yield from ((f".args[{i}]", value) for i, value in enumerate(obj.args))
            yield from ((f".keywords[{key!r}]", value) for key, value in obj.keywords.items())
        case functools._lru_cache_wrapper():
            yield "", obj.__wrapped__
        case dependent():
            yield " (its dependency)", (obj.df, obj.dargs, obj.dkwargs)
            yield "", obj.f
        case Requirement():
            yield " (its objects)", obj.objects.value
        case Sealed():
            yield "", obj.value
        case type():
            if not is_by_reference(obj):
                yield from ((f".{name}", value) for name, value in vars(obj).items())
        case _:
            yield from _parts_of_instance(obj)


def _parts_of_function(function: types.FunctionType) -> Iterator[Part]:
    if is_by_reference(function):
        return
    for i, value in enumerate(function.__defaults__ or ()):
        yield f" (default {i})", value
    for name, value in (function.__kwdefaults__ or {}).items():
        yield f" (default of {name!r})", value
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    for name, cell in cells:
        yield f" (its variable {name!r})", content_of(cell)
    for name, value in function.__dict__.items():
        yield f".{name}", value
    for name in global_names(function.__code__):
        value = look_up(function, name)
        if isinstance(value, types.FunctionType) or not is_main(function):
            yield f" (global {name!r})", None if value is ABSENT else value


def _parts_of_instance(obj: object) -> Iterator[Part]:
    """Yield the state that the pickler would take of *obj*."""
    args, state, items, pairs = (*_reduced(obj)[1:5], None, None, None, None)[:4]
    yield from _parts_of_state(state if isinstance(state, tuple) else (state,))
    yield from ((f"[{i}]", value) for i, value in enumerate(items or ()))
    yield from ((f"[{_brief(key)}]", value) for key, value in pairs or ())
    for i, part in enumerate(args if isinstance(args, tuple) else ()):
        if part is type(obj):
            yield " (its class)", part
        elif part is not obj:
            yield f".args[{i}]" if isinstance(obj, BaseException) else f" (made from {i})", part


def _parts_of_state(state: tuple[Any, ...]) -> Iterator[Part]:
    for part in state:
        if isinstance(part, dict):
            yield from ((f".{name}", value) for name, value in part.items())
        elif part is not None:
            yield " (its state)", part


def _reduced(obj: object) -> tuple[Any, ...]:
    """Return what the pickler would make of *obj*; nothing if that is the culprit itself."""
    try:
        reduce = copyreg.dispatch_table.get(type(obj))
        reduced: Any = reduce(obj) if reduce else obj.__reduce_ex__(5)
    except KeyboardInterrupt:
        raise
    except BaseException:
        return ()
    return reduced if isinstance(reduced, tuple) else ()


def _brief(key: object) -> str:
    text = _safely(repr, key)
    return text if len(text) <= _MAX_KEY else text[: _MAX_KEY - 3] + "..."


def _reason(error: BaseException) -> str:
    text = _safely(str, error)
    return f"{type(error).__name__}: {text}"[:_MAX_TEXT]


def _brief_reason(error: BaseException) -> str:
    """Return what pickle says; what it raises for that is of no interest."""
    is_pickles = type(error) in (TypeError, pickle.PicklingError, AttributeError)
    return _safely(str, error)[:_MAX_TEXT] if is_pickles else _reason(error)


def _kind(obj: object) -> str:
    return type(obj).__name__


def _safely(describe: Any, value: object) -> str:
    try:
        return str.__str__(describe(value))
    except KeyboardInterrupt:
        raise
    except BaseException:
        return f"<{type(value).__name__}>"
