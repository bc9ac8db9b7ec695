"""Looks at all that a cluster needs: its files, its controller, this host and others. Always ends.

Nothing that it tells holds a key: it never reads more of a connection file than it has to.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import stat
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from hippodrome.cluster import files
from hippodrome.cluster.asking import line_to
from hippodrome.cluster.findings import (
    Diagnosis,
    Facts,
    Level,
    of_addresses,
    of_clock,
    of_host,
)
from hippodrome.cluster.probe import facts_of
from hippodrome.errors import ClusterError, ConnectionFileError
from hippodrome.launch.commands import ask, on_host
from hippodrome.protocol.reading import one_line
from hippodrome.security.connection_file import ConnectionInfo, client_file, engine_file, read
from hippodrome.security.foreign import read_foreign
from hippodrome.transport.connect import is_alive
from hippodrome.transport.reach import reach

HERE: Final = "here"
HOST_S: Final = 25.0
MOST_AT_ONCE: Final = 32
MOST_TOLD_BYTES: Final = 1 << 20
_REACH_S: Final = 5.0
_ANSWER_S: Final = 5.0
_MOST_SAID: Final = 200


@dataclass(frozen=True, slots=True)
class CheckOrder:
    """What is to be looked at.

    Attributes:
        profile_dir: the profile.
        cluster_id: the cluster there.
        hosts: further hosts, as ssh knows them.
        programs: commands that have to be there to start engines.
        python: the interpreter on other hosts; empty for the one that runs this, where it is there.
        port: at which to listen for a moment if no controller runs; 0 for any.
        ip: where.
    """

    profile_dir: Path
    cluster_id: str = ""
    hosts: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    python: str = ""
    port: int = 0
    ip: str = "auto"


@dataclass(slots=True)
class Checkup:
    """What was found.

    Attributes:
        findings: one for each thing that was looked at.
        facts: of each host.
    """

    findings: list[Diagnosis] = field(default_factory=list)
    facts: dict[str, Facts] = field(default_factory=dict)


def check(order: CheckOrder) -> Checkup:
    """Look at everything."""
    made = Checkup()
    made.findings += _folder(order.profile_dir)
    security_dir = order.profile_dir / "security"
    meant = [named(security_dir, order.cluster_id) for named in (client_file, engine_file)]
    info = None
    for path in files.find_connection_files(order.profile_dir):
        made.findings.append(_file(path, is_meant=path in meant))
    for path in meant:
        with contextlib.suppress(ConnectionFileError):
            info = info or read(path)
    runs = info is not None and is_alive(info)
    ours = facts_of(order.profile_dir)
    made.facts[HERE] = ours
    made.findings += of_host(HERE, ours, ours)
    made.findings += _programs(order.programs)
    with contextlib.ExitStack() as stack:
        if info is not None and runs:
            made.findings += _controller(info)
            addresses = info.addresses
        elif order.hosts:
            addresses = _listen_meanwhile(order, made, stack)
        else:
            addresses = ()
        addresses = tuple(one for one in addresses if one.startswith("tcp://"))
        _look_at_hosts(order, made, addresses)
    return made


def _look_at_hosts(order: CheckOrder, made: Checkup, addresses: tuple[str, ...]) -> None:
    if not order.hosts:
        return
    with ThreadPoolExecutor(MOST_AT_ONCE) as pool:
        found = pool.map(lambda host: _host(host, order, addresses, made.facts[HERE]), order.hosts)
        for host, (findings, facts) in zip(order.hosts, found, strict=True):
            made.findings += findings
            if facts:
                made.facts[host] = facts


# ------------------------------------------------------------ files


def _folder(profile_dir: Path) -> Iterator[Diagnosis]:
    for path, open_bits, closing in (
        (profile_dir, 0o022, "go-w"),
        (profile_dir / "security", 0o077, "go-rwx"),
    ):
        level, text = _folder_state(path, open_bits, closing)
        yield Diagnosis(level, HERE, "folder", text)


def _folder_state(path: Path, open_bits: int, closing: str) -> tuple[Level, str]:
    try:
        found = path.stat()
    except FileNotFoundError:
        return Level.OK, f"{path} is made when it is needed"
    except OSError as error:
        return Level.BAD, f"{path}: {error.strerror}"
    if found.st_uid != os.geteuid():
        return Level.BAD, f"{path} belongs to another user (uid {found.st_uid})"
    if not os.access(path, os.W_OK | os.X_OK):
        return Level.BAD, f"{path} cannot be written to"
    if found.st_mode & open_bits:
        return Level.WARN, f"{path} is open to other users: chmod {closing} {path}"
    return Level.OK, f"{path} is yours, mode {stat.S_IMODE(found.st_mode):04o}"


def _file(path: Path, *, is_meant: bool) -> Diagnosis:
    """Look at one connection file; what is wrong with one of another cluster is less grave."""
    wrong = Level.BAD if is_meant else Level.WARN
    if read_foreign(path) is not None:
        return Diagnosis(Level.OK, HERE, "file", f"{path} is ipyparallel's, and left alone")
    try:
        info = read(path)
    except ConnectionFileError as error:
        return Diagnosis(wrong, HERE, "file", str(error))
    if is_alive(info):
        text = f"{path} is of process {info.pid} on {info.host}, which answers"
        return Diagnosis(Level.OK, HERE, "file", text)
    found = reach(info.addresses, 1.0, info.host)
    tried = "; ".join(f"{one.address}: {one.trouble}" for one in found)
    text = f"{path} is stale: process {info.pid} on {info.host} does not answer ({tried})"
    return Diagnosis(wrong, HERE, "file", f"{text}; ipcluster clean removes it")


# ------------------------------------------------------------ the controller


def _controller(info: ConnectionInfo) -> Iterator[Diagnosis]:
    """Look at a controller that runs: its addresses from here, and whether it answers."""
    found = reach(info.addresses, _REACH_S, info.host)
    yield of_addresses(HERE, [{"address": one.address, "trouble": one.trouble} for one in found])
    if info.role != "client" or info.path is None:
        return
    try:
        with line_to(info.path, _ANSWER_S) as line:
            n = len(line.engines)
            text = f"it lets us in, and has {n:,} engine{'' if n == 1 else 's'}"
            yield Diagnosis(Level.OK, HERE, "controller", text)
    except ClusterError as error:
        yield Diagnosis(Level.BAD, HERE, "controller", str(error))


def _listen_meanwhile(
    order: CheckOrder, made: Checkup, stack: contextlib.ExitStack
) -> tuple[str, ...]:
    """Listen as a controller would, so that others can try to reach it; return where."""
    import zmq

    from hippodrome.security.keys import generate
    from hippodrome.transport.doors import addresses_of, find_doors
    from hippodrome.transport.listen import bind_tcp

    context: zmq.Context[zmq.Socket[bytes]] = stack.enter_context(zmq.Context())
    router = stack.enter_context(context.socket(zmq.ROUTER))
    router.setsockopt(zmq.LINGER, 0)
    try:
        doors = find_doors(order.ip, order.hosts)
        port = bind_tcp(router, doors.bound, order.port, generate())
    except ClusterError as error:
        made.findings.append(Diagnosis(Level.BAD, HERE, "port", str(error)))
        return ()
    text = f"no controller runs: listening at port {port} meanwhile, for others to try"
    made.findings.append(Diagnosis(Level.OK, HERE, "port", text))
    return tuple(addresses_of(doors.published, port))


def _programs(names: Sequence[str]) -> Iterator[Diagnosis]:
    for name in names:
        found = shutil.which(name)
        if found is None:
            yield Diagnosis(Level.BAD, HERE, "command", f"there is no {name} on the PATH")
        else:
            yield Diagnosis(Level.OK, HERE, "command", f"{name} is {found}")


# ------------------------------------------------------------ other hosts


def _host(
    host: str, order: CheckOrder, addresses: Sequence[str], ours: Facts
) -> tuple[list[Diagnosis], Facts]:
    """Run the probe on *host* and judge what it tells."""
    began = time.time()
    asked = {"addresses": list(addresses)}
    try:
        command = _command(host, order.python)
    except ValueError as error:
        return [Diagnosis(Level.BAD, host, "ssh", one_line(str(error), _MOST_SAID))], {}
    code, told, said = _ask(command, json.dumps(asked))
    if code is None:
        return [Diagnosis(Level.BAD, host, "ssh", f"no answer within {HOST_S:g} s")], {}
    ended = time.time()
    lines = told.strip().splitlines()
    try:
        facts = json.loads(lines[-1] if lines else "")
        findings = list(of_host(host, facts, ours))
        findings.append(of_clock(host, facts, began, ended))
        if addresses:
            findings.append(of_addresses(host, facts["addresses"]))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        last = (said.strip().splitlines() or [f"exit code {code}, and nothing said"])[-1]
        what = "ssh" if code == 255 else "probe"
        return [Diagnosis(Level.BAD, host, what, one_line(last, _MOST_SAID))], {}
    return [_readable(one) for one in findings], facts


def _readable(finding: Diagnosis) -> Diagnosis:
    """Return it as a line, whatever another host has told."""
    return Diagnosis(finding.level, finding.where, finding.what, one_line(finding.text, 2_000))


def _command(host: str, python: str) -> list[str]:
    """Return the command that runs the probe there, by the same Python as here if it is there.

    Raises:
        ValueError: *host* names none.
    """
    own = shlex.quote(python or sys.executable)
    run = "-m hippodrome.cluster.probe"
    script = f"if command -v {own} >/dev/null; then exec {own} {run}; fi; exec python3 {run}"
    return on_host(host, script)


def _ask(command: Sequence[str], text: str) -> tuple[int | None, str, str]:
    """Run *command* with *text* as its input; return code, output, and errors; no code: no end."""
    answer = ask(command, text, HOST_S)
    code = 255 if answer.code is None and not answer.is_late else answer.code
    return code, answer.output[:MOST_TOLD_BYTES], answer.trouble[:MOST_TOLD_BYTES]


def as_json(made: Checkup) -> dict[str, Any]:  # Any: whatever JSON may hold
    """Return what was found, for programs."""
    from hippodrome.cluster.findings import verdict

    return {
        "ok": not any(one.level is Level.BAD for one in made.findings),
        "verdict": verdict(made.findings),
        "findings": [one.to_dict() for one in made.findings],
        "hosts": dict(made.facts),
    }
