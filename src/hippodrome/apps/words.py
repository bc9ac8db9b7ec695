"""How the programs speak: numbers, spans of time, names, tables."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from hippodrome import paths

_SPANS: Final = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))
_MOST_PARTS: Final = 8
_SIZES: Final = ((1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


def counted(n: int, noun: str) -> str:
    """Return ``1 engine`` or ``4 engines``."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def of_these(n: int, n_asked: int) -> str:
    """Return ``4 engines``, or ``3 of 4 engines``."""
    return counted(n, "engine") if n == n_asked else f"{n:,} of {counted(n_asked, 'engine')}"


def span(seconds: float | None) -> str:
    """Return a span of time in the largest unit of which it has two, or one: ``3 minutes``."""
    if seconds is None:
        return "?"
    size, noun = next((one for one in _SPANS if seconds >= one[0]), _SPANS[-1])
    return counted(int(seconds // size), noun)


def ranges(numbers: Iterable[int]) -> str:
    """Return numbers, neighbors among them as a range: ``0-3, 5``."""
    parts: list[list[int]] = []
    for number in sorted(numbers):
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    shown = [str(first) if first == last else f"{first}-{last}" for first, last in parts]
    return ", ".join(shown[:_MOST_PARTS] + ["..."] * (len(shown) > _MOST_PARTS))


def size(n_bytes: int) -> str:
    """Return a number of bytes: ``12 bytes``, ``1.5 MiB``."""
    for unit, name in _SIZES:
        if n_bytes >= unit:
            return f"{n_bytes / unit:.1f} {name}"
    return counted(n_bytes, "byte")


def shown(name: str) -> str:
    """Return a name as it is, or quoted where it would be taken for something else."""
    is_plain = name and name.isprintable() and not any(c.isspace() or c in "'\"" for c in name)
    return name if is_plain else repr(name)


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table, each column as wide as it needs to be."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(f"{cell:<{n}}" for cell, n in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def options_of(profile_dir: Path, cluster_id: str, ipython_dir: Path) -> str:
    """Return what a command needs to mean this cluster, to be copied into a shell.

    Args:
        profile_dir: the cluster's profile.
        cluster_id: its id.
        ipython_dir: where the profiles are that have names.
    """
    words = []
    if profile_dir.parent != ipython_dir or not profile_dir.name.startswith("profile_"):
        words.append(f"--profile-dir={profile_dir}")
    else:
        if ipython_dir != paths.ipython_dir():
            words.append(f"--ipython-dir={ipython_dir}")
        if profile_dir.name != "profile_default":
            words.append(f"--profile={profile_dir.name.removeprefix('profile_')}")
    if cluster_id:
        words.append(f"--cluster-id={cluster_id}")
    return "".join(f" {shlex.quote(word)}" for word in words)
