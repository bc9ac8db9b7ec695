"""Changes modules when they are imported, whoever imports them and whenever."""

from __future__ import annotations

import functools
import importlib.util
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any  # Any: loaders

Change = Callable[[ModuleType], None]


def change_on_import(changes: Mapping[str, Change]) -> None:
    """Have modules changed when they have just been imported, and those that have been, now.

    Args:
        changes: what changes a module, by the module's name; it is called once.
    """
    later = dict(changes)
    for name, change in changes.items():
        module = sys.modules.get(name)
        if module is not None:
            del later[name]
            change(module)
    sys.meta_path.insert(0, _ChangingFinder(later))


class _ChangingFinder:
    def __init__(self, changes: dict[str, Change]) -> None:
        self._changes = changes

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        change = self._changes.pop(name, None)
        if change is None:
            return None
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            loader: Any = spec.loader
            loader.exec_module = functools.partial(_execute, loader.exec_module, change)
        return spec


def _execute(execute: Change, change: Change, module: ModuleType) -> None:
    execute(module)
    change(module)
