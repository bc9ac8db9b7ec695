"""Errors of calls without our own frames: what is shown leads to the user's line, and says why.

A user who names an engine that is not there, or interrupts a call that waits, has no use for the
way from the method that was called to where that was found. A mistake of ours keeps all frames:
only what was raised on purpose is shortened, and what user code raised meanwhile, whose frames are
kept.
"""

from __future__ import annotations

import dis
import functools
import inspect
import os
import re
import sys
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import CancelledError
from types import FrameType, FunctionType, TracebackType
from typing import Any, Final, TypeVar, cast

from hippodrome.errors import KernelError

_F = TypeVar("_F", bound=Callable[..., Any])
_C = TypeVar("_C", bound=type[Any])

_OURS: Final = os.path.dirname(os.path.abspath(__file__)) + os.sep
_STANDARD: Final = os.path.dirname(os.path.abspath(os.__file__)) + os.sep
_PACKAGES: Final = f"{os.sep}site-packages{os.sep}"
_TOOLS: Final = tuple(f"{_PACKAGES}{name}{os.sep}" for name in ("cloudpickle", "msgspec", "zmq"))
_RAISE: Final = dis.opmap["RAISE_VARARGS"]
_MEANT: Final = (KeyboardInterrupt, CancelledError, TimeoutError, OSError, KernelError)
_WRONG_CALL: Final = re.compile(r"\(\) (got|takes|missing) ")
_BINDING_FRAMES: Final = 3  # a method, and those to which it hands its arguments on
_MOST_CAUSES: Final = 8
_SPECIAL: Final = frozenset(
    {
        *("__call__", "__getattr__", "__getitem__", "__setitem__"),
        *("__iter__", "__next__", "__set__"),
    }
)


def brief(function: _F) -> _F:
    """Return *function* such that its errors come without our frames."""
    if inspect.isgeneratorfunction(function):

        @functools.wraps(function)
        def generate(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
            try:
                return (yield from function(*args, **kwargs))
            except BaseException as error:
                end(error)
                raise

        return cast("_F", generate)

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except BaseException as error:
            end(error)
            raise  # as it is now: without this frame too

    return cast("_F", call)


def brief_methods(*also: str, but: tuple[str, ...] = ()) -> Callable[[_C], _C]:
    """Return a class decorator: errors of public methods come without our frames.

    Args:
        *also: names of other methods and properties.
        but: names of those that are left as they are, as they look at who calls them.
    """

    def decorate(cls: _C) -> _C:
        once = functools.cache(brief)  # a method of two names stays one
        for name, member in list(vars(cls).items()):
            is_meant = not name.startswith("_") or name in _SPECIAL or name in also
            if name in but or not is_meant:
                continue
            if isinstance(member, FunctionType) and not inspect.iscoroutinefunction(member):
                setattr(cls, name, once(member))
            elif isinstance(member, classmethod):
                setattr(cls, name, classmethod(brief(member.__func__)))
            elif isinstance(member, property) and name in also and member.fget is not None:
                setattr(cls, name, member.getter(brief(member.fget)))
        return cls

    return decorate


class ending_here:
    """In the block, errors come without our frames; for constructors, which are not decorated.

    So that whoever looks at the code of one finds the attributes that it sets.
    """

    def __enter__(self) -> None:
        """Do nothing."""

    def __exit__(self, kind: object, error: BaseException | None, found: object) -> None:
        if error is not None and not _is_ours(sys._getframe(2)):
            shorten(error)


def end(error: BaseException) -> None:
    """Shorten *error* where a call of the user ends, but not that of another function of ours.

    For an ``except`` that raises it again, in methods that are called so often that a function
    around them would be felt.
    """
    if not _is_ours(sys._getframe(2)):
        shorten(error)


def shorten(error: BaseException) -> None:
    """Leave our frames out of the traceback of *error*, and of what led to it."""
    one: BaseException | None = error
    is_meant = False
    for _ in range(_MOST_CAUSES):
        if one is None:
            break
        is_meant = is_meant or _is_meant(one)
        if one.__traceback__ is not None:
            one.__traceback__ = _beyond_ours(one.__traceback__, is_meant)
        one = one.__cause__ or one.__context__


def _is_meant(error: BaseException) -> bool:
    """Tell whether *error* was raised on purpose, or says that a call was wrong."""
    frames = list(_entries(error.__traceback__))
    if not frames or isinstance(error, _MEANT):
        return True
    is_short = len(frames) <= _BINDING_FRAMES and type(error) is TypeError
    if is_short and _WRONG_CALL.search(str(error)):
        return True
    last = frames[-1]
    return last.tb_frame.f_code.co_code[last.tb_lasti] == _RAISE


def _beyond_ours(whole: TracebackType, is_meant: bool) -> TracebackType | None:
    """Return the traceback from the first frame on that is neither ours nor of our tools."""
    for one in _entries(whole):
        if not _is_ours(one.tb_frame):
            return one
    return None if is_meant else whole


def _entries(traceback: TracebackType | None) -> Iterator[TracebackType]:
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next


def _is_ours(frame: FrameType) -> bool:
    filename = frame.f_code.co_filename
    if filename.startswith((_OURS, "<frozen ")):
        return True
    if _PACKAGES in filename:
        return any(tool in filename for tool in _TOOLS)
    if filename == "<string>":  # what dataclasses make of ours
        return str(frame.f_globals.get("__name__")).startswith(f"{__package__}.")
    return filename.startswith(_STANDARD)
