"""Errors that are both: a `RemoteError`, and of the type that was raised elsewhere.

``except ValueError`` around the call of a function works as well when the call was sent to an
engine, and whoever catches `RemoteError` still catches everything. The class of such an error is
made here, of both; no constructor of either runs.
"""

from __future__ import annotations

import types
from functools import lru_cache
from typing import Any, Final, cast  # Any: classes of users, which mypy would not let hash

from hippodrome.errors import IPythonError, RemoteError

PICKLED: Final = "_pickled_original"
_KEPT_CLASSES: Final = 64  # a class sent by value may be another one each time

# To raise one of these where a result is asked for would end a loop or generator without a word;
# what is ours says already what it is.
_NEVER: Final = (StopIteration, StopAsyncIteration, IPythonError)

# What users' classes define to have their way with more than their own instances.
_HOOKS: Final = ("__getattribute__", "__init_subclass__", "__mro_entries__")


def twofold(error: RemoteError, original: BaseException, pickled: bytes) -> RemoteError:
    """Return *error* as one that is also of the type of *original*; as it is where that cannot be.

    It has the attributes and `args` of the original, and the text of *error*.

    Args:
        error: what a client would raise otherwise.
        original: what was raised there.
        pickled: the original as it came, by which the error can travel on.

    Raises:
        BaseException: whatever the user's class raises.
    """
    ours: Any = type(error)
    kind: Any = type(original)
    cls = _class(ours, kind)
    if cls is None:
        return error
    both = _new(cls, original)
    _copy_fields(original, both)
    vars(both).update({**vars(original), **vars(error), PICKLED: pickled})
    set_of_exception(both, "args", original.args)
    return both


def set_of_exception(error: BaseException, name: str, value: object) -> None:
    """Set *name*, which every exception has; its class may keep others from setting anything."""
    field: Any = vars(BaseException)[name]
    field.__set__(error, value)


@lru_cache(maxsize=_KEPT_CLASSES)
def _class(remote: Any, kind: Any) -> type[RemoteError] | None:
    """Return the class of both; None where there cannot be one, or it could surprise."""
    if type(kind) is not type or not issubclass(kind, Exception) or issubclass(kind, _NEVER):
        return None
    for base in kind.__mro__:
        if not _is_builtin(base) and any(hook in vars(base) for hook in _HOOKS):
            return None
    members = {
        "__module__": remote.__module__,
        "__qualname__": remote.__qualname__,
        "__doc__": remote.__doc__,
        "__reduce__": _reduce,
    }
    try:
        return cast("type[RemoteError]", type(remote.__name__, (remote, kind), members))
    except TypeError:  # their instances are laid out in different ways
        return None


def _reduce(self: RemoteError) -> tuple[Any, ...]:
    from hippodrome.protocol.messages import Failure
    from hippodrome.serialize.failures import restore_error

    pickled = vars(self)[PICKLED]
    failure = Failure(self.ename, self.evalue, self.traceback, pickled)
    return restore_error, (failure, self.engine_info)


def _new(cls: type[RemoteError], original: BaseException) -> RemoteError:
    """Return an instance for which no constructor of a user has run."""
    make: Any = next(base for base in cls.__mro__ if _is_builtin(base))
    needed: tuple[Any, ...] = ()
    if isinstance(original, BaseExceptionGroup):
        needed = original.message, original.exceptions
    elif make.__basicsize__ == BaseException.__basicsize__:
        make = BaseException  # MemoryError's own refuses
    return cast("RemoteError", make.__new__(cls, *needed))


def _copy_fields(original: BaseException, both: RemoteError) -> None:
    """Copy what is kept outside of ``__dict__``: `errno` of an OSError, slots."""
    for base in type(original).__mro__:
        if base in (BaseException, object):
            continue
        for name, field in vars(base).items():
            if isinstance(field, (types.MemberDescriptorType, types.GetSetDescriptorType)):
                _copy_field(name, field, original, both)


def _copy_field(name: str, field: Any, original: BaseException, both: RemoteError) -> None:
    if name in ("__dict__", "__weakref__"):
        return
    try:
        field.__set__(both, field.__get__(original))
    except (AttributeError, TypeError):
        return  # never set, or only for reading


def _is_builtin(base: type) -> bool:
    return base.__module__ == "builtins"
