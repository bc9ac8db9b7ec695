"""What the pages of the API have besides autodoc.

``{members} hippodrome.Client`` is a table of the members of a class, or of a module, each with a
link and the first sentence of what it does. Its lines say how they are grouped: ``Group: name
name``; a member that is in no group, and a name that is no member, fail the build. With
``:besides: hippodrome.AsyncResult`` what that class has as well is left to its own page.

Signatures are shown as users would write them.
"""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from typing import Any, Final

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from hippodrome.client.views.flagged import ViewFlag
from hippodrome.client.views.flags import Flags, TaskFlags

_FOREIGN: Final = ("builtins", "collections", "collections.abc", "typing", "_collections_abc")
_END: Final = re.compile(r"\.\s")  # of a sentence
_ATTRIBUTE: Final = re.compile(r"^    (\w+): (.*(?:\n     .*)*)", re.MULTILINE)
_BORROWED: Final = re.compile(r" *The arguments are those of `(\w+)`\. ?")
# Nobody makes these but clients.
_NOT_MADE: Final = re.compile(r"hippodrome\.Async\w*Result")
# What autodoc makes of annotations that are not evaluated, and what is meant.
_PLAINER: Final = {
    r"~?typing\.~": "",
    r"~(?=[A-Z]\w*\b(?!\.))": "",
    r"~(?=\w+\.)(?:\w+\.)+": "",
    r"(\*\*\w+): Unpack\[\w+\]": r"\1",
    r"Callable\[\[(\w+)\], ": r"Callable[\1, ",
}


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to what autodoc does with each member."""
    app.setup_extension("sphinx.ext.autodoc")
    app.add_directive("members", Members)
    app.connect("autodoc-process-docstring", complete, priority=400)  # before napoleon
    app.connect("autodoc-process-signature", plainer)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


class Members(SphinxDirective):
    """The table of the members of a class or a module."""

    has_content = True
    required_arguments = 1
    option_spec = {"besides": directives.unchanged_required}  # noqa: RUF012

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        thing = _named(self.arguments[0])
        besides = self.options.get("besides")
        known = public_members(thing)
        if besides:
            known -= public_members(_named(besides)) - {*vars(thing)}
        groups = dict(line.split(":", 1) for line in self.content if line.strip())
        named = [name for names in groups.values() for name in names.split()]
        if odd := sorted((known ^ {*named}) | {name for name in named if named.count(name) > 1}):
            raise self.error(f"{self.arguments[0]}: in no group, in two, or no member: {odd}")
        lines = ["| name | what it is |", "|---|---|"]
        for group, names in groups.items():
            lines += [f"| **{group.strip()}** | |"]
            lines += [self._row(thing, name) for name in names.split()]
        found = self.parse_text_to_nodes("\n".join(lines))
        for table in (table for node in found for table in node.findall(nodes.table)):
            table["classes"].append("members")
        return found

    def _row(self, thing: Any, name: str) -> str:
        member = inspect.getattr_static(thing, name, None)
        what = getattr(thing, name, None)
        path = f"{self.arguments[0]}.{name}"
        told = attributes(thing).get(name) or inspect.getdoc(what if what is not None else member)
        if is_flag := isinstance(member, ViewFlag):
            told = attributes(TaskFlags if hasattr(thing, "after") else Flags).get(name)
            told = told or attributes(Flags)[name]
        paragraph = (told or "").split("\n\n")[0]
        sentence = " ".join(_END.split(paragraph)[0].split()).rstrip(":.") + "."
        sentence = sentence.replace("``", "`").replace("|", r"\|")
        sentence = sentence[:1].upper() + sentence[1:]
        if is_flag:
            return f"| [`{name}`](load-balanced-view.md#flags) | {sentence} |"
        if member is None or name in attributes(thing):
            return f"| `{name}` | {sentence} |"
        role = "meth" if callable(what) and not inspect.isclass(what) else "obj"
        if inspect.ismodule(thing):
            role = "func" if role == "meth" else "obj"
        return f"| {{py:{role}}}`{name} <{path}>` | {sentence} |"


def public_members(thing: Any) -> set[str]:
    """Return the names that users may use of a class or a module."""
    if inspect.ismodule(thing):
        return {
            name
            for name in thing.__all__
            if getattr(getattr(thing, name), "__module__", "").startswith(thing.__name__)
        }
    names = {name for name in dir(thing) if not name.startswith("_")}
    return {name for name in names if _owner(thing, name) not in _FOREIGN} | {*attributes(thing)}


def attributes(thing: Any) -> dict[str, str]:
    """Return what the docstring of a class says of its attributes."""
    if not inspect.isclass(thing):
        return {}
    _, _, told = docstring(thing).partition("\nAttributes:\n")
    return dict(_ATTRIBUTE.findall(re.split(r"\n(?=\S)", told)[0]))


def docstring(kind: type) -> str:
    """Return what a class says of itself, with what it leaves to a class below it."""
    told = inspect.getdoc(kind) or ""
    if match := _BORROWED.search(told):
        (below,) = (base for base in kind.__mro__ if base.__name__ == match[1])
        start = re.compile(r"^\w+:$", re.MULTILINE)
        other = inspect.getdoc(below) or ""
        sections = other[found.start() :] if (found := start.search(other)) else ""
        told = told.replace(match[0], "")
        before, examples, after = told.partition("\n>>> ")
        told = f"{before}\n{sections}\n{examples}{after}"
    return told


def complete(
    _app: Sphinx, what: str, _name: str, thing: Any, _options: Any, lines: list[str]
) -> None:
    """Let the docstring of a class say all that it leaves to others."""
    if what == "class" and any(_BORROWED.search(line) for line in lines):
        lines[:] = docstring(thing).splitlines()


def plainer(
    _app: Sphinx,
    _what: str,
    name: str,
    _thing: Any,
    _options: Any,
    signature: str | None,
    returns: str | None,
) -> tuple[str | None, str | None]:
    """Return a signature as users would write it."""
    if _NOT_MADE.fullmatch(name):
        return "", None
    return _plain(signature), _plain(returns)


def _plain(text: str | None) -> str | None:
    for pattern, meant in _PLAINER.items():
        text = re.sub(pattern, meant, text) if text else text
    return text


def _owner(kind: type, name: str) -> str:
    """Return the module of the class that a member is of."""
    return next(base.__module__ for base in kind.__mro__ if name in vars(base))


def _named(path: str) -> Any:
    module, _, name = path.partition(".")
    return getattr(import_module(module), name) if name else import_module(module)
