"""A controller in one process that tells each time something is unpickled in it.

Run with a security directory as its argument. Lines on standard output: ``ready`` once clients
may connect, ``unpickled <module> <name>`` for each class or function that a pickle names.
"""

from __future__ import annotations

import os
import pickle
import sys
import threading
from pathlib import Path
from typing import Any

from hippodrome.hub.config import ControllerConfig, HubConfig
from hippodrome.hub.server import run_controller

PROVE_IT = "--unpickle-something"
ON_DISK = "--sqlitedb"


def on_audit(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "pickle.find_class":
        os.write(1, f"unpickled {arguments[0]} {arguments[1]}\n".encode())


def main() -> int:
    sys.addaudithook(on_audit)
    if PROVE_IT in sys.argv:
        pickle.loads(pickle.dumps(threading.Event))
    directory = Path(sys.argv[1])
    store = "sqlite" if ON_DISK in sys.argv else "memory"
    hub = HubConfig(store=store, database=directory / "tasks.db")
    config = ControllerConfig(directory, use_threads=True, ready_fd=os.dup(1), hub=hub)
    return run_controller(config)


if __name__ == "__main__":
    sys.exit(main())
