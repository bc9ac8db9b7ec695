"""The package's source as trees, and what can be counted in them."""

from __future__ import annotations

import ast
import doctest
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2] / "src" / "hippodrome"
Function = ast.FunctionDef | ast.AsyncFunctionDef
_BRANCHES: Final = (
    ast.If, ast.IfExp, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.comprehension,
    ast.match_case,
)  # fmt: skip
_SCOPES: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)


@cache
def modules() -> dict[str, Path]:
    """Return the file of each module by its name in the package; a package is ``x.__init__``."""
    paths = sorted(ROOT.rglob("*.py"))
    return {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in paths}


@cache
def tree(module: str) -> ast.Module:
    """Return what *module* parses to."""
    return ast.parse(modules()[module].read_text())


def functions(module: str) -> Iterator[tuple[str, Function]]:
    """Yield each function of *module* with its qualified name."""
    yield from _within(tree(module), "")


def _within(node: ast.AST, prefix: str) -> Iterator[tuple[str, Function]]:
    for child in ast.iter_child_nodes(node):
        inner = prefix
        if isinstance(child, (*Function.__args__, ast.ClassDef)):
            inner = f"{prefix}{child.name}."
            if not isinstance(child, ast.ClassDef):
                yield inner[:-1], child
        yield from _within(child, inner)


def classes(module: str) -> Iterator[ast.ClassDef]:
    """Yield the classes of *module*, inner ones too."""
    return (node for node in ast.walk(tree(module)) if isinstance(node, ast.ClassDef))


def n_lines(node: Function | ast.ClassDef) -> int:
    """Return how many lines *node* has, without docstrings: these may be as long as users need."""
    assert node.end_lineno is not None
    n_doc = 0
    for one in ast.walk(node):
        if (
            isinstance(one, Function | ast.ClassDef)
            and ast.get_docstring(one, clean=False) is not None
        ):
            assert one.body[0].end_lineno is not None
            n_doc += one.body[0].end_lineno - one.body[0].lineno + 1
    return node.end_lineno - node.lineno + 1 - n_doc


def n_lines_of_file(module: str) -> int:
    """Return how many lines *module* has, without the examples in docstrings, which tests run."""
    n_shown = 0
    for node in ast.walk(tree(module)):
        if isinstance(node, Function | ast.ClassDef):
            text = ast.get_docstring(node) or ""
            examples = doctest.DocTestParser().get_examples(text)
            n_shown += sum(len((one.source + one.want).splitlines()) for one in examples)
            n_shown += bool(examples)  # the empty line before them, and the quotes below these
            n_shown += bool(examples) and text.partition("\n\n")[2].startswith(">>>")
    return len(modules()[module].read_text().splitlines()) - n_shown


def complexity(function: Function) -> int:
    """Return the cyclomatic complexity of *function*, without functions in it."""

    def count(node: ast.AST) -> int:
        n = 0
        for child in ast.iter_child_nodes(node):
            if isinstance(child, _SCOPES):
                continue
            n += isinstance(child, _BRANCHES)
            if isinstance(child, ast.BoolOp):
                n += len(child.values) - 1
            n += count(child)
        return n

    return 1 + count(function)


def imports(module: str) -> Iterator[str]:
    """Yield the modules of the package that *module* imports, wherever in it, for types too."""
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "hippodrome":
            package = (node.module or "").partition(".")[2]
            for alias in node.names:
                for name in (f"{package}.{alias.name}".lstrip("."), package, f"{package}.__init__"):
                    if name.lstrip(".") in modules():
                        yield name.lstrip(".")
                        break
        elif isinstance(node, ast.Import):
            for alias in node.names:
                name = alias.name.partition(".")[2]
                if alias.name.startswith("hippodrome.") and name in modules():
                    yield name


def circles() -> list[frozenset[str]]:
    """Return the sets of modules that import each other in a circle, largest first."""
    graph = {name: set(imports(name)) - {name} for name in modules()}
    numbers: dict[str, int] = {}
    lows: dict[str, int] = {}
    stack: list[str] = []
    found: list[frozenset[str]] = []

    def visit(name: str) -> None:  # Tarjan's algorithm for strongly connected components
        numbers[name] = lows[name] = len(numbers)
        stack.append(name)
        for other in graph[name]:
            if other not in numbers:
                visit(other)
                lows[name] = min(lows[name], lows[other])
            elif other in stack:
                lows[name] = min(lows[name], numbers[other])
        if lows[name] == numbers[name]:
            place = stack.index(name)
            circle, stack[place:] = frozenset(stack[place:]), []
            if len(circle) > 1:
                found.append(circle)

    for name in graph:
        if name not in numbers:
            visit(name)
    return sorted(found, key=len, reverse=True)


def repeated_runs(n: int) -> dict[str, list[tuple[str, int]]]:
    """Return the runs of *n* lines of code that stand twice, with the places where they do.

    Blank lines and indentation do not count; imports, parameters and docstrings do not either, as
    these are no code that somebody wrote twice.
    """
    places: dict[str, list[tuple[str, int]]] = {}
    for name in modules():
        lines = modules()[name].read_text().splitlines()
        skipped = _not_code(name)
        code = [
            (number, line.strip())
            for number, line in enumerate(lines, 1)
            if line.strip() and number not in skipped
        ]
        for start in range(len(code) - n + 1):
            run = code[start : start + n]
            places.setdefault("\n".join(line for _, line in run), []).append((name, run[0][0]))
    return {run: found for run, found in places.items() if len(found) > 1}


def _not_code(module: str) -> set[int]:
    numbers: set[int] = set()
    for node in ast.walk(tree(module)):
        is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if is_text or isinstance(node, ast.Import | ast.ImportFrom):
            numbers.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
        elif isinstance(node, Function):
            numbers.update(range(node.lineno, node.body[0].lineno))
    return numbers


def private_names(module: str) -> Iterator[tuple[str, bool]]:
    """Yield the private names of attributes in *module*, and whether it is ours to use them.

    They are where *module* defines them, or says them of ``self`` or ``cls``.
    """
    for node in ast.walk(tree(module)):
        if isinstance(node, (*Function.__args__, ast.ClassDef)) and _is_private(node.name):
            yield node.name, True
        elif isinstance(node, ast.Name) and _is_private(node.id):
            yield node.id, True
        elif isinstance(node, ast.Attribute) and _is_private(node.attr):
            yield node.attr, isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")
