"""Counts what a test could leave behind: descriptors, threads, processes, files."""

from __future__ import annotations

import gc
import os
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import psutil
import zmq

from hippodrome.segments.files import ROOT, is_abandoned, sweep

T = TypeVar("T")

SETTLE_S = 5.0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What there is at one moment, as far as it belongs to this process or its children.

    Attributes:
        descriptors: what this process has open, with how often.
        threads: Python threads of this process, by name and id.
        processes: pid and command line of everything below this process.
        files: paths in the directories watched.
    """

    descriptors: Counter[str]
    threads: frozenset[str]
    processes: frozenset[str]
    files: frozenset[str]

    def left_since(self, before: Snapshot) -> list[str]:
        """Say in a line each what is here that was not there *before*."""
        n_more = self.descriptors.total() - before.descriptors.total()
        open_now = (self.descriptors - before.descriptors).elements() if n_more > 0 else ()
        return [
            *(f"descriptor {name}" for name in sorted(open_now)),
            *(f"thread {name}" for name in sorted(self.threads - before.threads)),
            *(f"process {name}" for name in sorted(self.processes - before.processes)),
            *(f"file {name}" for name in sorted(self.files - before.files)),
        ]


def take_snapshot(*directories: Path) -> Snapshot:
    """Count now; *directories* and shared memory are searched for files."""
    threads = (f"{thread.name} ({thread.ident})" for thread in threading.enumerate())
    files = (str(path) for folder in directories for path in folder.rglob("*"))
    # Other controllers of this user share the home, and hold locks in what is theirs.
    shared = (str(path) for path in _shared() if is_abandoned(path))
    return Snapshot(
        descriptors=_descriptors(),
        threads=frozenset(threads),
        processes=frozenset(describe(child) for child in _children()),
        files=frozenset([*files, *shared]),
    )


def _shared() -> list[Path]:
    """Return the directories of segments; the last of a home takes the home along."""
    found: list[Path] = []
    for home in ROOT.glob("hippodrome-*"):
        with suppress(FileNotFoundError):
            found += home.iterdir()
    return found


def left_behind(before: Snapshot, *directories: Path) -> list[str]:
    """Return what there is more than *before*, once it has had time to go."""

    def left() -> list[str]:
        gc.collect()
        return take_snapshot(*directories).left_since(before)

    found = settle(left)
    may_be_others = all(line.startswith(f"file {ROOT}") for line in found)
    if found and may_be_others:  # of killed ones, which who starts next removes; tests kill many
        sweep()
        return settle(left)
    return found


def settle(find: Callable[[], list[T]], within_s: float | None = None) -> list[T]:
    """Return what *find* finds, once that is nothing, or at the latest after `SETTLE_S`.

    Args:
        find: looks.
        within_s: how long, if not `SETTLE_S`.

    A process that has been told to end, and ZeroMQ's own threads, take a moment. No event tells
    when the last descriptor is closed, so this looks again until the time is up.
    """
    deadline = time.monotonic() + (SETTLE_S if within_s is None else within_s)
    moment = threading.Event()
    while (found := find()) and time.monotonic() < deadline:
        moment.wait(0.02)
    return found


def wait_until(is_so: Callable[[], bool]) -> None:
    """Wait for something of which no event tells; fail after `SETTLE_S`."""
    assert not settle(lambda: [] if is_so() else ["not yet"]), "it has not come about"


def warm_up() -> None:
    """Open what stays open for the life of the process.

    That is the shared ZeroMQ context, and the thread of pyzmq that lets go of uncopied buffers.
    """
    context = zmq.Context.instance()
    with context.socket(zmq.PAIR) as one, context.socket(zmq.PAIR) as other:
        one.bind("inproc://warm-up")
        other.connect("inproc://warm-up")
        one.send(bytes(1 << 20), copy=False)
        other.recv()


def _children() -> list[psutil.Process]:
    return [
        child
        for child in psutil.Process().children(recursive=True)
        if child.is_running() and child.status() != psutil.STATUS_ZOMBIE
    ]


def describe(process: psutil.Process) -> str:
    """Return the process id and the command line, as far as they can be known."""
    with process.oneshot():
        try:
            return f"{process.pid} {' '.join(process.cmdline())}"
        except psutil.Error:
            return f"{process.pid}"


def _descriptors() -> Counter[str]:
    folder = Path("/proc/self/fd" if Path("/proc/self/fd").is_dir() else "/dev/fd")
    names: Counter[str] = Counter()
    for name in os.listdir(folder):
        try:
            names[os.readlink(folder / name)] += 1
        except OSError:
            continue  # the descriptor by which the directory itself was read
    return names
