"""``python -m benchmarks``: measure this machine, show a table, write JSON if asked.

Figures are medians over repetitions; ours and the yardstick take turns, so that whatever else
the machine does disturbs both.
"""

from __future__ import annotations

import argparse
import json
import platform
from pathlib import Path

from benchmarks.step_a import Figure, measure


def main() -> None:
    options = parse_arguments()
    figures = measure(n_tasks=options.tasks, repetitions=options.repetitions)
    print(table(figures))
    if options.json:
        machine = {"python": platform.python_version(), "system": platform.platform()}
        shown = {"machine": machine, "figures": [figure.as_dict() for figure in figures]}
        options.json.write_text(json.dumps(shown, indent=1) + "\n")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--tasks", type=int, default=10_000, help="no-op tasks per repetition")
    parser.add_argument("--repetitions", type=int, default=5, help="how often; medians are shown")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    return parser.parse_args()


def table(figures: list[Figure]) -> str:
    rows = [("", "ours", "yardstick", "ratio", "goal", "")]
    rows += [figure.as_row() for figure in figures]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


if __name__ == "__main__":
    main()
