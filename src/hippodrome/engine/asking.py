"""What tasks ask of a person: nobody is there to answer, and they hear so at once.

Only where they would ask on the streams of the engine: who gives `sys.stdin`, or a debugger,
something else to read from is left alone.
"""

from __future__ import annotations

import builtins
import functools
import sys
from collections.abc import Callable
from typing import Any, Final, NoReturn  # Any: of the standard library and of users

from hippodrome.engine.importing import change_on_import

NO_INPUT: Final = (
    "nobody can be asked on an engine: ask in your program, and pass the answer to the function"
)
NO_DEBUGGER: Final = (
    "a task cannot stop in a debugger, as nobody can answer on an engine: call the function in "
    "your own program to debug it, or look at the engine's variables between tasks from a "
    "frontend, after bind_kernel"
)


def install() -> None:
    """Let what would ask raise instead."""
    stdin = sys.stdin
    builtins.input = _refusing(builtins.input, stdin)
    change_on_import(
        {
            "getpass": lambda module: _change_getpass(module, stdin),
            "pdb": lambda module: _change_pdb(module, stdin),
        }
    )


def _change_getpass(module: Any, stdin: object) -> None:
    ask = getattr(module, "getpass", None)  # a module of the user may have that name
    if ask is not None:
        module.getpass = _refusing(ask, stdin)


def _refusing(ask: Callable[..., Any], stdin: object) -> Any:
    @functools.wraps(ask)
    def ask_nobody(*args: Any, **kwargs: Any) -> Any:
        if sys.stdin is stdin:
            raise EOFError(NO_INPUT)
        return ask(*args, **kwargs)

    return ask_nobody


def _change_pdb(module: Any, stdin: object) -> None:
    """Let a debugger that would wait for commands raise where it was called."""
    interact = getattr(getattr(module, "Pdb", None), "interaction", None)
    if interact is None:
        return  # a module of the user that has that name

    @functools.wraps(interact)
    def interaction(self: Any, *args: Any, **kwargs: Any) -> Any:
        if self.stdin is stdin:
            _refuse(self)
        return interact(self, *args, **kwargs)

    module.Pdb.interaction = interaction


def _refuse(debugger: Any) -> NoReturn:
    debugger.set_continue()  # as what catches the error is not to be traced
    raise RuntimeError(NO_DEBUGGER)
