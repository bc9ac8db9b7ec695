"""The examples in docstrings: where they are, and which public names are without."""

from __future__ import annotations

import asyncio
import doctest
import inspect
import re
from collections.abc import Awaitable, Iterator
from typing import Any, Final

import hippodrome as ipp

FLAGS: Final = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


_AWAIT: Final = re.compile(r"^([\w, ]+ = )?await (.+)$", re.MULTILINE)


def public_things() -> dict[str, Any]:
    """Return what users call and read: names of the package, and of the classes among them.

    A method that a class inherits is listed where it is written.
    """
    things = {name: getattr(ipp, name) for name in ipp.__all__}
    found = {name: thing for name, thing in things.items() if callable(thing)}
    for kind in list(found.values()):
        for base in kind.__mro__ if isinstance(kind, type) else ():
            if base.__module__.startswith("hippodrome."):
                found |= {f"{base.__name__}.{name}": one for name, one in _members(base)}
    return found


def _members(kind: type) -> Iterator[tuple[str, Any]]:
    for name, member in vars(kind).items():
        if isinstance(member, classmethod | staticmethod):
            member = member.__func__
        is_meant = inspect.isfunction(member) or isinstance(member, property)
        if is_meant and not name.startswith("_"):
            yield name, member


def _awaited(awaitable: Awaitable[Any]) -> Any:
    async def waiting() -> Any:
        return await awaitable

    return asyncio.run(waiting())


def example_of(name: str, thing: Any) -> doctest.DocTest:
    """Return what the docstring of *thing* shows of its use; nothing may be in it."""
    text = inspect.cleandoc(thing.__doc__ or "")
    return doctest.DocTestParser().get_doctest(text, {}, name, name, 0)


def complaints_of(example: doctest.DocTest, names: dict[str, Any]) -> str:
    """Run an example with these *names*; return what was not as it says, in words."""
    said: list[str] = []
    example.globs = {"__name__": "__main__", "_awaited": _awaited, **names}
    for one in example.examples:  # as IPython and notebooks do
        one.source = _AWAIT.sub(r"\1_awaited(\2)", one.source)
    doctest.DocTestRunner(optionflags=FLAGS).run(example, out=said.append)
    return "".join(said)
