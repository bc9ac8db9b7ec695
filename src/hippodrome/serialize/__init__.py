"""Objects to buffers and back.

Everything public is loaded when it is first asked for: an engine that is starting up should not
pay for what only a client needs.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hippodrome.serialize.dependents import depend, dependent, require
    from hippodrome.serialize.failures import describe_exception, restore_error
    from hippodrome.serialize.functionpickler import FunctionPickler
    from hippodrome.serialize.functions import Function, interactive, load_function
    from hippodrome.serialize.namespaces import (
        calling,
        current_namespace,
        set_namespace,
        unpickling_in,
    )
    from hippodrome.serialize.pickling import Pickled, dumps, dumps_call, loads, pack
    from hippodrome.serialize.reference import Late, Reference

__all__ = [
    "Function",
    "FunctionPickler",
    "Late",
    "Pickled",
    "Reference",
    "calling",
    "current_namespace",
    "depend",
    "dependent",
    "describe_exception",
    "dumps",
    "dumps_call",
    "interactive",
    "load_function",
    "loads",
    "pack",
    "require",
    "restore_error",
    "set_namespace",
    "unpickling_in",
]

_HOMES = {
    "Function": "functions",
    "FunctionPickler": "functionpickler",
    "Late": "reference",
    "Pickled": "pickling",
    "Reference": "reference",
    "calling": "namespaces",
    "current_namespace": "namespaces",
    "depend": "dependents",
    "dependent": "dependents",
    "describe_exception": "failures",
    "dumps": "pickling",
    "dumps_call": "pickling",
    "interactive": "functions",
    "load_function": "functions",
    "loads": "pickling",
    "pack": "pickling",
    "require": "dependents",
    "restore_error": "failures",
    "set_namespace": "namespaces",
    "unpickling_in": "namespaces",
}


def __getattr__(name: str) -> Any:  # whatever the submodule holds under that name
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    value = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value  # the next access does not come here
    return value
