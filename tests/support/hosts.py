"""Hosts of a lab, on one machine: namespaces with names, addresses, and cables between them.

    with Hosts(3, private=True) as hosts:
        hosts.run("h1", ["ping", "-c", "1", "h2"])

Each host has a network, a name, System V ipc, mounts and process ids of its own, and sees the
files of this machine, as over a shared file system. `private` gives each its own /dev/shm, and its
own content of the directories in `hidden`, which are those of sockets: hosts that share neither.
They are joined by a switch. This process is on the head, which has an address at the switch too.

A lab leaves nothing behind, however the process that made it ends: its hosts end when a pipe
from here closes, and all that there is of a host goes with it. Only root can make one, on Linux.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import psutil

from support import leaks, processes

HEAD: Final = "head"
N_LABS: Final = 99
PATIENCE_S: Final = 20.0
NEEDS: Final = ("ip", "unshare", "nsenter", "mount")
ENTER: Final = Path(__file__).with_name("enter.py")
FOLDER: Final = Path(tempfile.gettempdir())


@functools.cache
def why_not(*programs: str) -> str:
    """Say why no lab can be had here that uses *programs*, or nothing."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "hosts are made of namespaces, by root on Linux"
    missing = [name for name in (*NEEDS, *programs) if where_is(name) is None]
    if missing:
        return f"there is no {' and no '.join(missing)}"
    trial = ["unshare", "--net", "--uts", "--ipc", "--mount", "--pid", "--fork", "--mount-proc"]
    steps = ["mount -t tmpfs tmpfs /run", "ip link add name br0 type bridge"]
    steps += ["ip link add name one type veth peer name other"]
    if "nft" in programs:
        steps.append("nft 'table bridge t { chain c { type filter hook forward priority 0; }; }'")
    if "tc" in programs:
        steps.append("tc qdisc add dev br0 root tbf rate 1gbit burst 1mb latency 50ms")
    script = "PATH=$PATH:/usr/sbin:/sbin; " + " && ".join(steps)
    made = subprocess.run([*trial, "sh", "-c", script], capture_output=True, text=True, check=False)
    return f"no host can be made here: {made.stderr.strip()}" if made.returncode else ""


def where_is(program: str) -> str | None:
    """Return the path of a program, those of administrators included."""
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


@dataclass(frozen=True, slots=True)
class Host:
    """One host that runs.

    Attributes:
        name: its name, also to itself.
        address: where the others reach it.
        lifeline: the process that makes it; the host ends with it, or when its stdin is closed.
        init: the pid of its first process, as seen from here.
    """

    name: str
    address: str
    lifeline: subprocess.Popen[str]
    init: int

    def end(self) -> None:
        """End it and all that runs there."""
        assert self.lifeline.stdin is not None
        assert self.lifeline.stdout is not None
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.init, signal.SIGKILL)
        self.lifeline.wait(PATIENCE_S)
        self.lifeline.stdin.close()
        self.lifeline.stdout.close()


class Guest(subprocess.Popen[Any]):
    """A program on a host, by way of the process here that stands for it."""

    @property
    def program_pid(self) -> int:
        """The pid of the program itself, as seen from here, once it has one."""
        leaks.wait_until(lambda: bool(self._below()))
        return self._below()[0]

    def send_signal(self, sig: int) -> None:
        """Send it a signal; one that cannot be passed on goes to the program at once."""
        below = self._below() if sig in (signal.SIGKILL, signal.SIGSTOP) else []
        if not below:
            super().send_signal(sig)
        for pid in below:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, sig)

    def _below(self) -> list[int]:
        try:
            told = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        except OSError:
            return []
        return [int(pid) for pid in told.split()]


class Hosts:
    """Hosts at one switch; use it as a context manager.

    Args:
        names: how many, for h1, h2 and so on; or their names.
        sshd: whether each listens for ssh; `ssh_config` and `ssh_env` are for those who call.
        private: whether each has its own /dev/shm and its own content of *hidden*.
        hidden: directories that exist, and that are each host's own if *private*.
        variables: what is in the environment of all that runs there, also of what ssh starts.
        shm_bytes: the size of each host's own /dev/shm; half of the memory if not given.
    """

    def __init__(
        self,
        names: int | Sequence[str],
        *,
        sshd: bool = False,
        private: bool = False,
        hidden: Iterable[Path] = (),
        variables: Mapping[str, str] | None = None,
        shm_bytes: int | None = None,
    ) -> None:
        self.names = [f"h{n + 1}" for n in range(names)] if isinstance(names, int) else [*names]
        self.variables = {**(variables or {})}
        self.number, self._claim = _claim_number()
        self.directory = FOLDER / f"hippodrome-lab-{self.number}"
        self.daemons: set[str] = set()  # names of programs that run as long as the lab does
        self._has_sshd = sshd
        self._hidden = [*hidden] if private else []
        self._shm = ("" if shm_bytes is None else f",size={shm_bytes}") if private else None
        self._hosts: dict[str, Host] = {}
        self._switch: Host | None = None

    def __enter__(self) -> Hosts:
        try:
            self._build()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all hosts, with whatever runs there."""
        for name in [*self._hosts]:
            self._hosts.pop(name).end()
        _ip(f"link del {self._uplink}", must=False)
        if self._switch is not None:
            self._switch.end()
            self._switch = None
        shutil.rmtree(self.directory, ignore_errors=True)
        self._claim.close()

    # ------------------------------------------------------------------ where things are

    def address(self, name: str) -> str:
        """Return the address of a host, also of one that is not there now."""
        return self._network(254 if name == HEAD else 1 + self.names.index(name))

    @property
    def head(self) -> str:
        """The address of this process, as hosts see it."""
        return self.address(HEAD)

    def port(self, number: int) -> int:
        """Return the port with this number (0 to 99) of those that are this lab's, on all hosts."""
        return 20_000 + 100 * self.number + number

    @property
    def ssh_config(self) -> Path:
        """A configuration of ssh by which the names of hosts lead there."""
        return self.directory / "ssh_config"

    def ssh_env(self) -> dict[str, str]:
        """Return variables with which ssh, scp and sftp, as found on the PATH, use `ssh_config`."""
        return {"PATH": f"{self.directory / 'bin'}:{os.environ['PATH']}"}

    # ------------------------------------------------------------------ what runs there

    def command(self, name: str, argv: Sequence[str | Path]) -> list[str]:
        """Return the command that runs *argv* on a host, in the same working directory."""
        enter = [sys.executable, "-IS", str(ENTER), str(self._hosts[name].init), os.getcwd()]
        return [*enter, *map(str, argv)]

    def environment(self) -> dict[str, str]:
        """Return the environment in which programs run on hosts."""
        return {**os.environ, **self.variables}

    def popen(self, name: str, argv: Sequence[str | Path], **options: Any) -> Guest:
        """Start a program on a host; *options* as of `subprocess.Popen`."""
        options = {"env": self.environment(), "stdin": subprocess.DEVNULL, **options}
        return Guest(self.command(name, argv), **options)

    def start(self, name: str, program: str, *options: str) -> processes.Process:
        """Start one of our programs on a host and wait until it is ready; `Process.stop` it."""
        command = self.command(name, [processes.program(program), *options])
        ready = processes.READY[program]
        process = processes.Process(command, self.environment(), ready, start=Guest)
        process.wait_ready()
        return process

    def run(self, name: str, argv: Sequence[str | Path], **options: Any) -> Any:
        """Run a program on a host to its end; *options* as of `subprocess.run`, text captured."""
        defaults: dict[str, Any] = {"env": self.environment(), "capture_output": True, "text": True}
        defaults |= {"timeout": PATIENCE_S} | ({} if "input" in options else _NO_INPUT)
        return subprocess.run(self.command(name, argv), **({"check": False} | defaults | options))

    def processes(self, name: str) -> list[psutil.Process]:
        """Return what runs on a host, as seen from here, without the lab's own daemons."""
        init = self._hosts[name].init
        pids = os.stat(f"/proc/{init}/ns/pid").st_ino
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(OSError, psutil.Error):
                is_there = os.stat(f"/proc/{process.pid}/ns/pid").st_ino == pids
                if is_there and process.pid != init and self._is_guest(process):
                    found.append(process)
        return found

    def wait_empty(self) -> None:
        """Wait until nothing runs on any host, which is to happen soon; fail with what does."""

        def running() -> list[str]:
            there = ((name, p) for name in self._hosts for p in self.processes(name))
            return [f"{leaks.describe(process)} on {name}" for name, process in there]

        left = leaks.settle(running)
        assert not left, "left behind on hosts:\n" + "\n".join(left)

    def _is_guest(self, process: psutil.Process) -> bool:
        words = process.cmdline()
        if not words or process.status() == psutil.STATUS_ZOMBIE:
            return False
        name = Path(words[0]).name.partition(":")[0]
        return name not in self.daemons and not (name == "sshd" and "[listener]" in words)

    # ------------------------------------------------------------------ what befalls them

    def link(self, name: str, up: bool) -> None:
        """Pull the cable between a host and the switch, or put it in again."""
        self._at_switch(f"link set {name} {'up' if up else 'down'}")

    def drop(self, name: str, port: int, is_so: bool = True) -> None:
        """Let what goes to a port of a host be lost silently, as by a firewall; or no more."""
        table = f"drop-{name}-{port}"
        if is_so:
            rule = f'oifname "{name}" tcp dport {port} drop'
            chain = "type filter hook forward priority 0; policy accept;"
            script = f"table bridge {table} {{ chain forward {{ {chain} {rule}; }}; }}"
        else:
            script = f"delete table bridge {table}"
        self._in_switch("nft", script)

    def rate(self, name: str, rate: str | None) -> None:
        """Bound what a host sends and what it gets, each, to a rate as tc writes it ("1gbit")."""
        verb = "replace" if rate else "del"
        bucket = f"tbf rate {rate} burst 1mb latency 50ms" if rate else ""
        here = self._uplink if name == HEAD else "eth0"
        self._in_switch("tc", *f"qdisc {verb} dev {name} root {bucket}".split())
        end = self.command(name, [where_is("tc") or "tc", "qdisc", verb, "dev", here, "root"])
        _run([*end, *bucket.split()])

    def remove(self, name: str) -> None:
        """End a host as by its plug: its cable goes first, so that nobody hears of it."""
        self.link(name, False)
        self._hosts.pop(name).end()
        self._at_switch(f"link del {name}", must=False)

    def add(self, name: str) -> None:
        """Make a host again that was removed, with its name and address, or a new one."""
        if name not in self.names:
            self.names.append(name)
            self._write_names()
        self._start(name)
        if self._has_sshd:
            self._start_sshd(name)

    # ------------------------------------------------------------------ how they are made

    @property
    def _uplink(self) -> str:
        return f"hlab{self.number}"

    def _network(self, number: int) -> str:
        return f"198.18.{self.number}.{number}"

    def _mac(self, name: str) -> str:
        """The same for a name that is there again, as others remember it."""
        return f"02:00:00:00:{self.number:02x}:{1 + self.names.index(name):02x}"

    def _build(self) -> None:
        _ip(f"link del {self._uplink}", must=False)
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(mode=0o755)
        self._write_names()
        if self._has_sshd:
            self._make_keys()
        self._switch = self._make("switch", "", "--net")
        self._at_switch("link add name br0 type bridge", "link set br0 up")
        self._at_switch(
            f"link add {HEAD} type veth peer name {self._uplink} netns {os.getpid()}",
            f"link set {HEAD} master br0 up",
        )
        _ip(f"addr add {self.head}/24 dev {self._uplink}", f"link set {self._uplink} up")
        self._hosts[HEAD] = self._make(HEAD, self._bind_names())
        for name in self.names:
            self._start(name)
        if self._has_sshd:
            for name in self.names:
                self._start_sshd(name)

    def _write_names(self) -> None:
        """Write what hosts know of each other's names; in place, as it is mounted there."""
        lines = ["127.0.0.1 localhost", f"{self.head} {HEAD} {socket.gethostname()}"]
        lines += [f"{self.address(name)} {name}" for name in self.names]
        (self.directory / "hosts").write_text("\n".join(lines) + "\n")
        if self._has_sshd:
            self.ssh_config.write_text("".join(map(self._ssh_host, self.names)))

    def _ssh_host(self, name: str) -> str:
        return (
            f"Host {name}\n  HostName {self.address(name)}\n  User root\n"
            f"  IdentityFile {self.directory}/keys/id\n  IdentitiesOnly yes\n  BatchMode yes\n"
            "  UserKnownHostsFile /dev/null\n  StrictHostKeyChecking no\n  LogLevel ERROR\n"
        )

    def _bind_names(self) -> str:
        mounts = [("hosts", "/etc/hosts")]
        # What a person has set up for logins may take long, and leave locks when it is killed.
        if (bashrc := Path.home() / ".bashrc").exists():
            (self.directory / "bashrc").touch()
            mounts.append(("bashrc", str(bashrc)))
        if self._has_sshd and Path("/etc/ssh/ssh_config").exists():
            mounts.append(("ssh_config", "/etc/ssh/ssh_config"))
        binds = (f"mount --bind {self.directory}/{name} {path}" for name, path in mounts)
        return "; ".join(binds)

    def _start(self, name: str) -> None:
        tmpfs = [("/run", "mode=755")]
        if self._shm is not None:
            tmpfs.append(("/dev/shm", f"mode=1777{self._shm}"))
        tmpfs += [(shlex.quote(str(path)), "mode=700") for path in self._hidden]
        mounts = "; ".join(f"mount -t tmpfs -o {how} tmpfs {path}" for path, how in tmpfs)
        script = f"hostname {name}; {self._bind_names()}; {mounts}; mkdir /run/sshd /run/lock"
        host = self._make(name, script, "--net", "--uts", "--ipc")
        self._hosts[name] = host
        self._at_switch(
            f"link add {name} type veth peer name eth0 address {self._mac(name)} netns {host.init}",
            f"link set {name} master br0 up",
        )
        _ip(
            "link set lo up",
            f"addr add {host.address}/24 dev eth0",
            "link set eth0 up",
            f"route add default via {self.head}",
            inside=host.init,
        )

    def _make(self, name: str, script: str, *kinds: str) -> Host:
        """Start the first process of a host: it prepares what is there, and stays."""
        unshare = ["unshare", *kinds, "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        # Whom others leave to the first process, that waits for by ignoring their ends.
        stay = "exec env --ignore-signal=CHLD cat > /dev/null"
        whole = f"set -e; {script or ':'}; echo up; {stay}"
        trouble = self.directory / f"{name}.err"
        with trouble.open("w") as errors:
            lifeline = subprocess.Popen(
                [*unshare, "sh", "-c", whole],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )
        assert lifeline.stdout is not None
        if lifeline.stdout.readline() != "up\n":
            raise RuntimeError(f"there is no host {name}: {whole}\n{trouble.read_text()}")
        (init,) = Path(f"/proc/{lifeline.pid}/task/{lifeline.pid}/children").read_text().split()
        address = "" if name == "switch" else self.address(name)
        return Host(name, address, lifeline, int(init))

    def _make_keys(self) -> None:
        keys = self.directory / "keys"
        keys.mkdir(mode=0o700)
        for name in ("host", "id"):
            _run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", keys / name])
        shutil.copy(keys / "id.pub", keys / "authorized_keys")
        wrappers = self.directory / "bin"
        wrappers.mkdir()
        for name in ("ssh", "scp", "sftp"):
            wrapper = wrappers / name
            wrapper.write_text(f'#!/bin/sh\nexec {where_is(name)} -F {self.ssh_config} "$@"\n')
            wrapper.chmod(0o755)

    def _start_sshd(self, name: str) -> None:
        config = self.directory / f"sshd_config.{name}"
        keys = self.directory / "keys"
        variables = " ".join(f'"{key}={value}"' for key, value in self.variables.items())
        config.write_text(
            f"Port 22\nListenAddress {self.address(name)}\nHostKey {keys}/host\n"
            f"PidFile /run/sshd.pid\nAuthorizedKeysFile {keys}/authorized_keys\nStrictModes no\n"
            "PasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\n"
            "PermitRootLogin prohibit-password\nSubsystem sftp internal-sftp\nPrintMotd no\n"
            f"{f'SetEnv {variables}' if variables else ''}\n"
        )
        log = self.directory / f"sshd.{name}.log"
        program = where_is("sshd") or "sshd"  # it listens before it goes to the background
        _run(self.command(name, [program, "-f", config, "-E", log]))

    def _at_switch(self, *lines: str, must: bool = True) -> None:
        assert self._switch is not None
        _ip(*lines, inside=self._switch.init, must=must)

    def _in_switch(self, program: str, *arguments: str) -> None:
        assert self._switch is not None
        inside = ["nsenter", f"--net=/proc/{self._switch.init}/ns/net"]
        _run([*inside, where_is(program) or program, *arguments])


_NO_INPUT: Final[dict[str, Any]] = {"stdin": subprocess.DEVNULL}


def _claim_number() -> tuple[int, socket.socket]:
    """Take a number that no other lab has, for as long as the socket that is returned is open."""
    for number in range(1, N_LABS + 1):
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0hippodrome-lab-{number}")
        except OSError:
            claim.close()
        else:
            return number, claim
    raise RuntimeError(f"there are {N_LABS} labs already")


def _ip(*lines: str, inside: int | None = None, must: bool = True) -> None:
    where = [] if inside is None else ["nsenter", f"--net=/proc/{inside}/ns/net"]
    batch = "\n".join(lines) + "\n"
    _run([*where, where_is("ip") or "ip", "-batch", "-"], batch, must)


def _run(command: Sequence[str | Path], text: str | None = None, must: bool = True) -> None:
    given = _NO_INPUT if text is None else {"input": text}
    done = subprocess.run(
        [*map(str, command)], check=False, capture_output=True, text=True, timeout=60, **given
    )
    if must and done.returncode:
        raise RuntimeError(f"{shlex.join(map(str, command))}\n{text or ''}{done.stderr}")


def wait_listening(address: str, port: int, within_s: float = PATIENCE_S) -> None:
    """Wait until somebody listens there, of which no event tells."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            socket.create_connection((address, port), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return
