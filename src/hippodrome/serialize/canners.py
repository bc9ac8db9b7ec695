"""How users have objects of their types travel: what becomes of them before, and on arrival.

Both maps are empty unless somebody adds to them, and then nothing here costs anything. Each
process has its own; on engines they are filled by running what fills them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any, Final

Kind = type | str
Canner = Callable[[Any], Any]
Uncanner = Callable[[Any, dict[str, Any] | None], Any]

# What makes something else of an object before it is sent, by its exact type or the type's name:
# ``can_map[Point] = can_point`` sends ``can_point(point)`` wherever a Point is found, at any depth
# of arguments, results and variables. Where nobody knows better it arrives as that. Functions and
# classes that can be imported travel by their names; of these nobody is asked.
can_map: dict[Kind, Canner] = {}

# What makes of it what it was, by its type, a base of it, or the name of either:
# ``uncan_map[CannedPoint] = uncan_point`` calls ``uncan_point(canned, namespace)`` on arrival; the
# namespace is that of the engine's user, None where there is none.
uncan_map: dict[Kind, Uncanner] = {}

# The pickler takes objects of exactly these types without asking anybody.
NEVER_ASKED: Final = frozenset(
    {
        type(None), bool, int, float, complex, str, bytes, bytearray,
        tuple, list, dict, set, frozenset,
    }
)  # fmt: skip


def canners() -> Mapping[Any, Canner]:
    """Return what `can_map` holds, by type.

    Raises:
        TypeError: it holds a type whose objects travel as they are, always.
    """
    _resolve(can_map)
    for kind in can_map.keys() & NEVER_ASKED:
        raise TypeError(f"can_map has {kind!r}, but objects of that type are always sent as such")
    return can_map


def uncanned(obj: Any, namespace: dict[str, Any] | None) -> Any:
    """Return what *obj* stands for; itself if `uncan_map` says nothing of it."""
    if uncan_map:
        _resolve(uncan_map)
        for kind in type(obj).__mro__:
            if kind in uncan_map:
                return uncan_map[kind](obj, namespace)
    return obj


def _resolve(found: dict[Kind, Any]) -> None:
    """Put types in the place of names, as far as their packages are imported by now.

    Where a package is not, there are no objects of its types either.
    """
    names = [kind for kind in list(found) if isinstance(kind, str)]
    for name in names:
        if name.partition(".")[0] in sys.modules:
            _resolve_one(found, name)


def _resolve_one(found: dict[Kind, Any], name: str) -> None:
    entry = found.get(name)
    if entry is None:
        return  # another thread was faster
    import pkgutil  # hardly anybody gets here
    import warnings

    try:
        kind = pkgutil.resolve_name(name)
    except (AttributeError, ImportError, ValueError) as error:
        warnings.warn(f"nothing is done for {name}: {error}", RuntimeWarning, stacklevel=2)
    else:
        found.setdefault(kind, entry)  # and only then, as others may look now
    found.pop(name, None)
