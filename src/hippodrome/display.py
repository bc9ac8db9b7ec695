"""Shows displayed data where this process shows things: richly in IPython, else as text."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, TextIO  # Any: displayed data, and IPython's shell, which is not typed


def running_shell() -> Any:
    """Return the IPython shell of this process, None if there is none."""
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython is not None else None


def has_ipython() -> bool:
    """Whether this process is an interactive IPython, which can show more than text."""
    return running_shell() is not None


def shows_more_than_text() -> bool:
    """Whether what shows this process's displays is a notebook, and no terminal."""
    shell = running_shell()
    return shell is not None and hasattr(shell, "kernel")


def write(stream: TextIO | None, text: str) -> None:
    """Write *text*, what the stream's encoding cannot say in another form.

    Args:
        stream: ``sys.stdout`` or ``sys.stderr``; a program without a console has None there.
        text: what to write.
    """
    if stream is None:
        return
    try:
        stream.write(text)
    except UnicodeEncodeError:
        encoding = stream.encoding or "ascii"
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
    stream.flush()


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
            text = data.get("text/plain", "<" + ", ".join(data) + ">")
            write(sys.stdout, f"{text}\n")
        return
    from IPython.display import publish_display_data

    publish_display_data(
        dict(data), dict(metadata or {}), transient=dict(transient or {}), update=update
    )
