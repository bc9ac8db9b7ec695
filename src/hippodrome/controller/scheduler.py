"""ipyparallel's name for `hippodrome.scheduler`."""

from __future__ import annotations

from hippodrome.scheduler import (
    Job,
    TaskScheduler,
    launch_scheduler,
    leastload,
    lru,
    plainrandom,
    twobin,
    weighted,
)

__all__ = [
    "Job",
    "TaskScheduler",
    "launch_scheduler",
    "leastload",
    "lru",
    "plainrandom",
    "twobin",
    "weighted",
]
