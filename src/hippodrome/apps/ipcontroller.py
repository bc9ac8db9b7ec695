"""``ipcontroller``: runs the hub and the scheduler of one cluster."""

from __future__ import annotations

import sys

from hippodrome.scheduler.launch import fork_scheduler


def main() -> int:
    """Run ``ipcontroller`` with this process's command line."""
    scheduler = fork_scheduler()  # first, so that both load what they need side by side
    from hippodrome.apps.base import run
    from hippodrome.apps.controller_options import IPController

    IPController.scheduler = scheduler
    return run(IPController)


if __name__ == "__main__":
    sys.exit(main())
