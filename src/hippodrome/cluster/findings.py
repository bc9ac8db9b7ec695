"""What facts about hosts mean for a cluster: what would fail, what may, and what is well. Pure."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

Facts = Mapping[str, Any]  # Any: as told by another host, and checked where it is read

LEAST_FILES: Final = 256
GOOD_FILES: Final = 1_024
LEAST_FREE: Final = 100 << 20
GOOD_SHARED: Final = 64 << 20
SLOW_SYNC_S: Final = 0.05
CLOCKS_S: Final = 60.0
SOME_CLOCKS_S: Final = 2.0
NEEDED: Final = ("pyzmq", "msgspec", "cloudpickle")
_MOST_SHOWN: Final = 4
_MIB: Final = 1 << 20
_PLACES: Final = {
    "profile": "the profile's disk",
    "temporary": "the temporary folder",
    "shared": "shared memory",
}


class Level(enum.Enum):
    """How grave something is; the value is the word for it."""

    BAD = "bad"  # it would fail
    WARN = "warn"  # it may
    OK = "ok"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One thing that was looked at.

    Attributes:
        level: how grave it is.
        where: the host, or ``here``.
        what: a word for what was looked at.
        text: what was found, and what to do about it.
    """

    level: Level
    where: str
    what: str
    text: str

    def to_dict(self) -> dict[str, str]:
        """Return it for programs."""
        return {
            "level": self.level.value,
            "where": self.where,
            "what": self.what,
            "text": self.text,
        }


def verdict(findings: Sequence[Diagnosis]) -> str:
    """Return in a line how it is altogether."""
    bad, may = (sum(one.level is level for one in findings) for level in (Level.BAD, Level.WARN))
    if not bad and not may:
        return "all is well"
    told = [f"{bad} would fail"] * bool(bad) + [f"{may} may"] * bool(may)
    return f"{', '.join(told)}; {sum(one.level is Level.OK for one in findings)} are well"


def of_host(where: str, facts: Facts, ours: Facts) -> Iterator[Diagnosis]:
    """Yield what the facts of one host mean.

    Args:
        where: what it is called.
        facts: its.
        ours: those of this host, with whose versions its have to agree.
    """
    yield from _versions(where, facts["versions"], ours["versions"])
    yield from _limits(where, facts["limits"])
    for name, room in facts["rooms"].items():
        yield _room(where, name, room)
    runtime = facts["runtime"]
    if "trouble" in runtime:
        yield Diagnosis(Level.BAD, where, "sockets", str(runtime["trouble"]))
    yield _syncs(where, facts["syncs"])


def of_clock(where: str, facts: Facts, began: float, ended: float) -> Diagnosis:
    """Return how far a host's clock is from ours.

    Args:
        where: the host.
        facts: its.
        began: by our clock, when it was asked.
        ended: when it had answered.
    """
    theirs = float(facts["time"])
    away_s = max(0.0, began - theirs, theirs - ended)
    if away_s > CLOCKS_S:
        text = f"{away_s:,.0f} s from ours: times of tasks are shown wrongly, nothing else"
        return Diagnosis(Level.WARN, where, "clock", text)
    text = "as ours" if away_s < SOME_CLOCKS_S else f"{away_s:.0f} s from ours"
    return Diagnosis(Level.OK, where, "clock", text)


def of_addresses(where: str, found: Sequence[Facts]) -> Diagnosis:
    """Return whether a controller is reached at any of its addresses."""
    good = [str(one["address"]) for one in found if not one["trouble"]]
    troubles = [f"{one['address']}: {one['trouble']}" for one in found if one["trouble"]]
    if good:
        others = f"; not by {'; '.join(troubles[:_MOST_SHOWN])}" if troubles else ""
        return Diagnosis(Level.OK, where, "controller", f"reached by {', '.join(good)}{others}")
    text = f"cannot be reached: {'; '.join(troubles) or 'it listens on its own host only'}"
    return Diagnosis(Level.BAD, where, "controller", text)


def _versions(where: str, theirs: Facts, ours: Facts) -> Iterator[Diagnosis]:
    python, own_python = str(theirs["python"]), str(ours["python"])
    package, own_package = str(theirs["hippodrome"]), str(ours["hippodrome"])
    if theirs["protocol"] != ours["protocol"]:
        text = f"hippodrome {package} speaks another protocol than {own_package} here: install one"
        yield Diagnosis(Level.BAD, where, "versions", f"{text} version on both")
        return
    if minor_of(python) != minor_of(own_python):
        text = f"Python {python}, and {own_python} here: functions by value cannot be sent there"
        yield Diagnosis(Level.BAD, where, "versions", f"{text}; use one minor version on both")
        return
    names = sorted({*theirs, *ours} & {*NEEDED, "numpy"})
    unlike = [
        f"{name} {theirs.get(name, 'missing')} (here {ours.get(name, 'missing')})"
        for name in names
        if theirs.get(name) != ours.get(name)
    ]
    missing = [name for name in NEEDED if name not in theirs]
    if package != own_package:
        unlike.insert(0, f"hippodrome {package} (here {own_package})")
    level = Level.BAD if missing else Level.WARN if unlike else Level.OK
    text = ", ".join(unlike) or f"Python {python}, hippodrome {package}, " + ", ".join(
        f"{name} {theirs[name]}" for name in names
    )
    yield Diagnosis(level, where, "versions", text)


def minor_of(version: str) -> str:
    """Return ``3.11`` of ``3.11.7``."""
    return ".".join(version.split(".")[:2])


def _limits(where: str, limits: Facts) -> Iterator[Diagnosis]:
    hard = limits["files"][1]  # the soft one is raised to it
    most = None if hard is None else int(hard)
    level, text = Level.OK, "no limit"
    if most is not None:
        text = f"up to {most:,} (ulimit -Hn)"
        if most < GOOD_FILES:
            level = Level.BAD if most < LEAST_FILES else Level.WARN
    need = ": a controller takes 2 for each engine" if level is not Level.OK else ""
    yield Diagnosis(level, where, "open files", f"{text}{need}")
    soft = limits["processes"][0]
    tasks = [int(n) for n in (soft, limits.get("tasks")) if n is not None]
    least = min(tasks, default=None)
    if least is not None and least < LEAST_FILES:
        text = f"no more than {least:,} (ulimit -u, pids.max)"
        yield Diagnosis(Level.WARN, where, "processes", text)


def _room(where: str, name: str, room: Facts) -> Diagnosis:
    place = _PLACES.get(name, name)
    path = str(room.get("path", "?"))
    if "trouble" in room:
        level = Level.WARN if name == "shared" else Level.BAD
        return Diagnosis(level, where, name, f"{place} {path}: {room['trouble']}")
    free = int(room["free"])
    text = f"{free // _MIB:,} MiB free in {path}"
    if not room["writable"]:
        return Diagnosis(Level.BAD, where, name, f"{place} {path} cannot be written to")
    if name == "shared":
        level = Level.WARN if free < GOOD_SHARED else Level.OK
        more = ": what is large travels in messages, which is slower" if free < GOOD_SHARED else ""
        return Diagnosis(level, where, name, text + more)
    return Diagnosis(Level.BAD if free < LEAST_FREE else Level.OK, where, name, text)


def _syncs(where: str, syncs: Facts) -> Diagnosis:
    if "trouble" in syncs:
        return Diagnosis(Level.WARN, where, "syncs", f"cannot be tried: {syncs['trouble']}")
    n, seconds = int(syncs["n"]), float(syncs["seconds"])
    each_s = seconds / max(n, 1)
    is_slow = each_s > SLOW_SYNC_S
    advice = ": records in a file (--sqlitedb) will lag behind" if is_slow else ""
    text = f"{n} took {seconds:.2f} s{advice}"
    return Diagnosis(Level.WARN if is_slow else Level.OK, where, "syncs", text)
