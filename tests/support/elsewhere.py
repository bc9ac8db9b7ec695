"""Processes as if on another host: with a name and a memory of its own, and the same files.

Not every system lets everybody have that; `cannot` says why not.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache
from typing import Final

from support.processes import READY, Process, Site, program

_SCRIPT: Final = 'mount -t tmpfs tmpfs /dev/shm && hostname elsewhere && exec "$0" "$@"'


def command(*words: str) -> list[str]:
    """Return what runs *words* as on another host, in the same process."""
    user = ["--user", "--map-root-user"] if os.geteuid() else []
    return ["unshare", *user, "--mount", "--uts", "--", "sh", "-c", _SCRIPT, *words]


@cache
def cannot() -> str:
    """Return why there can be no such processes here; empty if there can."""
    if shutil.which("unshare") is None:
        return "there is no unshare(1)"
    tried = subprocess.run(command("true"), capture_output=True, text=True, check=False)
    return f"no namespaces of one's own: {tried.stderr.strip()}" if tried.returncode else ""


def start(site: Site, name: str, *options: str) -> Process:
    """Start one of the programs as on another host, and wait until it is ready."""
    process = Process(command(program(name), *options), site.environment(), READY[name])
    site._processes.append(process)
    process.wait_ready()
    return process


def python(
    site: Site, *arguments: str, timeout_s: float = 60.0
) -> subprocess.CompletedProcess[str]:
    """Run Python with *arguments* to its end, as on another host."""
    return subprocess.run(
        command(sys.executable, *arguments),
        env=site.environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
