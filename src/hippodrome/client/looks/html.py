"""How clients, views, results and clusters look in a notebook.

A `Panel` says what is shown, `render` makes HTML of it. Notebooks drop scripts and style sheets,
so every style is inline; colors are those of the text around, or tints that suit light and dark.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from hippodrome.client.looks.svg import COLORS, OPACITIES, WIDTH, draw
from hippodrome.client.looks.timeline import ABORTED, ERROR, OK, PENDING, Timeline
from hippodrome.client.looks.words import printable, shortened

LONGEST_FACT: Final = 120  # characters
LONGEST_NOTE: Final = 400

_BOX: Final = (
    f"max-width:{WIDTH}px;margin:4px 0;padding:8px 12px;font-size:13px;line-height:1.5;"
    "border:1px solid rgba(128,128,128,.35);border-radius:6px;color:inherit"
)
_STATE: Final = "padding:1px 8px;border-radius:9px;font-size:12px;float:right"
_FACT: Final = "display:inline-block;margin-right:18px;unicode-bidi:isolate"
_NAME: Final = "opacity:.65"
_TRACK: Final = (
    "height:6px;margin:6px 0;border-radius:3px;overflow:hidden;font-size:0;line-height:0;"
    "white-space:nowrap;background:rgba(128,128,128,.2)"
)
_NOTE: Final = (
    "margin-top:4px;padding-left:8px;white-space:pre-wrap;overflow-wrap:anywhere;"
    "font-family:monospace;font-size:12px;unicode-bidi:isolate;border-left:3px solid "
)


@dataclass(frozen=True, slots=True)
class Progress:
    """How many tasks have ended in which way."""

    ok: int
    error: int
    aborted: int
    n: int

    @property
    def pending(self) -> int:
        return self.n - self.ok - self.error - self.aborted


@dataclass(frozen=True, slots=True)
class Panel:
    """The panel that shows one object.

    Attributes:
        title: what it is.
        name: which one, as plain text, like all texts here.
        state: in a word.
        tone: what that word means: one of the kinds of a timeline.
        facts: names and values.
        progress: for results.
        note: what went wrong, if anything.
        timeline: for results.
    """

    title: str
    name: str
    state: str
    tone: str
    facts: Sequence[tuple[str, str]] = ()
    progress: Progress | None = None
    note: str = ""
    timeline: Timeline | None = None


def render(panel: Panel) -> str:
    """Return *panel* as one element that is good XML too."""
    parts = [_head(panel)]
    if panel.progress is not None:
        parts.append(_bar(panel.progress) + _counts(panel.progress))
    if panel.facts:
        parts.append(f"<div>{''.join(_fact(name, value) for name, value in panel.facts)}</div>")
    if panel.note:
        parts.append(_note(panel.note))
    if panel.timeline is not None:
        parts.append(draw(panel.timeline))
    return f'<div style="{_BOX}">{"".join(parts)}</div>'


def escaped(text: str, most: int = LONGEST_FACT) -> str:
    """Return *text* for use in HTML and XML: cut, and without what these cannot hold."""
    return html.escape(printable(shortened(text, most)))


def tint(kind: str, opacity: float) -> str:
    """Return the color of a kind of task, as transparent as that."""
    red, green, blue = COLORS[kind]
    return f"rgba({red},{green},{blue},{opacity})"


def _head(panel: Panel) -> str:
    name = f' <code style="color:inherit">{escaped(panel.name)}</code>' if panel.name else ""
    state = f"{_STATE};background:{tint(panel.tone, 0.25)}"
    return (
        f'<div><span style="{state}">{escaped(panel.state)}</span>'
        f"<b>{escaped(panel.title)}</b>{name}</div>"
    )


def _bar(progress: Progress) -> str:
    counts = {OK: progress.ok, ERROR: progress.error, ABORTED: progress.aborted}
    parts = (_part(kind, n / progress.n) for kind, n in counts.items() if n)
    return f'<div style="{_TRACK}">{"".join(parts)}</div>'


def _part(kind: str, share: float) -> str:
    color = tint(kind, OPACITIES[kind])
    return (
        f'<span style="display:inline-block;height:6px;width:{100 * share:.3f}%;'
        f'background:{color}"></span>'
    )


def _counts(progress: Progress) -> str:
    """Return how many there are of each kind, which explains the colors too."""
    done = progress.n - progress.pending
    counts = (
        (OK, "ok", progress.ok),
        (ERROR, "failed", progress.error),
        (ABORTED, "aborted", progress.aborted),
        (PENDING, "not finished", progress.pending),
    )
    legend = "".join(_count(kind, word, n) for kind, word, n in counts if n)
    return f"<div>{_fact('tasks done', f'{done:,} of {progress.n:,}')}{legend}</div>"


def _count(kind: str, word: str, n: int) -> str:
    dot = (
        '<span style="display:inline-block;width:9px;height:9px;border-radius:2px;'
        f'margin-right:5px;background:{tint(kind, OPACITIES[kind])}"></span>'
    )
    return f'<span style="{_FACT}">{dot}{n:,} <span style="{_NAME}">{word}</span></span>'


def _fact(name: str, value: str) -> str:
    shown = f'<span style="{_NAME}">{escaped(name)}</span> {escaped(value)}'
    return f'<span style="{_FACT}">{shown}</span>'


def _note(text: str) -> str:
    return f'<div style="{_NOTE}{tint(ERROR, 0.8)}">{escaped(text, LONGEST_NOTE)}</div>'
