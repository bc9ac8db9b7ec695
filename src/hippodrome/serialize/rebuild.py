"""Pickles made by `byvalue` call these functions when they are loaded.

Rules: the names and signatures here are part of the pickles, so a change is a change of the
protocol; and nothing here needs cloudpickle, so that an engine starts without it.
"""

from __future__ import annotations

import functools
import marshal
import pickle
import sys
import types
import typing
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from hippodrome.errors import VersionMismatch
from hippodrome.serialize.arrivals import note, note_as
from hippodrome.serialize.canners import uncanned as uncan
from hippodrome.serialize.namespaces import (
    BUILTINS,
    Namespace,
    NamespaceBuiltins,
    current_namespace,
    home,
    new_captures,
    new_function,
    note_captures,
)

__all__ = ["new_captures"]

VERSION: Final = sys.version_info[:2]
Code = types.CodeType | tuple[tuple[int, int], bytes]
Cells = tuple[types.CellType, ...] | None

_OF_ENUM: Final = frozenset({"_value_", "_name_", "__objclass__", "_sort_order_", "_inverted_"})

# Classes that other processes defined, each with the names that it has by being a class.
_received: weakref.WeakKeyDictionary[type, frozenset[str]] = weakref.WeakKeyDictionary()


def main_function(
    code: Code, captures: Namespace | None = None, cells: Cells = None
) -> types.FunctionType:
    """Return a function of ``__main__``, which belongs to the namespace here."""
    function = new_function(_load_code(code), home(), captures, cells)
    function.__module__ = "__main__"
    note(function)
    return function


def module_function(
    code: Code, namespace: Namespace, is_open: bool, cells: Cells = None
) -> types.FunctionType:
    """Return a function that brings its globals along.

    Args:
        code: its code.
        namespace: its globals, shared by all functions of that module in one pickle.
        is_open: it uses names that were not defined where it comes from.
        cells: its closure.
    """
    user = current_namespace()
    if is_open and user is not None:
        namespace["__builtins__"] = NamespaceBuiltins(user)
    else:
        namespace.setdefault("__builtins__", BUILTINS)
    function = types.FunctionType(_load_code(code), namespace, None, None, cells)
    note(function)
    return function


def set_function_state(function: Any, state: dict[str, Any]) -> None:
    """Give a new function what could refer back to it: captures, cells, defaults, attributes.

    ``function`` is a function; typeshed does not know all that one has.
    """
    for name, value in state.items():
        match name:
            case "captures":
                function.__builtins__.update(value)
                if current_namespace() is not None:
                    note_captures(function, value)
            case "globals":
                function.__globals__.update(value)
            case "cells":
                for cell, content in zip(function.__closure__ or (), value, strict=True):
                    if content:
                        cell.cell_contents = content[0]
            case "__dict__":
                function.__dict__.update(value)
            case "imports":
                pass  # importing them was all
            case _:
                setattr(function, name, value)
    if "__qualname__" in state or "__module__" in state:  # a wrapper, known as what it wraps
        note(function)


def new_cell() -> types.CellType:
    """Return an empty cell."""
    return types.CellType()


def new_class(make: Any, *args: Any) -> type:
    """Return the class that is known by its tracker id here, or a skeleton to be filled.

    Args:
        make: cloudpickle's maker of skeletons.
        args: its arguments; the first tuple has the bases, the last but one is the tracker id.
    """
    from cloudpickle import cloudpickle

    cls: type | None = cloudpickle._DYNAMIC_CLASS_TRACKER_BY_ID.get(args[-2])
    if cls is None:  # not else: metaclasses and bases would hear of a class that nobody gets
        with _silent(next(one for one in args if isinstance(one, tuple))):
            cls = make(*args)
        _received[cls] = frozenset(vars(cls))
    note(cls)
    return cls


def own_class(mark: Any, make: Any, *args: Any) -> type:
    """Return the class that this process itself has defined in the same way, or a new one.

    Args:
        mark: of `definitions`.
        make: as for `new_class`.
        args: likewise.
    """
    from cloudpickle import cloudpickle

    from hippodrome.serialize import definitions

    known = cloudpickle._DYNAMIC_CLASS_TRACKER_BY_ID.get(args[-2])
    if known is None or known in _received:  # else it has come home
        namespace = home()
        found: Any = definitions.find(namespace, mark[0])
        is_own = issubclass(type(found), type) and found not in _received
        if is_own and definitions.is_same(found, mark, namespace):
            own: type = found
            return own
    return new_class(make, *args)


@contextmanager
def _silent(bases: tuple[Any, ...]) -> Iterator[None]:
    """Let no ``__init_subclass__`` that came by value run: what it did where it ran came too."""
    known = {base for one in types.resolve_bases(bases) for base in one.__mro__}
    owners = {
        base: vars(base)["__init_subclass__"]
        for base in known
        if base in _received and "__init_subclass__" in vars(base)
    }
    for owner in owners:
        type.__setattr__(owner, "__init_subclass__", classmethod(_passing_on(owner)))
    try:
        yield
    finally:
        for owner, method in owners.items():
            type.__setattr__(owner, "__init_subclass__", method)


def _passing_on(owner: Any) -> Callable[..., None]:
    def init_subclass(cls: type, **_: object) -> None:
        super(owner, cls).__init_subclass__()

    return init_subclass


def set_class_state(cls: type, state: Any) -> None:
    """Make a class what it was when it was sent, unless this process has defined it.

    The same class may have arrived before, with other attributes, and tasks may have changed it.
    """
    first_names = _received.get(cls)
    if first_names is None:
        return
    from cloudpickle import cloudpickle

    for name in vars(cls).keys() - first_names - state[0].keys():
        with suppress(AttributeError, TypeError):  # a metaclass may have its own idea of it
            type.__delattr__(cls, name)
    cloudpickle._class_setstate(cls, state[:2])
    for name, attributes in state[2].items() if len(state) > 2 else ():  # of an enumeration
        _set_own_attributes(vars(cls)["_member_map_"][name], attributes)
    note(cls)  # again: a frozen dataclass with slots refers to another one of its name


def own_attributes(member: Any) -> dict[str, Any]:
    """Return what a member of an enumeration has beyond what `enum` gives it."""
    attributes: dict[str, Any] = getattr(member, "__dict__", {})
    return {name: value for name, value in attributes.items() if name not in _OF_ENUM}


def _set_own_attributes(member: Any, sent: dict[str, Any]) -> None:
    for name in own_attributes(member).keys() - sent.keys():
        del vars(member)[name]
    if sent:
        vars(member).update(sent)


def uncanned(payload: bytes, buffers: tuple[Any, ...]) -> Any:
    """Return what arrived for an object that was canned, uncanned if that is known here.

    Args:
        payload: the pickle of what stands for it.
        buffers: those of the pickle.
    """
    return uncan(pickle.loads(payload, buffers=buffers), current_namespace())


def caching(function: Any, maxsize: int | None, typed: bool) -> Any:
    """Return *function* with a cache of its own, which is empty yet."""
    return functools.lru_cache(maxsize, typed)(function)


def dispatching(title: str) -> Any:
    """Return a generic function that has no implementations yet.

    Args:
        title: what its errors call it.
    """

    def placeholder(_: object) -> None:
        raise NotImplementedError

    placeholder.__name__ = title
    return functools.singledispatch(placeholder)


def set_dispatching(
    function: Any, state: tuple[dict[type, Any], dict[str, Any], dict[str, Any]]
) -> None:
    """Give a generic function its implementations by class, its names, and its attributes."""
    implementations, names, attributes = state
    for cls, implementation in implementations.items():
        function.register(cls, implementation)
    for name, value in names.items():
        setattr(function, name, value)
    function.__dict__.pop("__wrapped__", None)
    function.__dict__.update(attributes)
    note(function)


def bare_error(cls: type[BaseException], args: tuple[Any, ...]) -> BaseException:
    """Return an error of a user's class, for which only what Python has built in was called."""
    builtin: Any = next(base for base in cls.__mro__ if base.__module__ == "builtins")
    made: BaseException = builtin.__new__(cls, *args)
    builtin.__init__(made, *args)
    return made


def update(collection: Any, content: Any) -> None:
    """Fill a weak collection that has been made empty."""
    collection.update(content)


def singleton(cls: type, module: str, name: str) -> Any:
    """Return the object that says that it is found under a name, or a new one for that name."""
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    if type(found) is cls:
        return found
    made: Any = object.__new__(cls)
    note_as(made, module, name)
    return made


def new_type(module: str, name: str, supertype: Any, tracker_id: str) -> Any:
    """Return what `typing.NewType` makes, or the one that is known by its tracker id here."""
    made = typing.NewType(name, supertype)  # type: ignore[misc]  # which wants it literally
    return _tracked(made, module, name, tracker_id)


def type_variable(
    kind: Any,
    module: str,
    name: str,
    constraints: tuple[Any, ...],
    keywords: dict[str, Any],
    tracker_id: str,
) -> Any:
    """Return a type variable, or the one that is known by its tracker id here."""
    return _tracked(kind(name, *constraints, **keywords), module, name, tracker_id)


def _tracked(made: Any, module: str, name: str, tracker_id: str) -> Any:
    from cloudpickle import cloudpickle

    made.__module__ = module
    known = cloudpickle._lookup_class_or_track(tracker_id, made)
    note_as(known, module, name)
    return known


def new_alias(name: str, module: str, value: list[Any]) -> Any:
    """Return the type alias whose value will be in *value*, in Python 3.12 or later."""
    namespace = {"__name__": module, "value": value}
    exec(f"type {name} = value[0]", namespace)  # noqa: S102 - a name of a type and nothing else
    alias = namespace[name]
    note_as(alias, module, name)
    return alias


def set_alias(alias: Any, state: tuple[list[Any], Any]) -> None:
    """Let a type alias have its value."""
    box, value = state
    box.append(value)


def generic_alias(name: str, module: str, value: Any, parameters: tuple[Any, ...]) -> Any:
    """Return a type alias with parameters, in Python 3.12 or later."""
    make: Any = typing.TypeAliasType  # type: ignore[attr-defined]  # which 3.11 does not have
    namespace = {"__name__": module, "make": make, "parts": (name, value), "types": parameters}
    alias = eval("make(*parts, type_params=types)", namespace)  # noqa: S307 - as the module is seen
    note_as(alias, module, name)
    return alias


class Tolerance:
    """How strict this process is.

    Attributes:
        takes_any_python: functions of another minor version are tried, which may end the process.
    """

    takes_any_python: bool = False


tolerance: Final = Tolerance()


def new_memoryview(buffer: Any, format_: str, shape: tuple[int, ...]) -> memoryview:
    """Return a view of *buffer* in its original format and shape."""
    view = memoryview(buffer)
    if format_ == "B" and len(shape) == 1:
        return view
    return view.cast("B").cast(format_, shape)  # type: ignore[call-overload,no-any-return]


def _load_code(code: Code) -> types.CodeType:
    if isinstance(code, types.CodeType):
        return code
    version, data = code
    is_other = tuple(version) != VERSION
    if is_other and not tolerance.takes_any_python:
        theirs, ours = (".".join(map(str, v)) for v in (version, VERSION))
        raise VersionMismatch(
            f"a function defined under Python {theirs} cannot run under Python {ours}; use the "
            "same minor version everywhere, put the function into an importable module, or risk it "
            "with ipengine --any-python"
        )
    try:
        loaded = marshal.loads(data)  # noqa: S302 - as trusted as the pickle around it
    except (ValueError, TypeError, EOFError) as error:
        if not is_other:
            raise
        raise VersionMismatch(
            f"a function of another Python cannot be read here: {error}"
        ) from None
    assert isinstance(loaded, types.CodeType)
    return loaded
