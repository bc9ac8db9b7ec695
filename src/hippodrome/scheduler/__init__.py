"""Decides which engine gets a task.

The names of the model that users know are here as well, loaded when used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from hippodrome.scheduler.core import TaskScheduler
    from hippodrome.scheduler.job import Job
    from hippodrome.scheduler.launch import launch_scheduler
    from hippodrome.scheduler.schemes import leastload, lru, plainrandom, twobin, weighted

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

_HOMES: Final = {
    "Job": "job",
    "TaskScheduler": "core",
    "launch_scheduler": "launch",
    "leastload": "schemes",
    "lru": "schemes",
    "plainrandom": "schemes",
    "twobin": "schemes",
    "weighted": "schemes",
}


def __getattr__(name: str) -> Any:  # Any: whatever the name stands for
    """Load a public name when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value  # so that this function is not asked again
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
