"""Whether a class is still made of the very things of which it was made.

For what is expensive to find out about a class, and asked for each task. All that may refer to the
class is referred to weakly. A class with attributes that can change in place, but for those that
`dataclasses`, `enum` and `collections` keep for themselves, is never said to be the same.
"""

from __future__ import annotations

import abc
import enum
import operator
import types
import weakref
from collections.abc import Callable
from typing import Any, Final

Still = Callable[[Any], bool]  # whether what is there now is what there was

# Past what metaclasses say.
vars_of: Final = type.__dict__["__dict__"].__get__
bases_of: Final = type.__dict__["__bases__"].__get__
module_of: Final = type.__dict__["__module__"].__get__

# What classes get besides their definition: where it stands, caches.
BESIDES: Final = frozenset(
    {
        "__module__",
        "__dict__",
        "__weakref__",
        "__firstlineno__",
        "__static_attributes__",
        "__slotnames__",
        "__annotations_cache__",
        "_abc_impl",
        "_value2member_map_",
    }
)
_ATOMS: Final = frozenset({int, float, complex, str, bytes, bool, type(None), type(...)})
_METACLASSES: Final = frozenset({type, abc.ABCMeta, enum.EnumType})
_DESCRIPTORS: Final = frozenset(
    {"getset_descriptor", "member_descriptor", "_tuplegetter", "_abc_data"}
)
# What is made for the class, and nobody changes in place.
_MADE: Final = frozenset(
    {
        "__annotations__",
        "__orig_bases__",
        "__parameters__",
        "__dataclass_fields__",
        "__dataclass_params__",
        "_field_defaults",
    }
)
_SENTINELS: Final = frozenset(
    {("dataclasses", "_HAS_DEFAULT_FACTORY_CLASS"), ("dataclasses", "_MISSING_TYPE")}
)
_VALUES: Final = frozenset({"datetime", "decimal", "fractions", "pathlib", "re", "uuid"})


class _UnsteadyError(Exception):
    """Something may change, and nobody would see it."""


def watch(cls: type) -> Callable[[], bool] | None:
    """Return what tells whether *cls* is what it is now; None if nothing can."""
    try:
        return _watch(cls)
    except Exception:  # also of an empty cell, and of what else attributes may be
        return None


def _watch(cls: type) -> Callable[[], bool]:
    kind = type(cls)
    if kind not in _METACLASSES:
        raise _UnsteadyError
    content, bases = dict(vars_of(cls)), bases_of(cls)
    names = tuple(content)
    stills = [_of_attribute(name, value, cls) for name, value in content.items()]
    base_ids = [id(base) for base in bases]
    watched = [_watch(base) for base in bases if module_of(base) == "__main__"]
    ref = weakref.ref(cls)

    def holds() -> bool:
        there: Any = ref()
        now = vars_of(there).copy()  # which threads may change
        if tuple(now) != names or [id(base) for base in bases_of(there)] != base_ids:
            return False
        return all(still(value) for still, value in zip(stills, now.values(), strict=True)) and all(
            base_holds() for base_holds in watched
        )

    return holds


def _of_attribute(name: str, value: Any, cls: type) -> Still:
    if name in BESIDES:
        return lambda now: True
    kind = type(value)
    is_enum = type(cls) is enum.EnumType
    if name in _MADE or kind.__name__ in _DESCRIPTORS or (is_enum and _is_of_enum(name, kind, cls)):
        number = id(value)
        return lambda now: id(now) == number
    return _of_value(value, cls)


def _is_of_enum(name: str, kind: type, cls: type) -> bool:
    return kind is cls or kind is enum.property or (name[0] == name[-1] == "_" and name[1] != "_")


def _of_value(value: Any, cls: type) -> Still:
    kind = type(value)
    if kind is types.FunctionType:
        return _of_function(value, cls)
    if kind is classmethod or kind is staticmethod:
        inner = _of_value(value.__func__, cls)
        return lambda now: type(now) is kind and inner(now.__func__)
    if kind is property:
        parts = [_of_value(part, cls) for part in _parts(value)]
        return lambda now: (
            type(now) is property
            and all(still(part) for still, part in zip(parts, _parts(now), strict=True))
        )
    if value is cls:
        number = id(value)
        return lambda now: id(now) == number
    if not _is_constant(value):
        raise _UnsteadyError
    return lambda now: now is value


def _parts(value: property) -> tuple[object, ...]:
    return value.fget, value.fset, value.fdel, value.__doc__


def _of_function(function: Any, cls: type) -> Still:
    code, defaults, more = function.__code__, function.__defaults__, function.__kwdefaults__
    cells = () if _is_generated(function, cls) else function.__closure__ or ()
    contents = [_of_value(cell.cell_contents, cls) for cell in cells]
    attributes = {name: _of_value(one, cls) for name, one in function.__dict__.items()}
    names, values = tuple(more or ()), tuple((more or {}).values())
    if not _is_constant((defaults, values)):
        raise _UnsteadyError
    ref: Any = weakref.ref(function)

    def still(now: Any) -> bool:
        return (
            now is ref()
            and now.__code__ is code
            and now.__defaults__ is defaults
            and (not now.__kwdefaults__ if more is None else _same(now, names, values))
            and now.__dict__.keys() == attributes.keys()
            and all(inner(now.__dict__.get(name)) for name, inner in attributes.items())
            and (not contents or _cells_hold(now, contents))
        )

    return still


def _is_generated(function: Any, cls: type) -> bool:
    """Return whether `dataclasses` has made a method, whose cells nobody changes."""
    if function.__globals__.get("__name__") == "dataclasses":
        return True
    name, file = function.__name__, function.__code__.co_filename
    return name[:2] == "__" and file == "<string>" and "__dataclass_fields__" in vars_of(cls)


def _same(function: Any, names: tuple[str, ...], values: tuple[object, ...]) -> bool:
    now = function.__kwdefaults__ or {}
    return tuple(now) == names and all(map(operator.is_, now.values(), values))


def _cells_hold(function: Any, contents: list[Still]) -> bool:
    try:
        return all(
            still(cell.cell_contents)
            for still, cell in zip(contents, function.__closure__, strict=True)
        )
    except ValueError:  # one has been emptied
        return False


def _is_constant(value: Any) -> bool:
    """Return whether *value* cannot change, nor refer to a class of the user."""
    kind = type(value)
    if kind in _ATOMS:
        return True
    if kind is tuple or kind is frozenset:
        return all(map(_is_constant, value))
    if kind is types.BuiltinFunctionType:
        owner = value.__self__
        return owner is None or isinstance(owner, types.ModuleType) or _is_constant(owner)
    if kind is types.MethodDescriptorType or kind is types.WrapperDescriptorType:
        return True
    if kind is type:
        return module_of(value) in ("builtins", "typing")
    return module_of(kind) in _VALUES or (module_of(kind), kind.__name__) in _SENTINELS
