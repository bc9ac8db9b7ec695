"""Whatever a page of the site leads to is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from support import htmlpages

pytestmark = pytest.mark.skipif(
    not (htmlpages.SITE / "searchindex.js").exists(),
    reason="the site has not been built: make docs",
)


def test_all_links_between_pages_lead_somewhere() -> None:
    pages = htmlpages.pages()
    assert len(pages) > 30
    dead = {name: found for name, page in pages.items() if (found := [*htmlpages.dead_links(page)])}
    assert not dead


def test_what_is_meant_of_the_api_is_a_link() -> None:
    loose = {
        name: found
        for name, page in htmlpages.pages().items()
        if (found := {text for text in page.loose if text.startswith("hippodrome.")})
    }
    assert not loose


def test_what_is_wrong_is_found(tmp_path: Path) -> None:
    (tmp_path / "other.html").write_text("<h1 id='here'>other</h1>")
    page = tmp_path / "page.html"
    page.write_text(
        "<a href='other.html#here'>1</a> <a href='other.html#there'>2</a> <a href='no.html'>3</a>"
        "<a href='https://example.org/no.html'>4</a> <a href='#nowhere'>5</a><img src='no.png'>"
        "<code class='xref py py-meth'><span>hippodrome.no()</span></code>"
        "<a href='#'><code class='xref py py-meth'>hippodrome.yes()</code></a>"
    )
    found = htmlpages.read(page)
    assert [*htmlpages.dead_links(found)] == ["#nowhere", "no.html", "no.png", "other.html#there"]
    assert found.loose == {"hippodrome.no()"}
