"""Each row of docs/compatibility.md names a test that proves it, and each such test is there."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from support.proofs import PROOFS

TESTS: Final = Path(__file__).parents[1]
PAGE: Final = TESTS.parent / "docs" / "compatibility.md"


def rows() -> list[tuple[str, str]]:
    """Return the section and the text of each row of the page's tables."""
    found: list[tuple[str, str]] = []
    section = ""
    for line in PAGE.read_text().splitlines():
        if line.startswith("## "):
            section = line.removeprefix("## ")
        elif line.startswith("| ") and not line.startswith("| name | here"):
            found.append((section, line.removeprefix("| ")))
    return found


def proofs_of(section: str, row: str) -> list[str]:
    """Return the proofs under the longest name that a row begins with."""
    names = [name for name in PROOFS.get(section, {}) if row.startswith(name)]
    return PROOFS[section][max(names, key=len)].split() if names else []


@cache
def names_in(name: str) -> set[str]:
    files = TESTS.glob(f"*/test_{name}.py")
    return {test for file in files for test in re.findall(r"def test_(\w+)", file.read_text())}


@pytest.mark.parametrize(("section", "row"), rows())
def test_a_row_has_a_proof(section: str, row: str) -> None:
    assert proofs_of(section, row), f"name a test of this row in support/proofs.py: {row}"


@pytest.mark.parametrize(
    "proof",
    sorted(
        {proof for named in PROOFS.values() for text in named.values() for proof in text.split()}
    ),
)
def test_a_proof_is_there(proof: str) -> None:
    file, _, name = proof.partition("::")
    assert name in names_in(file), f"there is no test {name} in a file test_{file}.py"


def test_a_proof_is_of_a_row() -> None:
    used: Counter[tuple[str, str]] = Counter()
    for section, row in rows():
        names = [name for name in PROOFS.get(section, {}) if row.startswith(name)]
        used.update([(section, max(names, key=len))] if names else [])
    unused = [(s, name) for s, named in PROOFS.items() for name in named if (s, name) not in used]
    assert not unused, "strike these from support/proofs.py, no row begins so"
    assert not [name for name, n in used.items() if n > 1], "two rows have the same proofs"
