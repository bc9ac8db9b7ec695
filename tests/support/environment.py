"""Which environment variables the package reads, found in its source."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from hippodrome.engine import conditions
from hippodrome.launch import cores
from support import source


def _constants(module: str) -> set[str]:
    """Return the texts in *module* that look like names of variables."""
    texts = (node.value for node in ast.walk(source.tree(module)) if isinstance(node, ast.Constant))
    found = {text for text in texts if isinstance(text, str)}
    return {
        text
        for text in found
        if re.fullmatch("[A-Z][A-Za-z0-9]*(_[A-Za-z0-9]+)+|NCPUS|NSLOTS", text)
    }


# Where names come out of a variable, or all that there is is handed on: what they are.
INDIRECT: Final = {
    "engine.conditions": {*conditions._VARIABLES},
    "launch.allocation": _constants("launch.allocation"),
    "launch.commands": set(),  # which are kept from what it runs
    "apps.engine_options": {*cores.THREAD_VARIABLES, "NCPUS"},
    "apps.running": set(),  # of a program that it starts
    "engine.ranks": set(),  # which sets what its supervisor says
    "launch.inside": set(),  # of a program that it starts
    "launch.plans": set(),  # which a job sets as they are
}
# What reads a variable by itself.
READERS: Final = {
    "expanduser": "HOME",
    "home": "HOME",
    "gettempdir": "TMPDIR",
    "mkdtemp": "TMPDIR",
    "mkstemp": "TMPDIR",
    "TemporaryFile": "TMPDIR",
}
_METHODS: Final = ("get", "setdefault", "pop")


def variables() -> set[str]:
    """Return the names of all variables that are read.

    Raises:
        AssertionError: the environment is used in a way in which no name can be read off.
    """
    return {name for module in source.modules() for name in of_tree(module, source.tree(module))}


def of_tree(module: str, tree: ast.AST) -> Iterator[str]:
    """Yield the variables that *module*, which parses to *tree*, reads."""
    named = 0
    for node in ast.walk(tree):
        for name in _names(node):
            named += 1
            yield name
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield from filter(None, [READERS.get(node.func.attr)])
    used = sum(_is_environment(node) for node in ast.walk(tree))
    if used > named:
        assert module in INDIRECT, f"{module} reads the environment, and not by a name"
        yield from INDIRECT[module]


def _names(node: ast.AST) -> Iterator[str]:
    """Yield the variable that *node* names, if it looks one up."""
    match node:
        case ast.Call(func=ast.Attribute(value=value, attr=attr), args=[ast.Constant(name), *_]):
            if (attr in _METHODS and _is_environment(value)) or attr == "getenv":
                yield name
        case ast.Subscript(value=value, slice=ast.Constant(name)):
            if _is_environment(value):
                yield name
        case ast.Compare(left=ast.Constant(name), comparators=[value]):
            if _is_environment(value):
                yield name


def _is_environment(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr in ("environ", "environb", "getenv")
