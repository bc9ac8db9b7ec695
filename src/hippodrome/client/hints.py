"""What to call instead of what is somewhere else, or was there long ago."""

from __future__ import annotations

import difflib
from dataclasses import fields
from typing import Any, Final, NoReturn

_BY_NAME: Final = (
    "execute", "run", "push", "pull", "get", "update", "scatter", "gather", "sync_imports",
    "importer", "use_dill", "use_cloudpickle", "use_pickle",
)  # fmt: skip
_OF_ANY: Final = (
    "apply", "apply_async", "apply_sync", "map", "map_async", "map_sync", "imap", "remote",
    "parallel", "set_flags", "temp_flags",
)  # fmt: skip
_CLOSE: Final = 0.75
_BALANCED: Final = ("retries", "follow", "after", "register_joblib_backend")

# By what has no such attribute: what to use, by the attribute's name.
_INSTEAD: Final[dict[str, dict[str, str]]] = {
    "Client": {
        **{name: f"a view has it: rc[:].{name}" for name in _BY_NAME},
        **{
            name: f"a view has it: rc[:].{name}, or rc.load_balanced_view().{name}"
            for name in _OF_ANY
        },
        "submit": "an executor has it: rc.executor().submit",
        "barrier": "use rc.wait()",
        "kill": "use rc.shutdown(hub=True)",
        "view": "use rc[:] or rc.load_balanced_view()",
        "targets": "a view has it: rc[:].targets",
    },
    "LoadBalancedView": {
        **{name: f"it is for named engines: rc[:].{name}" for name in (*_BY_NAME, "clear")},
        "submit": "an executor has it: view.executor.submit",
        "barrier": "use view.wait()",
    },
    "DirectView": {
        **{name: f"a balanced view has it: rc.load_balanced_view().{name}" for name in _BALANCED},
        "timeout": "a balanced view has it: rc.load_balanced_view().timeout",
        "submit": "an executor has it: view.executor.submit",
        "barrier": "use view.wait()",
        "apply_bound": "use view.apply_async: functions of your program see the engine's variables",
        "apply_sync_bound": "use view.apply_sync: functions of your program see the engine's "
        "variables",
    },
    "AsyncResult": {
        "pyin": "it is execute_input",
        "pyout": "it is execute_result",
        "pyerr": "it is error",
        "get_result": "use get()",
        "timings": "use serial_time, wall_time and elapsed",
    },
}


def missing(owner: object, name: str) -> NoReturn:
    """Raise the error of an attribute that is not there, and say what to use instead.

    Raises:
        AttributeError: always.
    """
    said = f"{type(owner).__name__!r} object has no attribute {name!r}"
    instead = _instead_of(owner, name)
    why = f"{said}; {instead}" if instead else said
    raise AttributeError(why, name=name, obj=owner)


def knows(owner: object, name: str) -> bool:
    """Whether there is something to use instead."""
    return bool(_instead_of(owner, name))


def _instead_of(owner: object, name: str) -> str:
    tables = (_INSTEAD.get(base.__name__, {}) for base in type(owner).__mro__)
    return next((table[name] for table in tables if name in table), "")


def check_flag(owner: object, name: str, flags: Any) -> None:  # Any: a dataclass, None for none
    """Check that an attribute which is set is no flag that was misspelled.

    Raises:
        AttributeError: it nearly has a flag's name, and is nothing else.
    """
    names = [] if flags is None else [field.name for field in fields(flags)]
    close = difflib.get_close_matches(name, names, 1, _CLOSE)
    if close:
        kind = type(owner).__name__
        why = f"{kind!r} object has no flag {name!r}; did you mean {close[0]!r}?"
        raise AttributeError(why, name=name, obj=owner)
