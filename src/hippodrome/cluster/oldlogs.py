"""Log files that nobody writes any more, and that may go."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from hippodrome.launch.state import STOP_FILE

_NAME: Final = re.compile(r"(ipcontroller|ipengine|ipcluster-\w+|hippodrome-\w+)(-.*)?\.log", re.S)


def remove_old_logs(profile_dir: Path) -> list[Path]:
    """Remove the logs of a profile's programs that no process has open; return them."""
    found = [p for p in sorted((profile_dir / "log").glob("*.log")) if _NAME.fullmatch(p.name)]
    in_use = set(_open_files()) if found else set()
    removed = []
    for path in found:
        with contextlib.suppress(OSError):
            if path.resolve() not in in_use:
                path.unlink()
                removed.append(path)
    return [*removed, *_remove_old_jobs(profile_dir)]


def _remove_old_jobs(profile_dir: Path) -> list[Path]:
    """Remove the folders of jobs that have been stopped; return them."""
    removed = []
    for path in sorted((profile_dir / "log").glob("ipengine-*.jobs")):
        if (path / STOP_FILE).exists():
            shutil.rmtree(path, ignore_errors=True)
            removed.append(path)
    return removed


def _open_files() -> Iterator[Path]:
    """Yield the files that this user's processes have open."""
    import psutil

    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            for file in process.open_files():
                yield Path(file.path)
