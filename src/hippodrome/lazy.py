"""For modules that offer names which live elsewhere, and load them when they are first used."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping
from importlib import import_module
from typing import Any


def loader(
    module: str, homes: Mapping[str, str], submodules: Collection[str] = ()
) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of a module.

    Args:
        module: its name.
        homes: the module in which each name is defined.
        submodules: modules of this package that programs use without importing them.
    """

    def load(name: str) -> Any:  # Any: whatever the name stands for
        if name in submodules:
            return import_module(f"{module}.{name}")
        if name not in homes:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        value = getattr(import_module(homes[name]), name)
        setattr(sys.modules[module], name, value)  # so that this function is not asked again
        return value

    return load


def lister(module: str, *also: str) -> Callable[[], list[str]]:
    """Return the ``__dir__`` of a module, which leaves out what that has imported for itself.

    Args:
        module: its name; its ``__all__`` is shown.
        *also: other names to show.
    """

    def names() -> list[str]:
        found = vars(sys.modules[module])
        hidden = (name for name in found if name.startswith("_"))
        return sorted({*hidden, *also, *found.get("__all__", ())})

    return names
