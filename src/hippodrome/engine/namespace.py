"""The user's variables: a module that is ``__main__`` for all user code on this engine.

Because it is registered under that name, ``import __main__`` in a task and pickles that refer to
``__main__`` find it. The functions here are what views call on an engine, by reference: whatever
they return must be of a type that the client knows, which does not know this package.
"""

from __future__ import annotations

import ast
import builtins
import itertools
import keyword
import linecache
import sys
import types
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from typing import Any, Final, Protocol  # Any: users' objects have no types that we know

from hippodrome.serialize.arrivals import MainModule
from hippodrome.serialize.executereply import ExecuteReply
from hippodrome.serialize.namespaces import ABSENT, BUILTINS, forget_arrived
from hippodrome.serialize.rebuild import tolerance

_FIRST_NAMES: Final = ("__name__", "__doc__", "__builtins__", "__loader__", "__spec__")


class Interpreter(Protocol):
    """Runs source text; see `hippodrome.engine.ipython`."""

    @property
    def is_there(self) -> bool:
        """Whether it has left anything in the namespace."""

    def run_cell(self, code: str, silent: bool, *, cell: int) -> ExecuteReply:
        """Run source text; see `execute`."""

    def take_comm_message(
        self, kind: str, content: Mapping[str, Any], buffers: Sequence[bytes]
    ) -> None:
        """Take what a frontend says to a widget; see `take_comm_message`."""

    def reset(self) -> None:
        """Forget all user variables."""


_interpreter: Interpreter | None = None
_module: types.ModuleType | None = None
_executions = itertools.count(1)
_identity: dict[str, int] = {}


def install(*, any_python: bool = False) -> types.ModuleType:
    """Make a fresh user namespace this process's ``__main__``, and return the one before.

    The caller keeps what is returned: a module that is dropped loses its variables.

    Args:
        any_python: whether functions of another minor version of Python are tried in it.
    """
    global _module
    tolerance.takes_any_python = any_python
    before = sys.modules["__main__"]
    module = MainModule("__main__", "The user namespace of an engine.")
    module.__dict__["__builtins__"] = builtins
    sys.modules["__main__"] = _module = module
    return before


def main_module() -> types.ModuleType:
    """Return the module that is ``__main__``, and stays the user's if tasks say otherwise."""
    return sys.modules["__main__"] if _module is None else _module


def user_namespace() -> dict[str, Any]:
    """Return the user namespace itself; changes to it are seen by all user code."""
    return main_module().__dict__


def set_interpreter(interpreter: Interpreter | None) -> None:
    """Let *interpreter* run source text from now on."""
    global _interpreter
    _interpreter = interpreter


def engine_id() -> int | None:
    """Return this engine's number; None before it has one, and outside of engines."""
    return _identity.get("engine_id")


def set_engine_id(engine: int) -> None:
    """Note this engine's number."""
    _identity["engine_id"] = engine


def push(ns: Mapping[str, Any]) -> None:
    """Assign variables in the user namespace.

    Args:
        ns: values by target: a name, or attributes and constant subscripts of one, such as
            ``"a"``, ``"a.b"`` or ``"a[0]['k']"``. Nothing else in a target is evaluated.

    Raises:
        ValueError: a target is none of these; nothing has been assigned.
        NameError: a target's first name does not exist. Earlier ones have been assigned.
    """
    assignments = [(_parse_target(target), value) for target, value in ns.items()]
    for path, value in assignments:
        _assign(path, value)


def pull(names: str | Iterable[str]) -> Any:
    """Return the value of an expression in the user namespace, or a list for several.

    What functions have captured is not there, and no variable.

    Raises:
        NameError: there is no such variable.
    """
    namespace = user_namespace()
    if isinstance(names, str):
        return _evaluate(names, namespace)
    return [_evaluate(name, namespace) for name in names]


def names() -> list[str]:
    """Return the names of variables in the user namespace, but for those with an underscore."""
    return sorted(name for name in user_namespace() if not name.startswith("_"))


def execute(
    code: str, silent: bool = True, cell: int = 0
) -> ExecuteReply | Coroutine[Any, Any, ExecuteReply]:
    """Run source text in the user namespace.

    Args:
        code: a cell as in IPython, top-level ``await`` included; in a process without an
            interpreter, plain Python.
        silent: do not show the value of a last expression as the result.
        cell: the number of the cell of the user's that sent this, for tracebacks; 0: none did.

    Returns:
        How it went; a coroutine of that if plain Python awaits something.
    """
    if _interpreter is None:
        return execute_plain(code, silent)
    return _interpreter.run_cell(code, silent, cell=cell)


def take_upload(name: str, archive: bytes) -> None:
    """Let tasks import what is in an archive.

    Args:
        name: whose former archive it replaces.
        archive: a ZIP file of modules and packages.

    Raises:
        ValueError: it is none that may be unpacked.
    """
    from hippodrome.engine import uploads  # which most engines never need

    uploads.take(name, archive)


def take_comm_message(kind: str, content: Mapping[str, Any], buffers: Sequence[bytes]) -> None:
    """Take what a frontend says to a widget of this process, if there still is such a widget.

    Args:
        kind: ``"comm_msg"`` or ``"comm_close"``.
        content: of the Jupyter message of that kind.
        buffers: its buffers.
    """
    if _interpreter is not None:
        _interpreter.take_comm_message(kind, content, buffers)


def execute_plain(
    code: str, silent: bool = True
) -> ExecuteReply | Coroutine[Any, Any, ExecuteReply]:
    """Run source text as `execute` does, but without IPython."""
    count = next(_executions)
    filename = f"<engine input {count}>"
    lines = code.splitlines(keepends=True)
    linecache.cache[filename] = (len(code), None, lines, filename)
    tree = ast.parse(code, filename)
    shown = None if silent else _split_last_expression(tree)
    parts = [_compile(tree, filename, "exec")]
    if shown is not None:
        parts.append(_compile(shown, filename, "eval"))
    record = ExecuteReply(count, code, {}, {}, engine_id())
    if any(part.co_flags & _CO_COROUTINE for part in parts):
        return _run_awaiting(parts, record)
    for part in parts:
        _show(eval(part, user_namespace()), record)  # noqa: S307 - what this function is for
    return record


def clear() -> None:
    """Forget all user variables."""
    namespace = user_namespace()
    forget_arrived(namespace)
    kept: dict[str, Any] = {name: namespace[name] for name in _FIRST_NAMES if name in namespace}
    if _interpreter is not None and _interpreter.is_there:
        _interpreter.reset()
        namespace.update(kept)
        return
    for name in namespace.keys() - kept.keys():
        del namespace[name]


_CO_COROUTINE: Final = 0x80  # inspect.CO_COROUTINE, without importing inspect


async def _run_awaiting(parts: list[types.CodeType], record: ExecuteReply) -> ExecuteReply:
    for part in parts:
        value = eval(part, user_namespace())  # noqa: S307 - as in `execute`
        if part.co_flags & _CO_COROUTINE:
            value = await value
        _show(value, record)
    return record


def _compile(tree: ast.Module | ast.Expression, filename: str, mode: str) -> types.CodeType:
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    code: types.CodeType = compile(tree, filename, mode, flags=flags, dont_inherit=True)
    return code


def _show(value: object, record: ExecuteReply) -> None:
    """Note a value as the interactive prompt would: not None, and ``_`` keeps it."""
    if value is not None:
        record.data = {"text/plain": repr(value)}
        user_namespace()["_"] = value


def _split_last_expression(tree: ast.Module) -> ast.Expression | None:
    if not tree.body or not isinstance(tree.body[-1], ast.Expr):
        return None
    last = tree.body.pop()
    assert isinstance(last, ast.Expr)
    return ast.Expression(last.value)


def _evaluate(expression: str, namespace: dict[str, Any]) -> Any:
    if expression.isidentifier() and expression not in keyword.kwlist:
        value = namespace.get(expression, BUILTINS.get(expression, ABSENT))
        if value is ABSENT:
            raise NameError(f"name {expression!r} is not defined", name=expression)
        return value
    return eval(expression, namespace)  # noqa: S307 - its sender may run any code here anyway


# A target is its name, then the steps from there: ("attribute", "b") or ("item", 0).
_Step = tuple[str, Any]


def _parse_target(target: str) -> tuple[str, list[_Step]]:
    steps: list[_Step] = []
    try:
        node = ast.parse(target, mode="eval").body
        while not isinstance(node, ast.Name):
            step, node = _parse_step(node)
            steps.append(step)
    except (SyntaxError, TypeError, ValueError):
        raise ValueError(
            f"cannot assign to {target!r}: a name, attributes and constant subscripts only"
        ) from None
    return node.id, steps[::-1]


def _parse_step(node: ast.expr) -> tuple[_Step, ast.expr]:
    match node:
        case ast.Attribute(value=parent, attr=name):
            return ("attribute", name), parent
        case ast.Subscript(value=parent, slice=index):
            return ("item", ast.literal_eval(index)), parent
        case _:
            raise ValueError(node)


def _assign(path: tuple[str, list[_Step]], value: object) -> None:
    name, steps = path
    namespace = user_namespace()
    if not steps:
        namespace[name] = value
        return
    if name not in namespace:
        raise NameError(f"name {name!r} is not defined")
    owner = namespace[name]
    for step in steps[:-1]:
        owner = _follow(owner, step)
    kind, key = steps[-1]
    if kind == "attribute":
        setattr(owner, key, value)
    else:
        owner[key] = value


def _follow(owner: Any, step: _Step) -> Any:
    kind, key = step
    return getattr(owner, key) if kind == "attribute" else owner[key]
