"""Warnings about what a function takes along, where that is large or a generator of random numbers.

Looked for where a function is pickled, which is once for most of them, and said once for each.
"""

from __future__ import annotations

import functools
import sys
import types
import warnings
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, Final

from hippodrome.errors import CaptureWarning, LargeCaptureWarning, RandomCaptureWarning
from hippodrome.serialize.byvalue import Dumped, weigh
from hippodrome.serialize.byvalueparts import content_of, is_by_reference, look_up
from hippodrome.serialize.culprit import parts_of
from hippodrome.serialize.generators import how_to_seed, is_generator
from hippodrome.serialize.globalnames import global_names
from hippodrome.serialize.namespaces import ABSENT

LARGE_BYTES: Final = 10_000_000
_OURS: Final = __name__.partition(".")[0]
_MAX_DEPTH: Final = 10
_MAX_PARTS: Final = 1000  # of one object; it is named itself where it has more
_MAX_SAID: Final = 1000
_CONTAINERS: Final = (dict, list, tuple, set, frozenset, functools.partial, types.MethodType)
_said: Final[set[object]] = set()

Part = tuple[str, object]


def notice(f: Any, name: str, dumped: Dumped) -> None:
    """Warn of what *f* takes along, if it is worth it.

    Args:
        f: what is called on engines.
        name: what people call it.
        dumped: its pickle.

    Warns:
        LargeCaptureWarning: it is more than 10 MB.
        RandomCaptureWarning: it has a generator of random numbers.
    """
    if type(f).__module__.partition(".")[0] == _OURS:
        return  # around a function, of which it is said
    if len(dumped.data) > LARGE_BYTES and _is_new(f, name, LargeCaptureWarning):
        where, part = _way(name, f, lambda value: weigh(value).size_bytes > LARGE_BYTES)
        size = weigh(part).size_bytes
        _warn(
            f"{name} takes along {size / 1e6:.0f} MB: {where} of type {type(part).__name__}. They "
            "go to each engine, and may be unpickled for each task. Push such things once, as by "
            "rc[:].push({'data': data}), and pass ipp.Reference('data') in their place",
            LargeCaptureWarning,
        )
    if dumped.generators and _is_new(f, name, RandomCaptureWarning):
        where, part = _way(name, f, lambda value: bool(weigh(value).generators))
        if not is_generator(type(part)):
            part = dumped.generators[0]
        _warn(
            f"{name} takes along a generator of random numbers: {where} of type "
            f"{type(part).__name__}. Each task starts from a copy of it in the same state, so all "
            f"that draw from it draw the same numbers: make one in the task, {how_to_seed(part)}",
            RandomCaptureWarning,
        )


def _is_new(f: Any, name: str, kind: type[CaptureWarning]) -> bool:
    """Return whether nothing of this *kind* has been said of *f*."""
    code = getattr(getattr(f, "__func__", f), "__code__", None)
    place = (code.co_filename, code.co_firstlineno) if type(code) is types.CodeType else None
    key = kind, name, place
    if key in _said:
        return False
    if len(_said) >= _MAX_SAID:
        _said.clear()
    _said.add(key)
    return True


def _way(name: str, f: object, is_meant: Callable[[object], bool]) -> tuple[str, object]:
    """Return the way from *f* to what is meant in it, and that."""
    where, found = name, f
    for _ in range(_MAX_DEPTH):
        for text, value in islice(_parts(found), _MAX_PARTS):
            if is_meant(value):
                where, found = where + text, value
                break
        else:
            break
    return where, found


def _parts(obj: object) -> Iterator[Part]:
    """Yield what users see in *obj*."""
    if isinstance(obj, types.FunctionType):
        if not is_by_reference(obj):
            yield from _parts_of_function(obj)
    elif isinstance(obj, _CONTAINERS) or type(obj).__module__ == "__main__":
        yield from parts_of(obj)


def _parts_of_function(function: types.FunctionType) -> Iterator[Part]:
    for name in global_names(function.__code__):
        value = look_up(function, name)
        if value is not ABSENT:
            yield f" (global {name!r})", value
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    for name, cell in cells:
        yield f" (its variable {name!r})", content_of(cell)
    for i, value in enumerate(function.__defaults__ or ()):
        yield f" (default {i})", value
    for name, value in (function.__kwdefaults__ or {}).items():
        yield f" (default of {name!r})", value


def _warn(text: str, category: type[CaptureWarning]) -> None:
    """Warn the line of the program from which this was called."""
    level, frame = 1, sys._getframe()
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] == _OURS:
        level, frame = level + 1, frame.f_back
    warnings.warn(text, category, stacklevel=level)
