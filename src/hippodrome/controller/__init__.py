"""ipyparallel's name for what makes up a controller: `hippodrome.scheduler` and its program."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hippodrome.lazy import loader

if TYPE_CHECKING:
    from collections.abc import Callable

    from hippodrome.apps.controller_options import IPController
    from hippodrome.scheduler.core import TaskScheduler
    from hippodrome.scheduler.job import Job
    from hippodrome.scheduler.launch import launch_scheduler

__all__ = ["IPController", "Job", "TaskScheduler", "launch_scheduler"]

__getattr__: Callable[[str], Any] = loader(
    __name__,
    {
        "IPController": "hippodrome.apps.controller_options",
        "Job": "hippodrome.scheduler",
        "TaskScheduler": "hippodrome.scheduler",
        "launch_scheduler": "hippodrome.scheduler",
    },
    {"app", "dependency", "heartmonitor", "scheduler", "task_scheduler"},
)
