"""Messages on trouble/messages.md have addresses of their own: a sign beside each leads to it."""

from __future__ import annotations

from typing import Any, Final

from docutils import nodes
from sphinx.application import Sphinx

PREFIX: Final = "msg-"


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to what Sphinx does with each page."""
    app.connect("doctree-resolved", link)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def link(_app: Sphinx, doctree: nodes.document, _name: str) -> None:
    """Put a sign beside each message, as Sphinx does beside headings."""
    for message in list(doctree.findall(nodes.literal)):
        own = next((name for name in message["ids"] if name.startswith(PREFIX)), None)
        if own is not None:
            sign = nodes.reference("", "#", refuri=f"#{own}", internal=True, classes=["headerlink"])
            message.parent.insert(message.parent.index(message) + 1, sign)
