"""Which global names a piece of code uses."""

from __future__ import annotations

import dis
import functools
import types
from typing import Final

_GLOBAL_OPERATIONS: Final = frozenset(
    {
        "LOAD_GLOBAL",
        "STORE_GLOBAL",
        "DELETE_GLOBAL",
        "LOAD_NAME",  # class bodies
        "LOAD_FROM_DICT_OR_GLOBALS",  # class bodies, Python 3.12
    }
)
# Belong to a module as such; another namespace has its own.
_NEVER: Final = frozenset({"__builtins__", "__loader__", "__spec__"})


@functools.lru_cache(maxsize=4096)
def global_names(code: types.CodeType) -> tuple[str, ...]:
    """Return the global names that *code*, or code nested in it, reads or writes; sorted."""
    return tuple(sorted(_collect(code) - _NEVER))


@functools.lru_cache(maxsize=4096)
def all_names(code: types.CodeType) -> frozenset[str]:
    """Return every name in *code* and in code nested in it, attributes too."""
    return frozenset(code.co_names).union(*(all_names(inner) for inner in _nested(code)))


def _collect(code: types.CodeType) -> set[str]:
    names = {
        instruction.argval
        for instruction in dis.get_instructions(code)
        if instruction.opname in _GLOBAL_OPERATIONS
    }
    return names.union(*(_collect(inner) for inner in _nested(code)))


def _nested(code: types.CodeType) -> list[types.CodeType]:
    return [const for const in code.co_consts if isinstance(const, types.CodeType)]
