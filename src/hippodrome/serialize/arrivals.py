"""Objects that arrived by value are found again under the name that they have.

`pickle` writes a class or a function as a module and a name, and refuses where these do not lead
back to the very object. For what a client defined in ``__main__`` they would not, as it is never
written into the user's namespace. So the module that holds that namespace answers for it: first
with what the function that runs has brought along, then with whatever of that name came last. In
the place of modules that are not there at all, and whose content came by value, `ArrivedModule`
answers.

Nothing is kept alive for this.
"""

from __future__ import annotations

import functools
import itertools
import sys
import types
import weakref
from collections.abc import Sequence
from contextlib import suppress
from importlib.machinery import ModuleSpec
from typing import Any, Final  # Any: users' objects

from hippodrome.serialize.namespaces import ABSENT, brought

_Table = weakref.WeakValueDictionary[tuple[str, str], Any]  # by module and qualified name

_latest: Final[_Table] = weakref.WeakValueDictionary()
_nested: Final[_Table] = weakref.WeakValueDictionary()
_KEPT_PATHS: Final = 256  # pickle wants to find the same again
_counter: Final = itertools.count(1)
_counted: int = 0


def note(obj: Any) -> None:
    """Remember for as long as it lives that *obj*, which has names, came by value."""
    note_as(obj, obj.__module__, obj.__qualname__)


def note_as(obj: object, module: object, name: object) -> None:
    """Remember *obj* under names that may be of any type."""
    global _counted
    _counted = next(_counter)
    if type(module) is str and type(name) is str and "<" not in name:
        with suppress(TypeError):  # not of a kind that can be referred to weakly
            _latest[module, name] = obj
            if "." in name:
                _nested[module, name] = obj


def count() -> int:
    """Return a number that is another one when something has come meanwhile."""
    return _counted


class MainModule(types.ModuleType):
    """A ``__main__`` that also has, behind its variables, what came from those of clients."""

    def __getattr__(self, name: str) -> Any:
        if name[:2] != "__":  # of these a module has its own, or none
            found = brought(self.__dict__, name)
            if found is ABSENT:
                found = _find("__main__", name)
            if found is not ABSENT:
                return found
        raise AttributeError(f"module '__main__' has no attribute {name!r}", name=name, obj=self)


class ArrivedModule(types.ModuleType):
    """Stands for a module that is not here, while things that came by value say they are of it."""

    def __getattr__(self, name: str) -> Any:
        found = ABSENT if name[:2] == "__" else _find(self.__name__, name)
        if found is not ABSENT:
            return found
        text = (
            f"{name!r} of module {self.__name__!r} is not here: the module was not sent, only parts"
        )
        raise AttributeError(text, name=name, obj=self)


class ArrivedFinder:
    """Finds modules of which parts came by value; to be asked after all others."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: types.ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return how to make the module that stands for one; None if nothing of it came."""
        inside = f"{name}."
        modules = {ref.key[0] for ref in _latest.valuerefs() if ref() is not None}
        if name == "__main__" or not any(f"{one}.".startswith(inside) for one in modules):
            return None
        return ModuleSpec(name, self, is_package=True)  # type: ignore[arg-type]  # a loader too

    def create_module(self, spec: ModuleSpec) -> types.ModuleType:
        return ArrivedModule(spec.name, "Parts of a module, which came by value.")

    def exec_module(self, module: types.ModuleType) -> None:
        """Do nothing: what is in the module is looked up when it is asked for."""


class _Path:
    """Stands for a class of which only a nested one came, or another one's nested one since."""

    def __init__(self, module: str, name: str) -> None:
        self._at = module, name
        self.__module__ = module

    def __reduce__(self) -> str:
        return self._at[1]  # protocols below 4 pickle the way to a nested class step by step

    def __getattr__(self, name: str) -> Any:
        module, path = self._at
        found = _find(module, f"{path}.{name}")
        if found is ABSENT:
            raise AttributeError(name)
        return found


@functools.lru_cache(_KEPT_PATHS)
def _path(module: str, name: str) -> _Path:
    return _Path(module, name)


def _find(module: str, name: str) -> Any:
    found = _latest.get((module, name), ABSENT)
    inside = f"{name}."
    for ref in _nested.valuerefs():
        (at, path), nested = ref.key, ref()
        if found is not ABSENT and not isinstance(nested, type):
            continue  # a class has functions in properties and class methods too
        if nested is not None and at == module and path.startswith(inside):
            rest = path.removeprefix(inside).split(".")
            if functools.reduce(_attribute, rest, found) is not nested:
                return _path(module, name)
    return found


def _attribute(owner: object, name: str) -> object:
    return getattr(owner, name, ABSENT)


def drop_stand_ins() -> None:
    """Let modules that came in part be looked for again."""
    for name, module in list(sys.modules.items()):
        if type(module) is ArrivedModule:
            del sys.modules[name]
