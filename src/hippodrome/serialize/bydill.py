"""What only dill can send, once a user asks for it: locks, files being written, weak references.

Nothing else is given to dill: what can be pickled otherwise is pickled as ever.
"""

from __future__ import annotations

import importlib
import types
from typing import Any, Final  # Any: what dill can send, and dill, which is not typed

_BY_NAME: Final = (type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType)
_dill: Any = None


def use() -> None:
    """Use dill from now on in this process, if it is installed."""
    global _dill
    try:
        _dill = importlib.import_module("dill")
    except ImportError:
        _dill = None


def use_no_more() -> None:
    """Send only what can be sent without dill."""
    global _dill
    _dill = None


def is_used() -> bool:
    return _dill is not None


def reduce(obj: Any) -> Any:
    """Return how dill sends an object that cannot be pickled; NotImplemented where that is no help.

    Raises:
        BaseException: whatever its ``__reduce_ex__`` raises, unless it says that it cannot be.
    """
    if isinstance(obj, _BY_NAME):
        return NotImplemented
    try:
        obj.__reduce_ex__(5)
    except TypeError:
        try:
            return load, (_dill.dumps(obj),)
        except Exception:  # what pickle says of it is better known
            return NotImplemented
    return NotImplemented


def load(data: bytes) -> Any:
    """Return what dill has sent.

    Raises:
        ImportError: dill is not installed here.
    """
    return importlib.import_module("dill").loads(data)
