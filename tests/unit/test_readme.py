"""What the README links to, names and shows: all of it is in the repository."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
README: Final = (ROOT / "README.md").read_text(encoding="utf-8")
LINKS: Final = re.findall(r"\]\(([^)\s]+)\)", README)
PLACES: Final = {
    "https://hippodrome.readthedocs.io/en/latest/": "docs",
    "https://github.com/hippodrome/hippodrome/blob/main/": ".",
    "https://raw.githubusercontent.com/hippodrome/hippodrome/main/": ".",
}


@pytest.mark.parametrize("link", LINKS)
def test_each_link_of_the_readme_leads_somewhere_from_anywhere(link: str) -> None:
    (base,) = [base for base in PLACES if link.startswith(base)]
    path = ROOT / PLACES[base] / link.removeprefix(base).replace(".html", ".md")
    assert path.exists()


def test_the_readme_has_links_and_one_picture() -> None:
    assert len(LINKS) > 10
    assert README.count("![") == 1


def test_the_readme_fits_on_a_page() -> None:
    assert len(README.splitlines()) <= 66


def test_the_extras_that_the_readme_installs_exist() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = re.findall(r'pip install "\.\[([\w,]+)\]"', README)
    assert named
    for group in named:
        assert set(group.split(",")) <= extras["optional-dependencies"].keys()


def test_the_address_of_the_pages_is_that_of_the_project() -> None:
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]
    assert any(base.startswith(urls["Documentation"]) for base in PLACES)
    assert any(base.startswith(urls["Source"]) for base in PLACES)
