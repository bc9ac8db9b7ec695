"""Completion at Tab, in the shells themselves."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

import pytest

from support.processes import Site, program

pexpect = pytest.importorskip("pexpect", reason="there is no pexpect: completion is NOT tested")

TIMEOUT_S: Final = 40
# How each shell is started without its user's files, and what loads the completion.
SHELLS: Final = {
    "bash": (["--norc", "--noprofile", "-i"], 'eval "$(hippodrome completion bash)"'),
    "zsh": (["-f", "-i"], 'bindkey -e; eval "$(hippodrome completion zsh)"'),
    "fish": (["--no-config", "-i"], "hippodrome completion fish | source"),
}
TO_THE_START, TO_THE_END = "\x01", "\x05"

pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.filterwarnings("ignore:This process:DeprecationWarning"),  # of forkpty
]


class Shell:
    """An interactive shell in a terminal."""

    def __init__(self, name: str, site: Site) -> None:
        if shutil.which(name) is None:
            pytest.skip(f"there is no {name}: its completion is NOT tested")
        options, load = SHELLS[name]
        environment = site.environment()
        bin_dir = str(Path(program("hippodrome")).parent)
        environment["PATH"] = f"{bin_dir}:{environment.get('PATH', '/usr/bin:/bin')}"
        folder = str(site.directory)
        environment |= {"TERM": "xterm", "HOME": folder, "XDG_RUNTIME_DIR": folder}
        self._out = site.directory / "completed"
        terminal = {"encoding": "utf-8", "timeout": TIMEOUT_S, "dimensions": (50, 250)}
        self._child = pexpect.spawn(name, options, env=environment, **terminal)
        self._child.sendline(f"{load}; echo load''ed")
        self._child.expect("loaded")

    def complete(self, typed: str) -> str:
        """Return what the line is after *typed* and Tab."""
        self._child.send(f"{typed}\t{TO_THE_START}echo {TO_THE_END} > {self._out}; echo do''ne\r")
        self._child.expect("done")
        return self._out.read_text().rstrip("\n")

    def close(self) -> None:
        self._child.close(force=True)


@pytest.mark.parametrize("name", SHELLS)
def test_a_shell_completes_commands_options_and_values(site: Site, name: str) -> None:
    security = site.ipython_dir / "profile_work" / "security"
    security.mkdir(parents=True)
    (security / "cluster-tuesday.json").touch()
    (site.directory / "engines.json").touch()
    shell = Shell(name, site)
    try:
        for typed, completed in [
            ("ipcluster cle", "ipcluster clean"),
            ("hippodrome cle", "hippodrome clean"),
            ("ipcluster start --daem", "ipcluster start --daemonize"),
            ("ipcontroller --sche", "ipcontroller --scheme="),
            ("ipcontroller --scheme=le", "ipcontroller --scheme=leastload"),
            ("ipcontroller --scheme le", "ipcontroller --scheme leastload"),
            ("ipcluster start -- --scheme=le", "ipcluster start -- --scheme=leastload"),
            ("ipengine --log-level D", "ipengine --log-level DEBUG"),
            ("ipcluster start --engines=lo", "ipcluster start --engines=local"),
            ("ipcluster start --profile=wo", "ipcluster start --profile=work"),
            ("ipcluster stop --profile=work t", "ipcluster stop --profile=work tuesday"),
            (
                f"ipengine --file={site.directory}/engi",
                f"ipengine --file={site.directory}/engines.json",
            ),
        ]:
            assert shell.complete(typed) == completed
    finally:
        shell.close()


def test_completion_beside_another_package_asks_the_one_that_is_typed(site: Site) -> None:
    """A command with a path is completed by the `hippodrome` that lies beside it."""
    shell = Shell("bash", site)
    try:
        path = program("ipcluster")
        assert shell.complete(f"{path} cle") == f"{path} clean"
    finally:
        shell.close()
