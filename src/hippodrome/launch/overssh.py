"""Engines on other hosts by ssh: one connection for each host, held by one process here."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, ClassVar, Final

from hippodrome import paths
from hippodrome.errors import LaunchError
from hippodrome.launch.base import (
    ControllerLauncher,
    LaunchOrder,
    LaunchPhase,
    LaunchState,
)
from hippodrome.launch.hostnames import AUTO, HostTable, N, read_hosts
from hippodrome.launch.local import LocalLauncher, SetOfOneProcess
from hippodrome.launch.options import LAUNCHER_OPTIONS, SSH_LOGIN, LaunchOption, read_options
from hippodrome.launch.sshset import SECTION, signal_for
from hippodrome.security.connection_file import write_private

HOSTS: Final = "hosts"


class SSHLauncher(LocalLauncher):
    """The steps that launchers by ssh share.

    Attributes:
        module: what is run here, and holds what runs there.
    """

    name = "ssh"
    section = SECTION
    module: ClassVar[str]

    def start(self) -> None:
        paths.log_dir(self._order.profile_dir)
        file = self._file("order")
        told = self._order.to_dict()
        told["options"] = self._told_options()
        told["state_file"] = str(self._file("state"))
        with contextlib.suppress(OSError):
            self._file("state").unlink()
        try:
            write_private(file, json.dumps(told))
        except OSError as error:
            raise LaunchError(f"cannot write {file}: {error.strerror}") from error
        command = [sys.executable, "-P", "-m", self.module, str(file)]
        self._process.start(command, self.section, follows=self._order.follows)

    def _told_options(self) -> dict[str, Any]:  # Any: as read by each option's kind
        return dict(self._order.options)

    def _file(self, what: str) -> Path:
        """Return the path of a file of this launcher's."""
        log = Path(self.output_file)
        return log.with_name(f"{log.stem}-{what}.json")


class SSHControllerLauncher(SSHLauncher, ControllerLauncher):
    """Runs a controller on another host, and brings its connection files here.

    Whoever uses these tunnels there, so that it need not listen for others.

    Attributes:
        preset: the options, of which ``location`` or ``hostname`` says where.
    """

    program = "sshcontroller"
    module = "hippodrome.launch.sshcontroller"
    OPTIONS: ClassVar[Collection[LaunchOption]] = SSH_LOGIN
    preset: ClassVar[Mapping[str, Any]] = {}

    @classmethod
    def configured(cls, options: Mapping[str, Any]) -> type[SSHControllerLauncher]:
        """Return the launcher with options of its own.

        Raises:
            TypeError, ValueError: it does not take them.
        """
        read = read_options("ssh", cls.OPTIONS, options, whose=cls.__name__)
        return type(
            cls.__name__, (cls,), {"preset": {**cls.preset, **read}, "__doc__": cls.__doc__}
        )

    def start(self) -> None:
        options = self._told_options()
        if not (options.get("location") or options.get("hostname")):
            raise LaunchError(
                "a controller by ssh needs a host: controller='ssh://me@login.site:2222', or "
                "c.SSHControllerLauncher.location in a file"
            )
        super().start()

    def _told_options(self) -> dict[str, Any]:
        return {**self.preset, **self._order.options}


class SSHEngineSetLauncher(SSHLauncher, SetOfOneProcess):
    """Runs engines on other hosts, under a supervisor on each, by ssh."""

    program = "ssh"
    module = "hippodrome.launch.sshset"
    OPTIONS: ClassVar[Collection[LaunchOption]] = LAUNCHER_OPTIONS["ssh"]
    knows_n: ClassVar[bool] = False
    is_elsewhere: ClassVar[bool] = True

    def __init__(self, order: LaunchOrder) -> None:
        super().__init__(order)
        self._hosts = hosts_of(order.options)

    @classmethod
    def count(cls, n: int | None, options: Mapping[str, Any]) -> int:
        counts = [told.get(N) for told in hosts_of(options).values()]
        numbers = [count for count in counts if isinstance(count, int)]
        return sum(numbers) if len(numbers) == len(counts) else n or 0

    @classmethod
    def needs_port(cls, options: Mapping[str, Any]) -> bool:
        return options.get("tunnel") is not True

    @property
    def n(self) -> int:  # type: ignore[override]  # it is never set
        return self._order.n or self.n_ready or self.state().engines or 0

    def _told_options(self) -> dict[str, Any]:
        return {**self._order.options, HOSTS: self._hosts}

    def signal(self, signum: int) -> None:
        self._process.send(signal_for(signum))

    def state(self) -> LaunchState:
        try:
            told = json.loads(self._file("state").read_text(encoding="utf-8"))
            parts = {LaunchPhase(name): int(n) for name, n in told["parts"].items()}
            reasons = {LaunchPhase(name): tuple(why) for name, why in told["reasons"].items()}
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            phase = LaunchPhase.PENDING if self.running else LaunchPhase.ENDED
            return LaunchState({phase: len(self._hosts)}, "host")
        if not self.running and LaunchPhase.RUNNING in parts:
            ended = parts.pop(LaunchPhase.RUNNING) + parts.pop(LaunchPhase.ENDED, 0)
            parts[LaunchPhase.ENDED] = ended
        return LaunchState(parts, "host", reasons, told.get("engines"))

    def forget_output(self) -> None:
        super().forget_output()
        with contextlib.suppress(OSError):
            self._file("state").unlink()


def hosts_of(options: Mapping[str, Any]) -> HostTable:
    """Return the hosts that *options* name.

    Raises:
        LaunchError: they name none.
    """
    if given := options.get(HOSTS):
        return read_hosts(given)
    place = options.get("location") or options.get("hostname")
    if not place:
        raise LaunchError(
            "engines by ssh need hosts: hosts={'gpu01': 4, 'me@gpu02:2222': 'auto'}, or on the "
            "command line --hosts=gpu01=4,me@gpu02:2222=auto"
        )
    return read_hosts([place])


__all__ = ["AUTO", "SSHEngineSetLauncher", "hosts_of"]
