"""docs/protocol.md names every message and every field, in the order in which they travel."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import msgspec
import pytest

from hippodrome.protocol import messages
from hippodrome.protocol.messages import PROTOCOL, UNNUMBERED, Message, Record

PAGE: Final = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text()
SECTIONS: Final[dict[str, str]] = dict(
    re.findall(r"^### (.+)\n((?:(?!^##).*\n)*)", PAGE, re.MULTILINE)
)


def of_kind(base: type) -> list[type[msgspec.Struct]]:
    kinds = [kind for kind in vars(messages).values() if isinstance(kind, type)]
    return [kind for kind in kinds if issubclass(kind, base) and kind is not base]


def tag_of(kind: type[msgspec.Struct]) -> str:
    tag = kind.__struct_config__.tag
    assert isinstance(tag, str)
    return tag


def fields_in(section: str) -> list[tuple[str, bool]]:
    """Return the rows of the section's first table: each field, and whether it has a default."""
    table = section.partition("| field |")[2].partition("\n\n")[0].splitlines()[2:]
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in table]
    return [(row[0], row[2] != "") for row in rows]


def fields_of(kind: type[msgspec.Struct]) -> list[tuple[str, bool]]:
    return [(field.name, not field.required) for field in msgspec.structs.fields(kind)]


@pytest.mark.parametrize("kind", of_kind(Message), ids=tag_of)
def test_every_message_has_a_section_with_its_fields_in_order(kind: type[msgspec.Struct]) -> None:
    assert fields_in(SECTIONS[f"`{tag_of(kind)}`"]) == fields_of(kind)


@pytest.mark.parametrize("kind", of_kind(Record), ids=lambda kind: kind.__name__)
def test_every_part_has_a_section_with_its_fields_in_order(kind: type[msgspec.Struct]) -> None:
    assert fields_in(SECTIONS[kind.__name__]) == fields_of(kind)


def test_the_page_describes_no_message_that_there_is_not() -> None:
    known = {f"`{tag_of(kind)}`" for kind in of_kind(Message)}
    assert set(SECTIONS) == known | {kind.__name__ for kind in of_kind(Record)}


def test_the_page_says_which_messages_are_not_numbered() -> None:
    flat = {heading: " ".join(text.split()) for heading, text in SECTIONS.items()}
    not_numbered = {heading for heading, text in flat.items() if "Not numbered" in text}
    assert not_numbered == {f"`{tag_of(kind)}`" for kind in UNNUMBERED}


def test_the_page_is_about_this_version() -> None:
    assert PAGE.startswith(f"# The hippodrome protocol, version {PROTOCOL}\n")
    assert f"| protocol | int | | {PROTOCOL}. Always" in PAGE
