"""docs/trouble/messages.md: each error class has its section there, each text of ours its place."""

from __future__ import annotations

import ast
import re
from typing import Final

import pytest
from tests.support.raised import PACKAGE, made, says_something

PAGE: Final = PACKAGE.parents[1] / "docs" / "trouble" / "messages.md"
CLASSES: Final = frozenset(
    node.name
    for node in ast.parse((PACKAGE / "errors.py").read_text()).body
    if isinstance(node, ast.ClassDef)
)
MADE: Final = tuple(made(CLASSES))
SECTIONS: Final = dict(re.findall(r"^### (\w+)\n(.*?)(?=^##|\Z)", PAGE.read_text(), re.M | re.S))
MESSAGE: Final = re.compile(r"^(?:- )?(`+)(?P<text>.+?)\1(?:\{#(?P<anchor>[\w-]+)\})?$", re.M)
# Texts that are the program's own, or those of errors that are raised once more.
OTHERS_WORDS: Final = {
    "client/link/core.py": {"reason or self.reason", "event.reason"},
    "client/link/io_thread.py": {"action.reason", "reason"},
    "client/link/standing.py": {"str(lost)"},
    "error.py": {"name"},
    "errors.py": {"self.message", "*item"},
    "hub/core.py": {"str(error)"},
    "magics/running.py": {"error"},
    "scheduler/reception.py": {"message.reason"},
    "scheduler/refusals.py": {"reason"},
    "serialize/failures.py": {"failure.ename", "failure.evalue"},
}


def texts_of(section: str) -> list[str]:
    """Return the messages of a section as they stand on the page."""
    return [match["text"] for match in MESSAGE.finditer(SECTIONS.get(section, ""))]


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_each_class_has_its_section(name: str) -> None:
    assert name in SECTIONS


@pytest.mark.parametrize("name", sorted({place.kind for place in MADE}))
def test_each_text_is_on_the_page(name: str) -> None:
    texts = texts_of(name)
    missing = []
    for place in MADE:
        if place.kind == name and place.says_nothing_itself:
            file = place.where.partition(":")[0]
            assert place.source in OTHERS_WORDS.get(file, ()), (
                f"{place.where}: what does {place.source} say? if words of ours, add where to "
                "tests/support/raised.py"
            )
        elif place.kind == name:
            missing += [each for each in place.patterns if not is_among(each, texts)]
    assert not missing, f"add these to the section {name} of {PAGE.name}: {readable(missing)}"


def test_no_section_and_no_text_is_of_what_is_no_more() -> None:
    assert set(SECTIONS) <= CLASSES
    patterns = {
        kind: [each for place in MADE if place.kind == kind for each in place.patterns]
        for kind in CLASSES
    }
    patterns["AlreadyDisplayedError"] = [".*, shown above"]
    patterns["ClusterError"] += ["the controller has no room for more connections: .*"]
    old = [
        f"{kind}: {text}"
        for kind in SECTIONS
        for text in texts_of(kind)
        if not any(is_like(each, text) for each in patterns[kind] if says_something(each))
    ]
    assert not old


def test_each_text_but_those_of_the_protocol_has_an_anchor_of_its_own() -> None:
    anchors = [
        match["anchor"]
        for kind, section in SECTIONS.items()
        for match in MESSAGE.finditer(section)
        if kind != "ProtocolError"
    ]
    assert None not in anchors
    assert len(set(anchors)) == len(anchors)


def is_among(pattern: str, texts: list[str]) -> bool:
    return any(is_like(pattern, text) for text in texts)


def is_like(pattern: str, text: str) -> bool:
    flat = re.sub(r"(\\\n|\\?`|\s|\\ )+", lambda found: r"\s*", pattern)
    return re.search(flat, text, re.S) is not None


def readable(patterns: list[str]) -> list[str]:
    return [re.sub(r"\\(.)", r"\1", each).replace(".*", "...") for each in patterns]
