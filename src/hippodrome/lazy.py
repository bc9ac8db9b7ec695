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
