"""Pages of the site that are files at the root of the repository, and links to files beside them.

A page `explained/architecture.md` that says ``{repo-file} ARCHITECTURE.md`` is that file. Links of
any page to files of the repository lead to their page where the site has one, and to the source
where it has none; so that the same text can be read in a checkout and on the site.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any, Final

from sphinx.application import Sphinx

PAGES: Final = {
    "ARCHITECTURE.md": "explained/architecture.md",
    "CHANGELOG.md": "explained/changelog.md",
    "CONTRIBUTING.md": "explained/contributing.md",
    "README.md": "index.md",
}
_WHOLE: Final = re.compile(r"\A\{repo-file\} (\S+)\n*\Z")
_LINK: Final = re.compile(r"(\]\()(?!\w+:|#|/)([^)\s#]+)(#[^)\s]*)?(\))")


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to what Sphinx does with each page."""
    app.add_config_value("repository_url", "", "env", str)
    app.connect("source-read", read, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def read(app: Sphinx, name: str, source: list[str]) -> None:
    """Put the file in the place of the page, and turn the links."""
    page = Path(app.env.doc2path(name))
    if page.suffix != ".md":
        return
    root = Path(app.srcdir).parent
    folder = page.parent.relative_to(root).as_posix()
    if whole := _WHOLE.match(source[0]):
        app.env.note_dependency(str(root / whole[1]))
        source[0] = (root / whole[1]).read_text(encoding="utf-8")
        folder = posixpath.dirname(whole[1])

    def turned(match: re.Match[str]) -> str:
        before, path, anchor, after = match.groups()
        target = posixpath.normpath(posixpath.join(folder, path))
        if target in PAGES:
            target = posixpath.join("docs", PAGES[target])
        if target.startswith("docs/") or not (root / target).exists():
            new = posixpath.relpath(target, page.parent.relative_to(root).as_posix())
            return f"{before}{new}{anchor or ''}{after}"
        return f"{before}{app.config.repository_url}/blob/main/{target}{anchor or ''}{after}"

    source[0] = _LINK.sub(turned, source[0])
