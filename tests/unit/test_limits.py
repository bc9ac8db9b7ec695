"""docs/limits.md says what the source says."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Final

import pytest

PAGE: Final = Path(__file__).parents[2] / "docs" / "limits.md"
UNITS: Final = {"": 1, "ms": 0.001, "s": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
ROW: Final = re.compile(r"\| .*? \| (?:\w+ )?([\d,]+) ?(\w*) \| `([\w/]+)\.py: (\w+)` \|")


def rows() -> list[tuple[str, str, float]]:
    """Return module, name and value of each row."""
    found = ROW.findall(PAGE.read_text())
    return [
        (module.replace("/", "."), name, int(number.replace(",", "")) * UNITS[unit])
        for number, unit, module, name in found
    ]


@pytest.mark.parametrize(("module", "name", "value"), rows())
def test_a_limit_is_what_the_page_says(module: str, name: str, value: float) -> None:
    assert getattr(importlib.import_module(f"hippodrome.{module}"), name) == value


def test_every_row_is_understood() -> None:
    assert PAGE.read_text().count(".py: ") == len(rows()) > 20
