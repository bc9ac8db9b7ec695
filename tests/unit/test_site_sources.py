"""What the pages of the site are made of: every block runs, or says why it does not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

import hippodrome as ipp

DOCS: Final = Path(__file__).parents[2] / "docs"
SECTIONS: Final = ("start", "tutorials", "how-to", "trouble", "coming-from")
PAGES: Final = sorted(page for section in SECTIONS for page in (DOCS / section).rglob("*.md"))
REFERENCE: Final = "\n".join(page.read_text() for page in (DOCS / "reference").rglob("*.md"))
LIVE: Final = {"code-cell", "terminal", "file", "not-run"}
STILL: Final = re.compile(
    r"toctree|include|figure|image|note|tip|warning|important|seealso|dropdown|eval-rst|table"
    r"|list-table|grid|card|tab-"
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_what_looks_like_code_runs(page: Path) -> None:
    opened = ""
    for number, line in enumerate(page.read_text().splitlines(), 1):
        fence = re.match(r"(`{3,}|~{3,}|:{3,})(.*)", line)
        if fence is None:
            continue
        if opened:
            opened = "" if fence[1] == opened and not fence[2] else opened
            continue
        if fence[1][0] == ":":
            continue
        opened = fence[1]
        kind = fence[2].strip()
        directive = re.match(r"\{([a-z-]+)\}", kind)
        assert directive or kind == "text", (
            f"line {number}: a block of {kind or 'nothing'} is not run: make it a code-cell, a "
            "terminal, a file, text, or not-run with a reason"
        )
        if directive:
            name = directive[1]
            assert name in LIVE or STILL.match(name), f"line {number}: what is {{{name}}}?"


@pytest.mark.parametrize("name", sorted(ipp.__all__))
def test_each_public_name_is_in_the_reference(name: str) -> None:
    assert re.search(rf"\bhippodrome\.{re.escape(name)}\b", REFERENCE)
