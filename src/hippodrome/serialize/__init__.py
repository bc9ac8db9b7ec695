"""Objects to buffers and back.

Everything public is loaded when it is first asked for: an engine that is starting up should not
pay for what only a client needs.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hippodrome.serialize.canners import can_map, uncan_map
    from hippodrome.serialize.canning import (
        PrePickled,
        can,
        deserialize_object,
        pack_apply_message,
        serialize_object,
        uncan,
        unpack_apply_message,
        use_cloudpickle,
        use_dill,
        use_pickle,
    )
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
    "PrePickled",
    "Reference",
    "calling",
    "can",
    "can_map",
    "current_namespace",
    "depend",
    "dependent",
    "describe_exception",
    "deserialize_object",
    "dumps",
    "dumps_call",
    "interactive",
    "load_function",
    "loads",
    "pack",
    "pack_apply_message",
    "require",
    "restore_error",
    "serialize_object",
    "set_namespace",
    "uncan",
    "uncan_map",
    "unpack_apply_message",
    "unpickling_in",
    "use_cloudpickle",
    "use_dill",
    "use_pickle",
]

_HOMES = {
    "Function": "functions",
    "FunctionPickler": "functionpickler",
    "Late": "reference",
    "Pickled": "pickling",
    "PrePickled": "canning",
    "Reference": "reference",
    "calling": "namespaces",
    "can": "canning",
    "can_map": "canners",
    "current_namespace": "namespaces",
    "depend": "dependents",
    "dependent": "dependents",
    "describe_exception": "failures",
    "deserialize_object": "canning",
    "dumps": "pickling",
    "dumps_call": "pickling",
    "interactive": "functions",
    "load_function": "functions",
    "loads": "pickling",
    "pack": "pickling",
    "pack_apply_message": "canning",
    "require": "dependents",
    "restore_error": "failures",
    "serialize_object": "canning",
    "set_namespace": "namespaces",
    "uncan": "canning",
    "uncan_map": "canners",
    "unpack_apply_message": "canning",
    "unpickling_in": "namespaces",
    "use_cloudpickle": "canning",
    "use_dill": "canning",
    "use_pickle": "canning",
}


def __getattr__(name: str) -> Any:  # whatever the submodule holds under that name
    if name in {"canning", "codeutil", "serialize"}:  # programs use them without importing them
        return importlib.import_module(f"{__name__}.{name}")
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    value = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value  # the next access does not come here
    return value
