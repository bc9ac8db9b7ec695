"""Shows displayed data where this process shows things: richly in IPython, else as text."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any  # Any: displayed data


def has_ipython() -> bool:
    """Whether this process is an interactive IPython, which can show more than text."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and ipython.get_ipython() is not None


def show(
    data: Mapping[str, Any],
    metadata: Mapping[str, Any] | None = None,
    transient: Mapping[str, Any] | None = None,
    update: bool = False,
) -> None:
    """Show *data* by mime type.

    Args:
        data: as in the Jupyter protocol.
        metadata: of these data.
        transient: may hold a ``display_id``.
        update: whether this replaces what was shown under that.
    """
    if not has_ipython():
        if not update or "text/plain" in data:
            print(data.get("text/plain", "<" + ", ".join(data) + ">"))
        return
    from IPython.display import publish_display_data

    publish_display_data(
        dict(data), dict(metadata or {}), transient=dict(transient or {}), update=update
    )
