"""The built site as a reader's browser has it: its pages, where their links lead, their anchors."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

SITE: Final = Path(__file__).parents[2] / "docs" / "_build" / "html"
_LINKS: Final = {"a": "href", "link": "href", "img": "src", "script": "src", "iframe": "src"}
# Roles that say which thing they mean; `x` in a docstring may as well be an argument.
_ROLES: Final = re.compile(r"\bxref py py-(?:meth|func|class|attr|exc|data|mod)\b")


@dataclass(slots=True)
class Page:
    """What a page leads to, and what leads to it.

    Attributes:
        path: of the file.
        links: where its links lead, as they are written.
        anchors: what a link can name in it.
        loose: names of the API that should be links, and are none.
    """

    path: Path
    links: set[str] = field(default_factory=set)
    anchors: set[str] = field(default_factory=set)
    loose: set[str] = field(default_factory=set)


class _Reader(HTMLParser):
    def __init__(self, page: Page) -> None:
        super().__init__()
        self.page = page
        self._n_links = 0
        self._loose = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.page.anchors |= {value for key in ("id", "name") if (value := given.get(key))}
        if tag in _LINKS and (link := given.get(_LINKS[tag])):
            self.page.links.add(link)
        self._n_links += tag == "a"
        if tag == "code" and not self._n_links and _ROLES.search(given.get("class") or ""):
            self._loose = "code"

    def handle_endtag(self, tag: str) -> None:
        self._n_links -= tag == "a"
        if tag == "code":
            self._loose = ""

    def handle_data(self, data: str) -> None:
        if self._loose:
            self.page.loose.add(data)


@cache
def pages() -> dict[str, Page]:
    """Return the pages that the last build has made, by their paths in the site."""
    text = (SITE / "searchindex.js").read_text(encoding="utf-8")
    index: dict[str, Any] = json.loads(text[text.index("{") : text.rindex("}") + 1])
    return {
        name: read(SITE / name)
        for name in sorted([*(f"{name}.html" for name in index["docnames"]), "search.html"])
    }


def read(path: Path) -> Page:
    """Return what is on the page at *path*."""
    page = Page(path)
    _Reader(page).feed(path.read_text(encoding="utf-8"))
    return page


def dead_links(page: Page) -> Iterator[str]:
    """Yield the links of a page to places in the site that are not there."""
    for link in sorted(page.links):
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        path = page.path
        if parts.path:
            path = path.parent / unquote(parts.path)
        if not path.exists() or (
            parts.fragment
            and path.suffix == ".html"
            and unquote(parts.fragment) not in _anchors(path.resolve())
        ):
            yield link


@cache
def _anchors(path: Path) -> set[str]:
    return read(path).anchors
