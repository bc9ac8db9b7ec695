"""Objects that pickle takes by a name, or not at all for the weak tables, locks, caches in them.

What they are for their user can be said without these, and they are made anew on arrival:
generic functions with their table but without its cache, properties that cache with a lock of
their own, weak collections of what is alive. Functions for pickles are in `rebuild`.
"""

from __future__ import annotations

import functools
import types
import typing
import weakref
from collections.abc import Callable
from typing import Any, Final

from cloudpickle.cloudpickle import _get_or_create_tracker_id

from hippodrome.serialize import rebuild

Reduced = tuple[Any, ...]

_DISPATCHING: Final = functools.singledispatch(lambda _: None).__code__  # type: ignore[attr-defined]
_MADE_WITH_IT: Final = frozenset({"register", "dispatch", "registry", "_clear_cache"})
_COPIED: Final = ("__module__", "__name__", "__qualname__", "__doc__")
_VARIANCE: Final = ("covariant", "contravariant")
_ALIAS: Final[Any] = getattr(typing, "TypeAliasType", None)  # since Python 3.12


def is_dispatching(function: types.FunctionType) -> bool:
    """Return whether `functools.singledispatch` made this function."""
    return function.__code__ is _DISPATCHING


def reduce_dispatching(function: Any) -> Reduced:
    """Return how a generic function is made again: itself first, as what it calls may refer to it.

    ``function`` is a function, whose attributes mypy does not know.
    """
    state = {name: getattr(function, name) for name in _COPIED}
    own = {name: value for name, value in vars(function).items() if name not in _MADE_WITH_IT}
    parts = (dict(function.registry), state, own)
    return rebuild.dispatching, (_title(function),), parts, None, None, rebuild.set_dispatching


def _title(function: types.FunctionType) -> str:
    """Return what errors of a generic function call it."""
    cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
    title = cells["funcname"].cell_contents if "funcname" in cells else function.__name__
    return str(title)


def reduce_instance(obj: Any) -> Any:
    """Return how an instance of a class of ``__main__`` travels; NotImplemented if as any.

    It may say that it is found under a name, as sentinels do.
    """
    kind: Any = type(obj)
    if kind.__reduce__ is object.__reduce__ and kind.__reduce_ex__ is object.__reduce_ex__:
        return NotImplemented
    reduced = obj.__reduce_ex__(5)
    if not isinstance(reduced, str):
        return reduced
    made = rebuild.singleton, (kind, "__main__", str(reduced))
    state = object.__getstate__(obj)
    return made if state is None else (*made, state)


def _reduce_lru_cache(cached: Any) -> Reduced:
    parameters = cached.cache_parameters()
    return rebuild.caching, (cached.__wrapped__, parameters["maxsize"], parameters["typed"])


def _reduce_cached_property(found: Any) -> Reduced:
    state = {name: value for name, value in vars(found).items() if name not in ("func", "lock")}
    return functools.cached_property, (found.func,), state


def _reduce_weak_set(found: weakref.WeakSet[Any]) -> Reduced:
    return weakref.WeakSet, (), list(found), None, None, rebuild.update


def _reduce_weak_mapping(found: Any) -> Reduced:
    return type(found), (), list(found.items()), None, None, rebuild.update


def _reduce_new_type(found: Any) -> Reduced:
    parts = (found.__module__, found.__qualname__, found.__supertype__)
    return rebuild.new_type, (*parts, _get_or_create_tracker_id(found))


def _reduce_type_variable(found: Any) -> Reduced:
    names = _VARIANCE if found.__constraints__ else ("bound", *_VARIANCE)
    return _type_variable(found, names, found.__constraints__)


def _reduce_parameters(found: Any) -> Reduced:
    return _type_variable(found, ("bound", *_VARIANCE))


def _reduce_type_variables(found: Any) -> Reduced:
    return _type_variable(found, ())


def _type_variable(found: Any, names: tuple[str, ...], constraints: Reduced = ()) -> Reduced:
    keywords = {name: getattr(found, f"__{name}__") for name in names}
    keywords = {name: value for name, value in keywords.items() if value}
    if getattr(found, "has_default", bool)():  # since Python 3.13
        keywords["default"] = found.__default__
    parts = (type(found), found.__module__, found.__name__, constraints, keywords)
    return rebuild.type_variable, (*parts, _get_or_create_tracker_id(found))


def _reduce_alias(found: Any) -> Reduced:
    if found.__type_params__:
        parts = (found.__name__, found.__module__, found.__value__, found.__type_params__)
        return rebuild.generic_alias, parts
    value: list[Any] = []  # arrives later than the alias, which it may contain
    state = (value, found.__value__)
    names = (found.__name__, found.__module__)
    return rebuild.new_alias, (*names, value), state, None, None, rebuild.set_alias


_REDUCERS: Final[dict[type, Callable[[Any], Reduced]]] = {
    functools._lru_cache_wrapper: _reduce_lru_cache,
    functools.cached_property: _reduce_cached_property,
    typing.NewType: _reduce_new_type,
    typing.TypeVar: _reduce_type_variable,
    typing.ParamSpec: _reduce_parameters,
    typing.TypeVarTuple: _reduce_type_variables,
    weakref.WeakSet: _reduce_weak_set,
    weakref.WeakKeyDictionary: _reduce_weak_mapping,
    weakref.WeakValueDictionary: _reduce_weak_mapping,
    **({_ALIAS: _reduce_alias} if _ALIAS else {}),
}
reducer_of: Final = _REDUCERS.get  # by exact type; for those which are not found by a name


def with_members(
    cls: Any, args: tuple[Any, ...], state: tuple[Any, ...]
) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Return what makes an enumeration, with all names and attributes that its members have.

    Args:
        cls: the enumeration.
        args: those of cloudpickle's maker of skeletons; the fourth has values by name.
        state: what cloudpickle sets afterwards.
    """
    names = cls._member_map_
    args = *args[:3], {name: member._value_ for name, member in names.items()}, *args[4:]
    others = {name: value for name, value in state[0].items() if name not in names}
    attributes = {member._name_: rebuild.own_attributes(member) for member in names.values()}
    return args, (others, state[1], attributes)
