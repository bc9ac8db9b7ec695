"""What users call and read is typed and documented, all of it.

A checker that reads this package from outside infers nothing: each parameter, result and attribute
says its type, except where the value is a plain constant or an annotated parameter.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, Final

import pytest

import hippodrome as ipp

CONSTANTS: Final = (bool, int, float, str)


def is_ours(thing: Any) -> bool:
    return getattr(thing, "__module__", "").startswith("hippodrome")


PUBLIC: Final = [getattr(ipp, name) for name in ipp.__all__]
FUNCTIONS: Final = [thing for thing in PUBLIC if inspect.isfunction(thing) and is_ours(thing)]
BASES: Final = {base for thing in PUBLIC if isinstance(thing, type) for base in thing.__mro__}
CLASSES: Final = sorted(filter(is_ours, BASES), key=lambda kind: kind.__qualname__)


def is_public(name: str) -> bool:
    return not name.startswith("_") or (name.startswith("__") and name.endswith("__"))


def functions_of(kind: type) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield the public functions that a class defines, those of its properties included."""
    for name, value in vars(kind).items():
        if isinstance(value, property):
            value = value.fget
        function = value.__func__ if isinstance(value, classmethod | staticmethod) else value
        if inspect.isfunction(function) and is_public(name) and is_ours(function):
            yield name, function


def untyped(function: Callable[..., Any], *, is_method: bool) -> list[str]:
    """Return the parameters without a type, and ``return``."""
    parameters = list(inspect.signature(function).parameters)[is_method:]
    return [name for name in [*parameters, "return"] if name not in function.__annotations__]


@cache
def tree_of(kind: type) -> ast.ClassDef:
    (tree,) = ast.parse(inspect.getsource(kind)).body
    assert isinstance(tree, ast.ClassDef)
    return tree


def typed_attributes(kind: type) -> set[str]:
    """Return the attributes that have a type in the class, on it or on ``self``."""
    inside = {node for node in ast.walk(tree_of(kind)) if isinstance(node, ast.AnnAssign)}
    targets = {ast.unparse(node.target) for node in inside}
    on_self = {target.removeprefix("self.") for target in targets if target.startswith("self.")}
    return on_self | {ast.unparse(node.target) for node in inside.intersection(tree_of(kind).body)}


def untyped_attributes(kind: type) -> Iterator[str]:
    """Yield the public attributes that a class assigns and whose type would be a guess."""
    typed = set().union(*(typed_attributes(base) for base in kind.__mro__ if is_ours(base)))
    typed = typed.union(*(dir(base) for base in kind.__mro__[1:] if not is_ours(base)))
    for owner, target, value in assignments(kind):
        name = target.removeprefix("self.") if owner is not None else target
        if "." in name or not name.isidentifier() or name.startswith("_") or name in typed:
            continue
        if owner is None and inspect.isfunction(vars(kind).get(name)):
            continue  # a method that a function made, which has its types from there
        if isinstance(value, ast.Constant) and type(value.value) in CONSTANTS:
            continue
        if owner is not None and isinstance(value, ast.Name) and value.id in parameters_of(owner):
            continue
        yield name


def assignments(kind: type) -> Iterator[tuple[ast.FunctionDef | None, str, ast.expr]]:
    """Yield the method (or None for the class's body), the target and the value of each."""
    for node in tree_of(kind).body:
        owner = node if isinstance(node, ast.FunctionDef) else None
        for part in ast.walk(node) if owner else [node]:
            if isinstance(part, ast.Assign):
                for target in flat(part.targets):
                    text = ast.unparse(target)
                    if owner is None or text.startswith("self."):
                        yield owner, text, part.value


def flat(targets: list[ast.expr]) -> Iterator[ast.expr]:
    for target in targets:
        yield from target.elts if isinstance(target, ast.Tuple) else [target]


def parameters_of(function: ast.FunctionDef) -> set[str]:
    arguments = function.args
    return {arg.arg for arg in [*arguments.args, *arguments.kwonlyargs, *arguments.posonlyargs]}


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
def test_a_public_function_is_typed_and_documented(function: Callable[..., Any]) -> None:
    assert not untyped(function, is_method=False)
    assert function.__doc__


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__qualname__)
def test_a_public_class_is_typed_and_documented(kind: type) -> None:
    assert kind.__doc__
    for name, function in functions_of(kind):
        is_method = name == "__new__" or not isinstance(vars(kind)[name], staticmethod)
        assert not untyped(function, is_method=is_method), name
        if not name.startswith("__"):
            assert inspect.getdoc(getattr(kind, name)), f"{name} has no docstring"
    assert not list(untyped_attributes(kind))


def test_every_public_name_is_in_one_of_the_lists() -> None:
    for name, thing in zip(ipp.__all__, PUBLIC, strict=True):
        is_constant = isinstance(thing, str | tuple | dict) or thing is TimeoutError
        assert is_constant or thing in FUNCTIONS or thing in CLASSES, name


class Untyped:
    """Lacks everything."""

    counts = list(range(2))

    def __init__(self, given):
        made: int = len(given)
        self.made, self._kept = made, 1
        self.name = ""

    def method(self, x) -> None: ...


def test_what_is_not_typed_is_found() -> None:
    assert untyped(Untyped.method, is_method=True) == ["x"]
    assert untyped(Untyped.__init__, is_method=True) == ["given", "return"]
    assert list(untyped_attributes(Untyped)) == ["counts", "made"]
