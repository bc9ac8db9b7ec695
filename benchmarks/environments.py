"""A virtual environment for each peer, made on demand and kept in a folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

from benchmarks import peers
from benchmarks.session import PeerError

DEFAULT_CACHE: Final = Path.home() / ".cache" / "hippodrome-benchmarks"
INSTALL_TIMEOUT_S: Final = 1_200.0


def python_of(peer: str, cache: Path) -> Path:
    """Return the interpreter that has *peer*; ours is the one that runs this.

    Raises:
        PeerError: it cannot be installed; the text ends with what pip said last.
    """
    if peer == peers.OURS:
        return Path(sys.executable)
    folder = cache / peer
    python, done = folder / "bin" / "python", folder / "requirements.txt"
    wanted = "\n".join([f"# {sys.version}", *peers.adapter(peer).requirements, ""])
    if not done.exists() or done.read_text() != wanted:
        print(f"installing {peer} into {folder}", file=sys.stderr)
        cache.mkdir(parents=True, exist_ok=True)
        _run(peer, [sys.executable, "-m", "venv", "--clear", str(folder)])
        _run(peer, [str(python), "-m", "pip", "install", *peers.adapter(peer).requirements])
        done.write_text(wanted)
    return python


def versions(python: Path) -> dict[str, str]:
    """Return what is installed beside an interpreter, name by name."""
    listed = subprocess.run(
        [python, "-m", "pip", "list", "--format=freeze", "--disable-pip-version-check"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    pairs = (line.split("==", 1) for line in listed.splitlines() if "==" in line)
    return {name.lower(): version for name, version in pairs}


def _run(peer: str, command: list[str]) -> None:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=INSTALL_TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        raise PeerError(f"{peer} was not installed within {INSTALL_TIMEOUT_S:g} s") from None
    if done.returncode != 0:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise PeerError(f"{peer} cannot be installed: {' '.join(last)}")
