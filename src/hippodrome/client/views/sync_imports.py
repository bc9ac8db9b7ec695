"""Imports that happen here and on engines, in one ``with`` block.

While a block runs, ``builtins.__import__`` is replaced. That is seen by the whole process, so only
imports made by the very frame of the block count; all others, also those that the imported
modules make, pass through. What ``__import__`` is told lacks the names after ``as``: these are
read from the instructions that follow the import.
"""

from __future__ import annotations

import builtins
import dis
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Any, Final, Self

from hippodrome.client.interruption import OwnCalls, give_up, is_ctrl_c

if TYPE_CHECKING:
    from hippodrome.client.results.result import AsyncResult
    from hippodrome.client.views.direct import DirectView

_IMPORT: Final = dis.opmap["IMPORT_NAME"]


@dataclass(frozen=True, slots=True)
class Statement:
    """One import statement.

    Attributes:
        module: its full name.
        names: what is imported from it, each with the name that it is bound to here; empty for
            ``import module``.
        bound: the name after ``import module as``; empty without one.
    """

    module: str
    names: tuple[tuple[str, str], ...] = ()
    bound: str = ""

    @property
    def source(self) -> str:
        if self.names:
            return f"from {self.module} import {self._names()}"
        return f"import {_renamed(self.module, self.bound)}"

    def __str__(self) -> str:
        """Say what happens."""
        if self.names:
            return f"importing {self._names()} from {self.module} on engine(s)"
        return f"importing {_renamed(self.module, self.bound)} on engine(s)"

    def _names(self) -> str:
        return ", ".join(_renamed(*name) for name in self.names)


class SyncImports:
    """The context manager of `DirectView.sync_imports`.

    Args:
        view: whose engines import too.
        quiet: whether nothing is printed.
    """

    def __init__(self, view: DirectView, quiet: bool) -> None:
        self._view = view
        self._quiet = quiet
        self._frame: FrameType | None = None  # of the block, while it runs
        self._import: Callable[..., Any] = builtins.__import__  # the one before this
        self._imports: list[AsyncResult] = []

    def __enter__(self) -> Self:
        if self._frame is not None:
            raise RuntimeError("this sync_imports is in use: make one for each block")
        self._frame = sys._getframe(1)
        self._imports = []
        self._import = builtins.__import__
        replacement: Callable[..., Any] = self
        builtins.__import__ = replacement
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        """Wait for the engines.

        Raises:
            RemoteError: an import failed on the one engine.
            CompositeError: an import failed on one of several engines.
        """
        self._frame = None
        current: object = builtins.__import__
        if current is self:  # else another thread's block has begun in this one
            builtins.__import__ = self._still_used()
        if is_ctrl_c(error):
            give_up(self._view.client, self._imports, error)
        if error is not None:
            return
        with OwnCalls(self._view.client) as calls:
            for result in self._imports:
                calls.add(result)
            for result in self._imports:
                result.get()

    def __call__(
        self,
        name: str,
        globals: Mapping[str, object] | None = None,  # noqa: A002 - as of `__import__`
        locals: Mapping[str, object] | None = None,  # noqa: A002
        fromlist: tuple[str, ...] | None = (),
        level: int = 0,
    ) -> Any:
        """Take the place of ``__import__``."""
        module = self._import(name, globals, locals, fromlist, level)
        caller = sys._getframe(1)
        if caller is self._frame and _is_importing(caller):
            full_name = module.__name__ if level else name
            self._share(statement(caller, full_name, fromlist or ()))
        return module

    def _share(self, statement: Statement) -> None:
        if not self._quiet:
            print(statement)
        self._imports.append(self._view._named(self._view._flags, "execute", statement.source))

    def _still_used(self) -> Callable[..., Any]:
        """Return what was there before, without blocks that have ended since."""
        before = self._import
        while isinstance(before, SyncImports) and before._frame is None:
            before = before._import
        return before


def statement(frame: FrameType, module: str, fromlist: tuple[str, ...]) -> Statement:
    """Return the import statement that *frame* is at.

    Args:
        frame: whose current instruction imports.
        module: the module's full name.
        fromlist: as ``__import__`` is told.
    """
    if "*" in fromlist:
        return Statement(module, (("*", "*"),))
    names = list(_bindings(frame))
    if fromlist:
        as_told = [(name, name) for name in fromlist]
        is_all = [name for name, _ in names] == list(fromlist)
        return Statement(module, tuple(names if is_all else as_told))
    taken, bound = names[0] if names else ("", "")
    is_plain = not taken and bound in {"", module.partition(".")[0]}
    return Statement(module, (), "" if is_plain else bound)


def _is_importing(frame: FrameType) -> bool:
    """Return whether *frame* itself imports, rather than something in C that it calls."""
    return frame.f_code.co_code[frame.f_lasti] == _IMPORT


def _bindings(frame: FrameType) -> Iterator[tuple[str, str]]:
    """Yield what the import binds: the name taken from the module, if any, and the bound one."""
    instructions = dis.get_instructions(frame.f_code)
    following = (i for i in instructions if i.offset > frame.f_lasti)
    taken = ""
    for instruction in following:
        operation = instruction.opname
        if operation == "IMPORT_FROM":
            taken = instruction.argval
        elif operation.startswith("STORE_"):
            # Python 3.13 joins a store and what follows: ("a", "b")
            value = instruction.argval
            yield taken, value[0] if isinstance(value, tuple) else value
            if not taken:
                return
            taken = ""
        elif operation not in {"SWAP", "POP_TOP", "ROT_TWO", "EXTENDED_ARG", "CACHE", "NOP"}:
            return
        elif operation == "POP_TOP" and not taken:
            return  # the module of a ``from`` import is done with


def _renamed(name: str, bound: str) -> str:
    return name if bound in {"", name} else f"{name} as {bound}"
