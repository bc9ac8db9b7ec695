"""Every name and call that users of ipyparallel know is taken here, or is listed as missing."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from inspect import Parameter, Signature
from pathlib import Path
from typing import Any, Final

import pytest

import hippodrome as ipp
from hippodrome.client.history import History
from hippodrome.client.jobs import KnownMetadata, KnownResults
from hippodrome.client.results.metadata import KEYS
from hippodrome.client.view import View
from hippodrome.client.views.executor import ViewExecutor
from support.surface import DIFFERS, METADATA_KEYS, NOT_YET, SURFACE

NAMED: Final = {Parameter.POSITIONAL_OR_KEYWORD, Parameter.POSITIONAL_ONLY}
BY_KEYWORD: Final = {Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY}
ENTRY: Final = re.compile(r"(\w+)(\([^()]*(?:\(\)[^()]*)*\))?")


def entries() -> Iterator[tuple[str, str | None]]:
    """Yield ``Owner.name`` and the documented parameters, if it is a call."""
    for owner, text in SURFACE.items():
        for name, parameters in ENTRY.findall(text):
            yield f"{owner}.{name}", parameters or None


DOCUMENTED: Final = dict(entries())
THERE: Final = sorted(DOCUMENTED.keys() - NOT_YET.keys())
CALLS: Final = [name for name in THERE if DOCUMENTED[name]]


def owner_of(full_name: str) -> Any:
    """Return what the name is an attribute of; None if that is not there itself."""
    owner = full_name.rpartition(".")[0]
    if owner == "View":
        return View
    if owner in dir(ipp) and not owner.islower():
        return getattr(ipp, owner)
    module = owner if owner == "hippodrome" else f"hippodrome.{owner}"
    return import_module(module) if find_spec(module) else None


def is_there(full_name: str) -> bool:
    owner, name = owner_of(full_name), full_name.rpartition(".")[2]
    if inspect.ismodule(owner) and owner is ipp:
        return hasattr(owner, name) or find_spec(f"hippodrome.{name}") is not None
    if not inspect.isclass(owner):
        return hasattr(owner, name)
    return hasattr(owner, name) or any(name in assigned(kind) for kind in owner.__mro__)


def assigned(kind: type) -> tuple[str, ...]:
    """Return the attributes that the constructor of a class uses, most of them by assignment."""
    code = getattr(vars(kind).get("__init__"), "__code__", None)
    return () if code is None else code.co_names


def documented(full_name: str) -> Signature:
    """Return what the table says, as the signature of a function."""
    scope: dict[str, Any] = {"min": min, "max": max}
    exec(f"def f{DOCUMENTED[full_name]}: ...", scope)
    return inspect.signature(scope["f"])


def ours(full_name: str) -> Signature:
    """Return the signature as a caller sees it."""
    owner, name = owner_of(full_name), full_name.rpartition(".")[2]
    signature = inspect.signature(getattr(owner, name))
    parameters = list(signature.parameters.values())
    if inspect.isclass(owner) and parameters and parameters[0].name == "self":
        parameters = parameters[1:]
    return Signature(parameters)


def complaints(wanted: Signature, given: Signature) -> list[str]:
    """Return why a call that *wanted* allows would not be taken by *given*, or would differ."""
    found = list(complaints_about_order(wanted, given))
    for name, parameter in wanted.parameters.items():
        mine = given.parameters.get(name)
        if parameter.kind in {Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD}:
            if not any(p.kind is parameter.kind for p in given.parameters.values()):
                found.append(f"does not take {parameter}")
        elif parameter.kind in BY_KEYWORD and (mine is None or mine.kind not in BY_KEYWORD):
            found.append(f"does not take {name} by keyword")
        if mine is not None and parameter.default not in (Parameter.empty, mine.default):
            found.append(f"{name} is {mine.default!r} by default, not {parameter.default!r}")
    for name, mine in given.parameters.items():
        is_extra = name not in wanted.parameters and mine.kind in BY_KEYWORD
        if is_extra and mine.default is Parameter.empty:
            found.append(f"cannot do without {name}")
    return found


def complaints_about_order(wanted: Signature, given: Signature) -> Iterator[str]:
    theirs = [p for p in wanted.parameters.values() if p.kind in NAMED]
    mine = [p for p in given.parameters.values() if p.kind in NAMED]
    for index, parameter in enumerate(theirs):
        if index >= len(mine):
            yield f"does not take {parameter.name} by position"
        elif parameter.name != mine[index].name and Parameter.POSITIONAL_ONLY not in {
            parameter.kind,
            mine[index].kind,
        }:
            yield f"takes {mine[index].name} where {parameter.name} is given"
    if len(mine) > len(theirs) and "*" in str(wanted).replace("**", ""):
        yield f"takes {mine[len(theirs)].name} from what is meant for *args"


@pytest.mark.parametrize("name", THERE)
def test_a_documented_name_is_there(name: str) -> None:
    assert is_there(name)


@pytest.mark.parametrize("name", NOT_YET)
def test_a_name_that_is_listed_as_missing_is_documented_and_missing(name: str) -> None:
    assert name in DOCUMENTED
    assert not is_there(name), f"{name} is there: strike it from the list"


@pytest.mark.parametrize("name", CALLS)
def test_a_documented_call_is_taken(name: str) -> None:
    found = complaints(documented(name), ours(name))
    if name in DIFFERS:
        assert found, f"{name} differs no more: strike it from the list"
    else:
        assert not found


def test_what_differs_is_documented() -> None:
    assert set(CALLS) >= DIFFERS.keys()


def test_views_of_either_kind_have_what_all_views_have() -> None:
    common = [name for name in THERE if name.startswith("View.")]
    for view in (ipp.DirectView, ipp.LoadBalancedView, ipp.BroadcastView):
        assert all(hasattr(view, name) for _, name in map(split, common) if name not in MADE)


MADE: Final = {"client", "history"}  # by the constructor


def split(full_name: str) -> tuple[str, str]:
    owner, _, name = full_name.rpartition(".")
    return owner, name


def test_metadata_has_the_documented_keys() -> None:
    assert KEYS == METADATA_KEYS


PAGE: Final = Path(__file__).parents[2] / "docs" / "compatibility.md"
# Below which heading the page tells of what.
SECTIONS: Final[dict[str, str]] = {
    "hippodrome": "Package",
    "client.magics": "Package",
    "Client": "Client",
    "View": "Views",
    "DirectView": "Views",
    "LoadBalancedView": "Views",
    "BroadcastView": "Views",
    "ViewExecutor": "Views",
    "AsyncResult": "Results",
    "AsyncMapResult": "Results",
    "RemoteError": "Results",
    "CompositeError": "Results",
    "metadata": "Results",
    "RemoteFunction": "Remote functions and maps",
    "ParallelFunction": "Remote functions and maps",
    "Dependency": "Dependencies, retries, timeouts",
    "scheduler": "Schedulers",
}
TOLD: Final = [name for name in DOCUMENTED if not name.rpartition(".")[2].startswith("__")]


def rows(section: str) -> list[list[str]]:
    """Return the rows of the page's tables below a heading: what it was, and what it is here."""
    text = PAGE.read_text().partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    cells = [line.strip("| ").split(" | ", 1) for line in text.splitlines() if line[:2] == "| "]
    return [row for row in cells if row != ["name", "here"]]


def told_of(section: str, name: str) -> list[str]:
    """Return what the page says of a name."""
    quoted = re.compile(rf"`[^`]*\b{name}\b[^`]*`")
    return [here for was, here in rows(section) if quoted.search(was)]


@pytest.mark.parametrize("full_name", [*TOLD, *(f"metadata.{key}" for key in METADATA_KEYS)])
def test_the_page_says_what_became_of_a_name(full_name: str) -> None:
    owner, name = split(full_name)
    told = told_of(SECTIONS[owner], name)
    assert told, f"docs/compatibility.md does not tell of {name} in {SECTIONS[owner]}"
    if full_name in NOT_YET:
        assert any(here.startswith(("not yet", "left out")) for here in told)
    elif full_name in DIFFERS:
        assert any(here.startswith("differs") for here in told)
    else:
        assert any(here.startswith(("kept", "better", "differs", "not yet: the")) for here in told)


@pytest.mark.parametrize("section", sorted({*SECTIONS.values(), "Serialization", "Hub"}))
def test_each_row_of_the_page_says_first_what_became_of_it(section: str) -> None:
    assert rows(section)
    for _, here in rows(section):
        assert re.match(r"(kept|better|differs|not yet|left out)\b", here), here


@pytest.mark.parametrize(
    ("wanted", "given"),
    [
        (lambda a, b=1: 0, lambda b=1, a=0: 0),
        (lambda a, b=1: 0, lambda a, b=2: 0),
        (lambda a, b=1: 0, lambda a, *, b=1: 0),
        (lambda a, b=1: 0, lambda a, b, /: 0),
        (lambda a: 0, lambda a, b: 0),
        (lambda a, *b: 0, lambda a, c=1, *b: 0),
        (lambda a, *b: 0, lambda a: 0),
        (lambda a, **b: 0, lambda a: 0),
        (lambda *, a=1: 0, lambda: 0),
    ],
)
def test_a_call_that_would_not_be_taken_is_found(
    wanted: Callable[..., int], given: Callable[..., int]
) -> None:
    assert complaints(inspect.signature(wanted), inspect.signature(given))
    assert not complaints(inspect.signature(wanted), inspect.signature(wanted))


OURS: Final[dict[type, str]] = {
    ipp.Client: "engine_states on_interrupt upload",
    ipp.DirectView: "",
    ipp.LoadBalancedView: "",
    ViewExecutor: "",
    History: "copy",
    KnownResults: "",
    KnownMetadata: "clear",
}


@pytest.mark.parametrize("kind", OURS, ids=lambda kind: kind.__name__)
def test_completion_shows_what_users_may_call_and_nothing_else(kind: type) -> None:
    owners = {base.__name__ for base in kind.__mro__}
    known = {name.partition(".")[2] for name in DOCUMENTED if name.partition(".")[0] in owners}
    bases = [base for base in kind.__mro__ if not base.__module__.startswith("hippodrome")]
    foreign = {name for base in bases for name in vars(base)}
    shown = {name for name in dir(kind) if not name.startswith("_")}
    assert shown - known - foreign == set(OURS[kind].split())
