"""Where errors were raised, in a line: ``engine 1:f, item 17``, or ``engines 1, 3`` for several."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

# What errors tell: ``engine_id``, ``method``, and of maps ``item``; or ``items``, the first and the
# last of those of which it is one. Any: a program may have made the error.
Info = dict[str, Any]

MOST_RUNS: Final = 8  # of numbers in a line
MOST_LISTED: Final = 16  # numbers, each by itself
MOST_OTHERS: Final = 3  # that are named one by one


def mark(info: Info) -> str:
    """Return ``1:f, item 17``; empty if nothing is known."""
    engine, method = info.get("engine_id"), info.get("method")
    place = "" if engine is None else f"{engine}:{method}"
    return ", ".join(part for part in (place, _place_in_map(info)) if part)


def heading(ename: str, infos: Sequence[Info]) -> list[str]:
    """Return lines on where errors that are alike were raised, as far as that is known.

    Args:
        ename: what they are.
        infos: of each; the traceback of the first one follows.
    """
    first = mark(infos[0])
    if first and infos[0].get("engine_id") is not None:
        first = f"engine {first}"
    if len(infos) == 1:
        return [first] if first else []
    return [folded(ename, infos), *([f"{first}{others(infos)}"] if first else [])]


def folded(ename: str, infos: Sequence[Info]) -> str:
    """Return a line on where several errors that are alike were raised."""
    engines = numbers("engine", [info.get("engine_id") for info in infos])
    items = numbers("item", [info.get("item") for info in infos])
    n = len({info.get("item") for info in infos} - {None})
    parts = [ename]
    if n == len(infos):
        parts.append(f"in {items}")
    elif not engines or len({info.get("engine_id") for info in infos}) < len(infos):
        parts.append(f"in {len(infos)} tasks")
    if engines:
        parts.append(f"on {engines}")
    return f"{' '.join(parts)}; first:"


def others(infos: Sequence[Info]) -> str:
    """Return where the same was raised besides, if these are few and no run of engines says it."""
    if "-" in numbers("", [info.get("engine_id") for info in infos]) and "item" not in infos[0]:
        return ""
    marks = list(dict.fromkeys(mark(info) for info in infos[1:]))
    marks = [one for one in marks if one and one != mark(infos[0])]
    if not 0 < len(marks) <= MOST_OTHERS or len(marks) + 1 < len(infos):
        return ""
    return f" (the same: {'; '.join(marks)})"


def numbers(noun: str, found: Iterable[Any]) -> str:
    """Return ``engines 0, 2-5``: runs of three and more are drawn together; empty for none."""
    known = sorted({number for number in found if isinstance(number, int)})
    if not known:
        return ""
    runs: list[list[int]] = []
    for number in known:
        if runs and runs[-1][-1] + 1 == number:
            runs[-1].append(number)
        else:
            runs.append([number])
    parts: list[str] = []
    for run in runs[: MOST_RUNS + 1]:
        parts += [f"{run[0]}-{run[-1]}"] if len(run) > 2 else map(str, run)
    if len(parts) > MOST_RUNS:
        parts[MOST_RUNS:] = ["..."]
    return f"{noun}{'s' * (len(known) > 1)} {', '.join(parts)}"


def listed(found: Iterable[int]) -> str:
    """Return ``0, 1, 2``, and of many numbers ``0-999``: as a message may have them."""
    known = list(found)
    if len(known) <= MOST_LISTED:
        return ", ".join(map(str, known))
    return numbers("", known).removeprefix("s ")


def shown(targets: object) -> str:
    """Return the targets of a view as they are, but of many engines their runs."""
    if not isinstance(targets, list) or len(targets) <= MOST_LISTED:
        return str(targets)
    return f"[{listed(targets)}]"


def _place_in_map(info: Info) -> str:
    item, items, part = (info.get(key) for key in ("item", "items", "part"))
    if item is not None:
        return f"item {item}"
    if isinstance(items, tuple) and len(items) == 2:
        return f"items {items[0]}-{items[1]}"
    return "" if part is None else f"part {part}"
