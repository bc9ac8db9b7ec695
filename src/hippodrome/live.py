"""Objects that belong to the program that made them: clients, views, results, clusters.

They hold connections and threads, and cannot leave. But much that does travel holds one: a toolbox
whose `map` is a view's, an object that submits its own methods. Such things are not to blame, and
most of the time the task does not need that part. So a stand-in takes its place: it can be kept,
passed on and sent back, and says so when it is used. Back in the program it is the object again.

Only hippodrome's own pickler makes stand-ins. Plain `pickle` refuses, and `copy` returns the
object itself: there is no second connection in it.
"""

from __future__ import annotations

import functools
import itertools
import types
import weakref
from typing import Any, Final, NoReturn, Self

from hippodrome.errors import LeftBehindError

_KEY: Final = "_hippodrome_key"
_HIDDEN: Final = ("__", "_repr_", "_ipython_")  # what others ask for that only look
_counter: Final = itertools.count(1)
_here: Final[weakref.WeakValueDictionary[str, Live]] = weakref.WeakValueDictionary()


class Live:
    """A mixin for what cannot leave its process."""

    __slots__ = ()

    def _instead(self) -> str:
        """Return what to do where it is missed."""
        return "use it there"

    def __reduce__(self) -> Any:
        raise TypeError(f"{named(type(self))} belongs to its process: make one where you need it")

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: Any) -> Self:
        return self


def is_live(kind: type) -> bool:
    """Return whether objects of *kind* stay, unless their class says how they travel."""
    return (
        issubclass(kind, Live)
        and kind.__reduce__ is Live.__reduce__
        and kind.__reduce_ex__ is object.__reduce_ex__
    )


def owner(f: Any) -> Live | None:
    """Return whose method *f* is, if that is a live object."""
    while type(f) is functools.partial:
        f = f.func
    if type(f) is types.MethodType:
        f = f.__self__
    return f if is_live(type(f)) else None


def named(kind: type | str) -> str:
    """Return what an object of *kind* is called in a sentence."""
    name = kind if isinstance(kind, str) else kind.__name__
    return f"{'an' if name[:1] in 'AEIOU' else 'a'} {name}"


def stays(obj: Live) -> str:
    """Return the second half of a sentence about *obj*."""
    return f"{named(type(obj))}, which stays in this program: {obj._instead()}"


def reduce(obj: Live) -> tuple[Any, ...]:
    """Return how a stand-in for *obj* is made."""
    return arrived, (type(obj).__name__, obj._instead(), _key_of(obj))


def _key_of(obj: Any) -> str:
    """Return what names *obj* among all live objects of all programs."""
    key: str = vars(obj).setdefault(_KEY, f"{_program()}-{next(_counter)}")
    _here[key] = obj
    return key


@functools.cache
def _program() -> str:
    import uuid  # which engines do without

    return uuid.uuid4().hex[:16]


# What pickles call: names and signatures are part of them.


def arrived(kind: str, instead: str, key: str) -> Any:
    """Return the live object if it is of this program, else a stand-in."""
    found = _here.get(key)
    return StandIn(kind, instead, key) if found is None else found


def arrived_method(obj: Any, name: str) -> Any:
    """Return a method of a live object or of its stand-in."""
    return StandInMethod(obj, name) if type(obj) is StandIn else getattr(obj, name)


class StandIn:
    """Stands for a live object of another process.

    Args:
        kind: the name of the object's class.
        instead: what to do where it is missed.
        key: names the object.
    """

    __slots__ = ("_instead", "_key", "_kind")

    def __init__(self, kind: str, instead: str, key: str) -> None:
        for name, value in (("_kind", kind), ("_instead", instead), ("_key", key)):
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        return f"<{self._kind}, which stayed in the program that made it>"

    def __reduce__(self) -> Any:
        return arrived, (self._kind, self._instead, self._key)

    def __getattr__(self, name: str) -> Any:
        if name.startswith(_HIDDEN):
            raise AttributeError(f"{self!r} has no attribute {name!r}")
        raise self._error(name)

    def __bool__(self) -> bool:
        return True  # as those that it stands for are

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise self._error(name)

    def _error(self, name: str = "") -> LeftBehindError:
        what = "" if name.startswith("_") or not name else f", nor its `{name}`"
        return LeftBehindError(
            f"{named(self._kind)} cannot be used here{what}: it stayed in the program that made "
            f"it; {self._instead}"
        )


class StandInMethod:
    """Stands for a method of a live object of another process.

    Args:
        obj: the stand-in of the object.
        name: the name of the method.
    """

    __slots__ = ("__name__", "_obj")

    def __init__(self, obj: StandIn, name: str) -> None:
        self._obj = obj
        self.__name__: str = name

    def __repr__(self) -> str:
        return f"<{self.__name__} of {self._obj!r}>"

    def __reduce__(self) -> Any:
        return arrived_method, (self._obj, self.__name__)

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise self._obj._error(self.__name__)


def _refusing(name: str) -> Any:
    def refuse(self: StandIn, *args: Any, **kwargs: Any) -> NoReturn:
        raise self._error()

    refuse.__name__ = name
    return refuse


for _name in (
    "__call__", "__len__", "__iter__", "__next__", "__getitem__", "__setitem__", "__delitem__",
    "__contains__", "__enter__", "__aenter__", "__await__", "__aiter__",
):  # fmt: skip
    setattr(StandIn, _name, _refusing(_name))
del _name


def method(f: Any) -> tuple[Any, ...]:
    """Return how a method of a live object, or its stand-in, is made."""
    return arrived_method, (f.__self__, f.__name__)
