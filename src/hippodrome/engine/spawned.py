"""``python -m hippodrome.engine.spawned``: what a supervisor spawns; told the rest over a pipe."""

from __future__ import annotations

import sys

from hippodrome.engine.server import main

if __name__ == "__main__":
    sys.exit(main())
