"""``ipengine``: runs engines on this host, and the supervisor that watches them."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from hippodrome.node.template import start_template

# what supervisors and engines both need is loaded once, before they part
from hippodrome.process import (
    page,  # noqa: F401
)
from hippodrome.process.standard import open_missing
from hippodrome.process.titles import set_title
from hippodrome.protocol import link  # noqa: F401
from hippodrome.transport import connect  # noqa: F401


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``ipengine`` with a command line, by default this process's."""
    open_missing()
    template = start_template()  # first, so that engines have nothing of what programs need
    from hippodrome.apps.base import run
    from hippodrome.apps.engine_options import IPEngine

    if argv is None:
        set_title("ipp-supervisor", " ".join(["ipengine: supervisor", *sys.argv[1:]]))
    IPEngine.template = template
    return run(IPEngine, argv)


if __name__ == "__main__":
    sys.exit(main())
