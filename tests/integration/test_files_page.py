"""Whatever a cluster writes is on the page of files, with the mode that it has."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import hippodrome as ipp
from support import leaks
from support.processes import Site

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "files.md"
SHARED_MEMORY = Path("/dev/shm") / f"hippodrome-{os.geteuid()}"
# What stands for what in the names on the page.
_STANDS_FOR = {
    r"\[-ID\]": r"(-\w+)?",
    r"\[ID\]": r"\w*",
    "UID|PID|TIME": r"\d+",
    r"\bN\b": r"\d+",
    "NAME": r"[\w.-]+",
}


@dataclass(frozen=True)
class Row:
    """What a line of the page says: whose names match, and which modes they may have."""

    pattern: re.Pattern[str]
    modes: frozenset[str]

    def fits(self, path: Path) -> bool:
        mode = f"{path.stat().st_mode & 0o777:04o}"
        return bool(self.pattern.search(str(path))) and (path.is_socket() or mode in self.modes)


def rows() -> Iterator[Row]:
    for line in PAGE.read_text().splitlines():
        cells = line.split(" | ")
        modes = frozenset(re.findall(r"`(0[67]\d\d)`", line))
        if not line.startswith("| ") or not modes:
            continue
        for name in re.findall(r"`([^`]+)`", cells[0]):
            pattern = name.replace(".", r"\.")
            for word, meant in _STANDS_FOR.items():
                pattern = re.sub(word, lambda _, meant=meant: meant, pattern)
            end = "" if name.endswith("/") else "$"
            yield Row(
                re.compile(rf"(?<![^/]){pattern.removeprefix('$XDG_RUNTIME_DIR/')}{end}"), modes
            )


def written(*folders: Path) -> list[Path]:
    return [path for folder in folders for path in folder.rglob("*") if not path.is_dir()]


def unknown(paths: list[Path]) -> list[str]:
    """Return the files that no line of the page tells of, or with other modes."""
    found, lines = [], [*rows()]
    for path in paths:
        with contextlib.suppress(FileNotFoundError):  # of another cluster
            if not any(line.fits(path) for line in lines):
                found.append(f"{path.stat().st_mode & 0o777:04o} {path}")
    return found


@pytest.fixture
def module(tmp_path: Path) -> Path:
    path = tmp_path / "uploaded.py"
    path.write_text("x = 1\n")
    path.chmod(0o600)
    return path


def test_every_file_of_a_cluster_is_on_the_page(site: Site, module: Path) -> None:
    temporary = site.directory / "tmp"
    temporary.mkdir()
    site.variables["TMPDIR"] = str(temporary)
    started = site.run(
        "ipcluster", "start", "-n", "2", "--daemonize", "--cluster-id=a", "--log-to-file",
        "--", "--sqlitedb",
    )  # fmt: skip
    assert started.returncode == 0, started.stderr
    try:
        profile = site.security_dir.parent
        with ipp.Client(str(site.security_dir / "ipcontroller-a-client.json")) as rc:
            rc.upload(str(module))
            assert rc[:].apply_sync(lambda: len(bytes(1 << 20)))
            large = rc.load_balanced_view().apply_sync(bytes, 1 << 20)
            assert len(large) == 1 << 20
            leaks.wait_until(lambda: any(profile.glob("tasks-a.db.large/*")))
            paths = written(profile, site.runtime_dir, temporary, SHARED_MEMORY)
        names = {path.name for path in paths}
        assert {"tasks-a.db", "ipcontroller-a.log", "cluster-a.json", "endpoint"} <= names
        assert "uploaded.py" in names
        assert not unknown(paths)
    finally:
        stopped = site.run("ipcluster", "stop", "--cluster-id=a")
    assert stopped.returncode == 0, stopped.stderr
    # ... and who removes it
    left = {path.name for path in written(profile, site.runtime_dir, temporary)}
    assert not left & {"cluster-a.json", "endpoint", "uploaded.py"}
    assert not any(name.startswith("ipcontroller-a-") for name in left)
    assert "tasks-a.db" in left


def test_a_file_that_is_not_on_the_page_is_found(tmp_path: Path) -> None:
    security = tmp_path / "security"
    security.mkdir()
    for name, mode in (("cluster-a.json", 0o600), ("cluster-b.json", 0o644), ("new.json", 0o600)):
        (security / name).touch()
        (security / name).chmod(mode)
    found = unknown(written(tmp_path))
    assert sorted(Path(line.partition(" ")[2]).name for line in found) == [
        "cluster-b.json",
        "new.json",
    ]
