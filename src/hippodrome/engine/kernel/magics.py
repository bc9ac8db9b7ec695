"""Magics that say how to attach a frontend to this engine."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any  # Any: IPython's shell

from IPython.core.error import UsageError

from hippodrome.engine.kernel.binding import bound_file


def register(shell: Any) -> None:
    """Make the magics known."""
    for magic in (connect_info, qtconsole):
        shell.register_magic_function(magic, "line")


def connect_info(_line: str) -> None:
    """Print how to attach a frontend to this engine."""
    path = Path(_bound_file())
    print(path.read_text())
    print(f"Attach with\n    jupyter console --existing {path}")
    print(f"or, where Jupyter's runtime directory is the same, --existing {path.name}")


def qtconsole(line: str) -> None:
    """Open a Qt console that is attached to this engine, on its host; takes the options of it."""
    path = _bound_file()
    if importlib.util.find_spec("qtconsole") is None:
        raise UsageError(
            f"qtconsole is not installed here; attach with\n    jupyter console --existing {path}"
        )
    command = [sys.executable, "-m", "qtconsole", "--existing", path, *line.split()]
    nowhere = subprocess.DEVNULL
    subprocess.Popen(command, stdin=nowhere, stdout=nowhere, stderr=nowhere, start_new_session=True)


def _bound_file() -> str:
    path = bound_file()
    if path is None:
        raise UsageError("no frontend can attach yet: call hippodrome.bind_kernel() here first")
    return path
