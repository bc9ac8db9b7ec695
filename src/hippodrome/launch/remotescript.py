"""What is run on another host: the text that a shell there reads from ssh, and the way to it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from hippodrome.launch.hostnames import AUTO, HostTable, N
from hippodrome.launch.hostset import LOGGED_IN, NO_PYTHON, EngineHost
from hippodrome.ssh.command import Login
from hippodrome.ssh.places import SSHServer, parse_server

BACK_FOLDER: Final = Path("/tmp")  # noqa: S108 - names in it cannot be guessed
BACK_PREFIX: Final = "hippodrome-"
SILENCE_S: Final = 120.0  # of the network, as long as everybody here is patient
_FALLBACK: Final = "python3"
# Of which there is one for each host, if it says nothing of its own.
PER_HOST: Final = (
    "python", "prologue", "user", "ssh_cmd", "ssh_args", "scp_cmd", "scp_args", "to_send",
    "to_fetch", "remote_profile_dir", "environment", "engine_cmd", "tunnel", "engine_args",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class RemotePlan:
    """One host, and how it is used.

    Attributes:
        host: where, and how many engines.
        options: those of the launcher, with what was said for this host alone.
        arguments: further options for the program there.
    """

    host: EngineHost
    options: Mapping[str, Any]
    arguments: tuple[str, ...] = ()

    @property
    def login(self) -> Login:
        """How to get there."""
        options = self.options
        return Login(
            self.host.server,
            command=tuple(options.get("ssh_cmd") or ("ssh",)),
            options=(*options.get("ssh_args", ()), "-T"),  # a terminal would change what is sent
            silence_s=SILENCE_S,
        )

    @property
    def shell(self) -> tuple[str, ...]:
        """What ssh runs there."""
        return ("exec", "bash", "-l") if self.options.get("prologue") else ("exec", "sh")


def plans(
    hosts: HostTable, n: int, options: Mapping[str, Any], arguments: Sequence[str]
) -> list[RemotePlan]:
    """Return the plan of each host.

    Args:
        hosts: as read.
        n: how many engines are wanted in all; 0 if nobody has said.
        options: of the launcher.
        arguments: further options for the program there.
    """
    counts = share_out(hosts, n)
    found = []
    for name, told in hosts.items():
        own = {**options, **{key: value for key, value in told.items() if key != N}}
        server = parse_server(name)
        if own.get("user") and not server.user:
            server = replace(server, user=own["user"])
        args = (*arguments, *own.get("engine_args", ()))
        found.append(RemotePlan(EngineHost(server, counts[name]), own, args))
    return found


def place_of(options: Mapping[str, Any], arguments: Sequence[str]) -> RemotePlan:
    """Return the plan of the one host that *options* name, by ``location`` or ``hostname``."""
    name = str(options.get("location") or options.get("hostname"))
    [plan] = plans({name: {}}, 1, options, arguments)
    return plan


def share_out(hosts: HostTable, n: int) -> dict[str, int]:
    """Return how many engines each host gets; 0 for one on each of its cores.

    Hosts of which nobody has said how many share what is left of *n*.
    """
    said = {name: told[N] for name, told in hosts.items() if N in told}
    rest = [name for name in hosts if name not in said]
    counts = {name: 0 if count == AUTO else int(count) for name, count in said.items()}
    left = max(0, n - sum(counts.values()))
    for place, name in enumerate(rest):
        counts[name] = left // len(rest) + (place < left % len(rest)) if n else 0
    if n:
        counts = {name: count for name, count in counts.items() if count or name in said}
    return {name: counts.get(name, -1) for name in hosts}


def engine_command(plan: RemotePlan) -> list[str]:
    """Return the words of the program that runs engines there, after its Python."""
    profile = plan.options.get("remote_profile_dir")
    return [
        *([f"--profile-dir={profile}"] if profile else []),
        "--IPEngine.info_fd=0",
        "--IPEngine.parent_fd=0",
        "--IPEngine.ready_fd=1",
        *plan.arguments,
    ]


def script(
    plan: RemotePlan, module: str, words: Sequence[str], python: str, folder: str, back: str
) -> str:
    """Return what the shell there reads.

    What runs our program is one command, so that the shell reads nothing of what is for that.

    Args:
        plan: of the host.
        module: the program of ours.
        words: its options.
        python: the Python here, which is taken if there is such a one, and nobody names another.
        folder: where it is run, if there is such a one.
        back: a socket that sshd has made there, and leaves behind; empty for none.
    """
    named = plan.options.get("python")
    lines = [f"echo {LOGGED_IN}"]
    for name, value in plan.options.get("environment", {}).items():
        lines.append(f"export {name}={shlex.quote(str(value))}")
    lines += plan.options.get("prologue", ())
    lines.append(f"cd {shlex.quote(folder)} 2>/dev/null || cd")
    remove = f"rm -f {shlex.quote(back)}; " if back else ""
    command = f'"$p" -P -m {module}'
    if own := plan.options.get("engine_cmd"):
        command = shlex.join(own)
    else:
        lines.append(f"p={shlex.quote(named or python)}")
        if not named:
            lines.append(f'[ -x "$p" ] || p={_FALLBACK}')
        missing = f'echo {NO_PYTHON} "$p"; {remove}exit 127'
        lines.append(f'command -v "$p" >/dev/null 2>&1 || {{ {missing}; }}')
    if back:
        lines.append(f"trap {shlex.quote(remove)} EXIT")
    lines += [f"{{ {command} {shlex.join(words)}; exit $?; }}", ""]
    return "\n".join(lines)


def scp_command(plan: RemotePlan, source: str, target: str) -> list[str]:
    """Return the command that copies a file; what begins with ``:`` is there."""
    server: SSHServer = plan.host.server
    port = ["-P", str(server.port)] if server.port else []
    place = f"[{server.host}]" if ":" in server.host else server.host
    where = f"{server.user}@{place}" if server.user else place
    paths = [f"{where}{path}" if path.startswith(":") else path for path in (source, target)]
    return [
        *(plan.options.get("scp_cmd") or ("scp",)),
        *plan.options.get("scp_args", ()),
        *("-o", "BatchMode=yes", "-o", "ConnectTimeout=8", "-q"),
        *port,
        "--",
        *paths,
    ]
