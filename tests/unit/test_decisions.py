"""Each decision has its page, which says when it was made, and the list has them all."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

PAGES: Final = Path(__file__).parents[2] / "docs" / "adr"
FILES: Final = sorted(PAGES.glob("[0-9]*.md"))


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
def test_a_decision_has_a_date_and_its_parts(file: Path) -> None:
    text = file.read_text()
    number, title = re.match(r"# (\d+)\. (.+)\n", text).groups()  # type: ignore[union-attr]
    assert int(number) == int(file.name[:4])
    assert re.search(r"^Status: [a-z ]+\d*\. Date: 20\d\d-\d\d-\d\d\.$", text, re.MULTILINE)
    for part in ("Context", "Decision", "Consequences"):
        assert f"\n## {part}\n" in text
    assert f"| [{number}]({file.name}) | {title} |" in (PAGES / "README.md").read_text()


def test_there_are_no_gaps() -> None:
    assert [int(file.name[:4]) for file in FILES] == list(range(1, len(FILES) + 1))
