"""Tells the IPython of this process about a view's magics."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any  # Any: IPython's shell, which is not typed

from hippodrome.client.link.connecting import running_shell
from hippodrome.errors import RemoteError

if TYPE_CHECKING:
    from hippodrome.client.views.direct import DirectView


def activate(view: DirectView, suffix: str = "") -> None:
    """Let ``%px`` and its family, with *suffix*, run cells on *view*.

    Warns:
        RuntimeWarning: this process is no IPython.
    """
    shell = running_shell()
    if shell is None:
        warnings.warn(
            "activate() is for IPython and notebooks: there are no magics elsewhere",
            RuntimeWarning,
            stacklevel=3,
        )
        return
    from hippodrome.magics.px import ParallelMagics

    ParallelMagics(shell, view, suffix).register()
    _fold_errors(shell)


def _fold_errors(shell: Any) -> None:
    """Show errors of engines as we render them: IPython has its own way with groups."""
    if not shell.custom_exceptions:
        shell.set_custom_exc((RemoteError,), _show_folded)


def _show_folded(
    shell: Any, etype: type, value: RemoteError, tb: object, tb_offset: int | None = None
) -> list[str]:
    lines = value._render_traceback_()
    shell._showtraceback(etype, value, lines)
    return lines


def has_magics() -> bool:
    """Whether ``%px`` is there and has a view, or there is no IPython at all."""
    shell = running_shell()
    if shell is None:
        return True
    known = shell.find_line_magic("px")
    return known is not None and getattr(getattr(known, "__self__", None), "view", True) is not None


def load_ipython_extension(shell: Any) -> None:
    """Offer the magics before there is a client, as ``%load_ext hippodrome`` does.

    The first client that is made afterwards is the one that they use.
    """
    from hippodrome.magics.px import ParallelMagics

    if shell.find_line_magic("px") is None:
        ParallelMagics(shell).register()
