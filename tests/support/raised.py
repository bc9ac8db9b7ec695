"""What our errors say, as the source has it: of each place that makes one, patterns of its text."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

PACKAGE: Final = Path(__file__).parents[2] / "src" / "hippodrome"
ANY: Final = ".*"
_BY_NAME: Final = {"Failure", "_failure"}  # calls that give the class as a text, before the message
_DEPTH: Final = 6

# Calls whose text becomes that of an error elsewhere: module, name, and which argument it is.
_REASONS: Final[Mapping[tuple[str, str], tuple[str, int | str]]] = {
    ("client.link.core", "_give_up"): ("ControllerLost", 0),
    ("client.link.core", "_end"): ("ControllerLost", 0),
    ("client.link.io_thread", "_fail"): ("ControllerLost", 0),
    ("hub.queries", "QueryOutcome"): ("ControllerLost", "end"),
    ("hub.server", "shut_down"): ("ControllerLost", 0),
    ("scheduler.reception", "Bye"): ("ControllerLost", 0),
    ("hub.core", "_lose"): ("EngineError", 1),
    ("hub.core", "_leave"): ("EngineError", 1),
    ("node.spawn", "Death"): ("EngineError", "reason"),
    ("node.startups", "replace"): ("EngineError", "reason"),
    ("node.leaving", "Bye"): ("EngineError", 0),
    ("scheduler.reception", "_give_up"): ("EngineError", 1),
    ("serialize.notices", "_warn"): ("", 0),
}


@dataclass(frozen=True)
class Made:
    """A place that makes an error.

    Attributes:
        kind: the error's class.
        where: file and line.
        source: the expression that is its text.
        patterns: what that may become.
    """

    kind: str
    where: str
    source: str
    patterns: tuple[str, ...]

    @property
    def says_nothing_itself(self) -> bool:
        """Whether no word of the text stands in the source at this place."""
        return not any(map(says_something, self.patterns))


@dataclass(frozen=True)
class _Scope:
    """Where an expression stands: what its names may be."""

    module: str
    tree: ast.Module
    function: ast.AST | None = None
    given: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def says_something(pattern: str) -> bool:
    """Whether there is a word in *pattern*."""
    return re.search(r"[a-z]{2}", pattern) is not None


def made(classes: frozenset[str]) -> Iterator[Made]:
    """Yield each place in the source that makes an error of *classes*."""
    for path in sorted(PACKAGE.rglob("*.py")):
        module = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        tree = _tree(module)
        for function, call in _calls(tree, None):
            name, text = _error_of(call, module)
            if name not in classes or text is None:
                continue
            patterns = _resolve(text, _Scope(module, tree, function), _DEPTH)
            where = f"{path.relative_to(PACKAGE)}:{call.lineno}"
            yield Made(name, where, ast.unparse(text), _shortest(patterns))


def _error_of(call: ast.Call, module: str) -> tuple[str, ast.expr | None]:
    """Return the class of the error that *call* makes, and what its text is."""
    name, args = _name(call.func), call.args
    kind, place = _REASONS.get((module, name), (name, 0))
    if name in _BY_NAME and len(args) > 1 and isinstance(args[0], ast.Constant):
        kind, place = str(args[0].value), 1
    if not kind and args:
        kind, place = _name(args[-1]), 0  # the category of a warning
    if isinstance(place, str):
        return kind, next((each.value for each in call.keywords if each.arg == place), None)
    return kind, args[place] if len(args) > place else None


def _shortest(patterns: tuple[str, ...]) -> tuple[str, ...]:
    """Leave out those that begin as another one does, and go on."""
    heads = [pattern.removesuffix(ANY) for pattern in patterns]
    return tuple(
        pattern
        for i, pattern in enumerate(patterns)
        if not any(
            i != j and says_something(head) and pattern.startswith(head)
            for j, head in enumerate(heads)
        )
    )


@functools.cache
def _tree(module: str) -> ast.Module:
    path = PACKAGE.joinpath(*module.split("."))
    file = path.with_suffix(".py")
    return ast.parse((file if file.exists() else path / "__init__.py").read_text())


def _calls(node: ast.AST, function: ast.AST | None) -> Iterator[tuple[ast.AST | None, ast.Call]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Call):
            yield function, child
        is_function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
        yield from _calls(child, child if is_function else function)


def _name(node: ast.expr) -> str:
    return getattr(node, "id", "") or getattr(node, "attr", "")


def _resolve(node: ast.expr, scope: _Scope, depth: int) -> tuple[str, ...]:
    """Return the patterns of what an expression may be, as far as it is made of texts."""
    if depth < 0:
        return (ANY,)
    match node:
        case ast.Constant(value=str(text)):
            return (re.escape(text),)
        case ast.JoinedStr(values=parts):
            return _joined([_resolve(part, scope, depth) for part in parts])
        case ast.FormattedValue(value=value, conversion=-1, format_spec=None):
            return _resolve(value, scope, depth - 1)
        case ast.BinOp(op=ast.Add(), left=left, right=right):
            return _joined([_resolve(left, scope, depth), _resolve(right, scope, depth)])
        case ast.IfExp(body=body, orelse=orelse):
            return (*_resolve(body, scope, depth), *_resolve(orelse, scope, depth))
        case ast.BoolOp(values=values):
            return tuple(each for value in values for each in _resolve(value, scope, depth))
        case ast.Name(id=name):
            return _named(name, scope, depth - 1)
        case ast.Call(func=func, args=args):
            given = [_resolve(arg, scope, depth - 1) for arg in args]
            return _returned(_name(func), given, scope, depth - 1)
    return (ANY,)


def _joined(parts: list[tuple[str, ...]]) -> tuple[str, ...]:
    texts = [""]
    for part in parts:
        texts = [text + each for text in texts for each in part]
    return tuple(dict.fromkeys(texts))


def _named(name: str, scope: _Scope, depth: int) -> tuple[str, ...]:
    if name in scope.given:
        return scope.given[name]
    for body in (scope.function, scope.tree):
        values = [] if body is None else list(_assigned(name, body))
        if values:
            inside = replace(scope, given={**scope.given, name: (ANY,)})
            found = [each for value in values for each in _resolve(value, inside, depth)]
            return tuple(dict.fromkeys(found))
    other = _imported(name, scope.tree)
    return (ANY,) if other is None else _named(name, _Scope(other, _tree(other)), depth)


def _assigned(name: str, body: ast.AST) -> Iterator[ast.expr]:
    statements = body.body if isinstance(body, ast.Module) else ast.walk(body)
    for each in statements:
        match each:
            case ast.Assign(targets=[ast.Name(id=found)], value=value) if found == name:
                yield value
            case ast.AnnAssign(target=ast.Name(id=found), value=ast.expr() as value):
                if found == name:
                    yield value


def _imported(name: str, tree: ast.Module) -> str | None:
    """Return the module of ours that a name is imported from."""
    return _imports(tree).get(name)


@functools.cache
def _imports(tree: ast.Module) -> Mapping[str, str]:
    return {
        alias.name: each.module.partition(".")[2]
        for each in ast.walk(tree)
        if isinstance(each, ast.ImportFrom)
        and each.module
        and each.module.startswith("hippodrome.")
        for alias in each.names
    }


@functools.cache
def _functions(tree: ast.Module) -> Mapping[str, ast.FunctionDef]:
    return {each.name: each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef)}


def _returned(
    name: str, given: list[tuple[str, ...]], scope: _Scope, depth: int
) -> tuple[str, ...]:
    other = _imported(name, scope.tree)
    module = scope.module if other is None else other
    tree = _tree(module)
    function = _functions(tree).get(name)
    if function is None:
        return (ANY,)
    parameters = [arg.arg for arg in function.args.args if arg.arg != "self"]
    inside = _Scope(module, tree, function, dict(zip(parameters, given, strict=False)))
    returns = [each.value for each in ast.walk(function) if isinstance(each, ast.Return)]
    found = [text for value in returns if value for text in _resolve(value, inside, depth)]
    return tuple(dict.fromkeys(found)) or (ANY,)
