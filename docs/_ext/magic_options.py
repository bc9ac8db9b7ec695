"""``{magic-options} cell_px``: the table of the options of a magic, read off its parser."""

from __future__ import annotations

from argparse import Action
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from hippodrome.magics.px import ParallelMagics


def setup(app: Sphinx) -> dict[str, Any]:
    """Make the directive known."""
    app.add_directive("magic-options", MagicOptions)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


class MagicOptions(SphinxDirective):
    """The table of the options of a magic."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        actions = getattr(ParallelMagics, self.arguments[0]).parser._actions
        rows = [_row(action) for action in actions if action.option_strings]
        lines = ["| option | what it does |", "|---|---|", *rows]
        return self.parse_text_to_nodes("\n".join(lines))


def _row(action: Action) -> str:
    value = ""
    if action.nargs != 0:
        choices = "\\|".join(map(str, action.choices or ()))
        value = f" {choices or action.metavar or action.dest.upper()}"
    names = ", ".join(f"`{name}{value}`" for name in action.option_strings)
    return f"| {names} | {action.help} |"
