"""``ipcontroller``: runs the hub and the scheduler of one cluster."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from hippodrome.process.standard import open_missing
from hippodrome.process.titles import set_title

# what hub and scheduler both need is loaded once, before they part
from hippodrome.protocol import frames  # noqa: F401
from hippodrome.scheduler.launch import fork_scheduler
from hippodrome.transport import listen  # noqa: F401


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``ipcontroller`` with a command line, by default this process's."""
    open_missing()
    scheduler = fork_scheduler()  # first, so that both load what they need side by side
    from hippodrome.apps.base import run
    from hippodrome.apps.controller_options import IPController

    if argv is None:
        set_title("ipp-hub", " ".join(["ipcontroller: hub", *sys.argv[1:]]))
    IPController.scheduler = scheduler
    return run(IPController, argv)


if __name__ == "__main__":
    sys.exit(main())
