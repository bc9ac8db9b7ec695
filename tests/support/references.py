"""What docstrings refer to in single backquotes: whether it is there."""

from __future__ import annotations

import ast
import builtins
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from typing import Final

from support import source

_REFERENCE: Final = re.compile(r"(?<!`)`([A-Za-z_][\w.]*)(?:\(\))?`(?!`)")
_DOCUMENTED: Final = (ast.Module, ast.ClassDef, *source.Function.__args__)


def broken() -> Iterator[tuple[str, str]]:
    """Yield each module with a reference that leads nowhere."""
    for module in source.modules():
        for node in ast.walk(source.tree(module)):
            if isinstance(node, _DOCUMENTED):
                for reference in _REFERENCE.findall(ast.get_docstring(node) or ""):
                    if not is_there(reference):
                        yield module, reference


def is_there(reference: str) -> bool:
    first, _, rest = reference.partition(".")
    if first in _members():
        return not rest or any(rest in _members()[one] for one in (first, *_bases(first)))
    names = _names()
    if first in (names | {"hippodrome"}) and all(part in names for part in rest.split(".") if rest):
        return True
    return hasattr(builtins, first) or first in sys.stdlib_module_names or first in _packages()


@cache
def _packages() -> frozenset[str]:
    """Return the packages of others from which something is imported."""
    found = {"hippodrome"}
    for node in (node for module in source.modules() for node in ast.walk(source.tree(module))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
    return frozenset(found - {"hippodrome"})


@cache
def _names() -> frozenset[str]:
    """Return whatever has a name in the package: modules, and what they bind, take or set."""
    found = {part for module in source.modules() for part in module.split(".")}
    for module in source.modules():
        found |= {name for node in ast.walk(source.tree(module)) for name in _named(node)}
    return frozenset(found)


@cache
def _classes() -> dict[str, list[ast.ClassDef]]:
    found = defaultdict(list)
    for node in (node for module in source.modules() for node in source.classes(module)):
        found[node.name].append(node)
    return dict(found)


@cache
def _members() -> dict[str, frozenset[str]]:
    """Return the names in the body of each class, by its name."""
    return {
        kind: frozenset(
            name for node in nodes for inner in ast.walk(node) for name in _named(inner)
        )
        for kind, nodes in _classes().items()
    }


@cache
def _bases(kind: str) -> frozenset[str]:
    """Return the names of all classes of the package that the class *kind* descends from."""
    written = (base for node in _classes()[kind] for base in node.bases)
    direct = {one.id for base in written for one in ast.walk(base) if _is_class(one)} - {kind}
    return frozenset(direct.union(*map(_bases, direct)))


def _is_class(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id in _classes()


def _named(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            yield node.name
        case ast.arg():
            yield node.arg
        case ast.Name(ctx=ast.Store()):
            yield node.id
        case ast.Attribute(ctx=ast.Store()):
            yield node.attr
        case ast.alias():
            yield (node.asname or node.name).partition(".")[0]
