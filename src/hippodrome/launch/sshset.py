"""The process that holds the engines of one set on other hosts: one ssh for each, and no more.

Whoever ends it, or kills it, ends the engines: each ssh has a pipe from here for its input, and the
program there ends in order when that is closed. It is told everything by a file, and what it must
not show, the key of the cluster, goes over that pipe.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from subprocess import PIPE
from types import FrameType
from typing import Final

from hippodrome import _version
from hippodrome.errors import ConnectionFileError
from hippodrome.launch.base import LaunchOrder, LaunchPhase
from hippodrome.launch.hostconnection import HostConnection, copy_one, told
from hippodrome.launch.hostset import HostSet, HostStart
from hippodrome.launch.remotescript import (
    BACK_FOLDER,
    BACK_PREFIX,
    RemotePlan,
    engine_command,
    plans,
    scp_command,
    script,
)
from hippodrome.launch.setnews import SetNews
from hippodrome.process.descriptors import take_in
from hippodrome.process.handover import Handover
from hippodrome.process.signals import stop_pipe
from hippodrome.process.standard import open_missing
from hippodrome.process.titles import set_title
from hippodrome.protocol.version import PROTOCOL
from hippodrome.security.connection_file import (
    ConnectionInfo,
    engine_file,
    read,
)
from hippodrome.ssh.reasons import SSHFailure, why_ended
from hippodrome.ssh.session import TAIL_BYTES
from hippodrome.transport.connect import is_alive

log: logging.Logger = logging.getLogger(__name__)

MODULE: Final = "hippodrome.apps.ipengine"
SECTION: Final = "SSHSet"
_LINE_BYTES: Final = 1 << 16
_LOOK_S: Final = 0.05
_MOST_S: Final = 60.0
_STOP_S: Final = 4.0  # for the programs there to end; then their ssh is ended
_SSH_FAILED: Final = 255


class Holder:
    """All connections of a set.

    Args:
        order: what is to be run.
        state_file: where it is written how far all are.
        ready_fd: to whom waits; -1 for nobody.
        parent_fd: at whose end of file everything ends; -1 for nobody's.
        stop_fd: becomes readable when everything is to end.
    """

    def __init__(
        self, order: LaunchOrder, state_file: Path, ready_fd: int, parent_fd: int, stop_fd: int
    ) -> None:
        self._order = order
        self._news = SetNews(state_file, ready_fd)
        self._parent_fd = parent_fd
        self._stop_fd = stop_fd
        found = plans(order.options["hosts"], order.n, order.options, order.arguments)
        self._plans = [plan for plan in found if plan.host.n >= 0]
        at_once = order.options.get("at_once", 8)
        hosts = [plan.host for plan in self._plans]
        self._set = HostSet(hosts, _version.__version__, PROTOCOL, at_once)
        self._connections: list[HostConnection] = []
        self._handover = Handover()
        self._info: ConnectionInfo | None = None
        self._info_due = time.monotonic() + order.wait_s

    def run(self) -> int:
        """Run until nothing is left, or it is told to stop; returns an exit code."""
        while not self._set.is_over:
            now = time.monotonic()
            if self._info is None:
                self._look_for_controller(now)
            else:
                for start in self._set.begin(now):
                    self._begin(start)
            self._news.tell(self._set)
            if self._turn(self._set.due_in(now)):
                self._stop()
                return 0
        self._news.tell(self._set)
        self._stop()
        failed = all(host.phase is LaunchPhase.FAILED for host in self._set.hosts)
        return 1 if failed else 0

    def signal(self, signum: int) -> None:
        """Have a signal delivered to all engines."""
        for connection in self._connections:
            connection.give(f"signal {signum}\n".encode())

    # ---- one turn

    def _turn(self, due_s: float | None) -> bool:
        """Wait for something, and see to it; return whether it is time to stop."""
        pause_s = _MOST_S if due_s is None else min(due_s + 0.01, _MOST_S)
        if self._info is None:
            pause_s = _LOOK_S
        ready = self._poll(pause_s)
        if self._stop_fd in ready:
            return True
        if self._parent_fd in ready and not os.read(self._parent_fd, 256):
            return True
        if self._handover.fd in ready:
            self._handover.collect()
        for connection in list(self._connections):
            self._look(connection, ready)
        return False

    def _poll(self, pause_s: float) -> set[int]:
        """Return the descriptors of which there is something to read, after a while."""
        poller = select.poll()
        own = [fd for fd in (self._stop_fd, self._handover.fd, self._parent_fd) if fd is not None]
        for descriptor in own:
            if descriptor >= 0:
                poller.register(descriptor, select.POLLIN)
        for connection in self._connections:
            for descriptor in connection.open:
                poller.register(descriptor, select.POLLIN)
        return {descriptor for descriptor, _ in poller.poll(pause_s * 1000)}

    def _look(self, connection: HostConnection, ready: set[int]) -> None:
        for descriptor in [fd for fd in connection.open if fd in ready]:
            take_in(connection.open, descriptor)
        if not connection.open:
            self._end(connection)
        elif connection.start.is_over:
            connection.let_go()

    def _end(self, connection: HostConnection) -> None:
        connection.let_go()
        code = connection.process.wait()
        self._connections.remove(connection)
        for stream in (connection.process.stdout, connection.process.stderr):
            if stream is not None:
                stream.close()
        start = connection.start
        text = connection.errors.decode("utf-8", "replace")
        failure = why_ended(start.host.server, text, had_login=start.has_login)
        self._set.on_end(start, failure, code, time.monotonic())

    # ---- how a host is started

    def _begin(self, start: HostStart) -> None:
        plan = self._plans[self._set.hosts.index(start)]
        files = [(local, f":{remote}") for local, remote in plan.options.get("to_send", ())]
        if files:
            self._copy(plan, files, start, lambda: self._connect(start, plan))
        else:
            self._connect(start, plan)

    def _connect(self, start: HostStart, plan: RemotePlan) -> None:
        if start.is_over:
            return
        here = self._controller_socket()
        may_tunnel = plan.options.get("tunnel", "auto") is not False and here
        name = f"{BACK_PREFIX}{os.urandom(12).hex()}.sock"
        back = str(BACK_FOLDER / name) if may_tunnel else ""
        command = plan.login.argv(plan.shell, back=f"{back}:{here}" if back else "")
        try:
            process = subprocess.Popen(
                command, stdin=PIPE, stdout=PIPE, stderr=PIPE, start_new_session=True
            )
        except OSError as error:
            self._set.fail(start, f"{command[0]} cannot be run: {error.strerror}")
            return
        connection = HostConnection(process, start, plan, back)
        assert process.stdout is not None
        assert process.stderr is not None
        connection.open = {
            process.stdout.fileno(): lambda data: self._on_output(connection, data),
            process.stderr.fileno(): lambda data: self._on_error(connection, data),
        }
        self._connections.append(connection)
        words = engine_command(plan)
        text = script(plan, MODULE, words, sys.executable, os.getcwd(), back)
        connection.give(text.encode())

    def _on_output(self, connection: HostConnection, data: bytes) -> None:
        *lines, rest = (connection.rest + data).split(b"\n")
        connection.rest = rest[-_LINE_BYTES:]
        for line in lines:
            text = line.decode("utf-8", "replace").rstrip("\r")
            had_engines = connection.start.engines is not None
            if self._set.on_line(connection.start, text) and self._info is not None:
                connection.give(told(self._info, connection).encode() + b"\n")
            if connection.start.engines is not None and not had_engines:
                self._fetch(connection)

    def _on_error(self, connection: HostConnection, data: bytes) -> None:
        connection.errors = (connection.errors + data)[-TAIL_BYTES:]
        name = connection.start.host.server
        for line in data.decode("utf-8", "replace").splitlines():
            with contextlib.suppress(OSError):
                sys.stderr.write(f"[{name}] {line}\n")
        with contextlib.suppress(OSError):
            sys.stderr.flush()

    def _look_for_controller(self, now: float) -> None:
        """See whether it is there; what is started before its time has no way to it."""
        order = self._order
        path = engine_file(order.profile_dir / "security", order.cluster_id)
        with contextlib.suppress(ConnectionFileError):
            info = read(path)
            if is_alive(info):
                self._info = info
                return
        if now >= self._info_due:
            for host in self._set.hosts:
                self._set.fail(host, f"no controller came within {order.wait_s:g} s ({path})")

    def _controller_socket(self) -> str:
        """Return the controller's own socket, if that is on this host."""
        addresses = self._info.addresses if self._info is not None else ()
        found = [one.removeprefix("ipc://") for one in addresses if one.startswith("ipc://")]
        return found[0] if found and os.path.exists(found[0]) else ""

    # ---- files

    def _fetch(self, connection: HostConnection) -> None:
        wanted = connection.plan.options.get("to_fetch", ())
        files = [(f":{remote}", local) for remote, local in wanted]
        if files:
            self._copy(connection.plan, files, connection.start, lambda: None)

    def _copy(
        self,
        plan: RemotePlan,
        files: Sequence[tuple[str, str]],
        start: HostStart,
        then: Callable[[], None],
    ) -> None:
        """Copy files, on a thread of its own, and then do what is to be done *then*."""

        def run() -> None:
            for source, target in files:
                if trouble := copy_one(scp_command(plan, source, target)):
                    failure = why_ended(plan.host.server, trouble)
                    text = f"{source} could not be copied to {target}: {'; '.join(failure.lines)}"
                    self._handover.later(partial(self._on_copy_failed, start, text, failure))
                    return
            self._handover.later(then)

        threading.Thread(target=run, name="scp", daemon=True).start()

    def _on_copy_failed(self, start: HostStart, text: str, failure: SSHFailure) -> None:
        if start.engines is not None:
            log.warning("%s: %s", start.host.server, text)
        elif failure.is_passing:
            self._set.on_end(start, failure, _SSH_FAILED, time.monotonic())
        else:
            self._set.fail(start, text)

    # ---- the end

    def _stop(self) -> None:
        """End everything in order, and what does not end by ending its ssh."""
        for connection in self._connections:
            connection.let_go()
        deadline = time.monotonic() + _STOP_S
        while self._connections and time.monotonic() < deadline:
            self._drain(deadline)
        for connection in self._connections:
            connection.process.terminate()
        deadline = time.monotonic() + 1.0
        while self._connections and time.monotonic() < deadline:
            self._drain(deadline)
        for connection in self._connections:
            connection.process.kill()
            connection.process.wait()

    def _drain(self, deadline: float) -> None:
        left_s = max(0.0, deadline - time.monotonic())
        self._stop_fd = self._parent_fd = -1  # nobody has to say it again
        ready = self._poll(left_s)
        for connection in list(self._connections):
            self._look(connection, ready)


def signal_for(signum: int) -> int:
    """Return the signal by which this process is told to have *signum* delivered to engines."""
    return signal.SIGRTMIN + signum if hasattr(signal, "SIGRTMIN") else signum


def read_order(argv: Sequence[str] | None) -> tuple[LaunchOrder, Path, int, int]:
    """Return what a command line says, and the file that it names, which is removed.

    Returns:
        The order, where to write how far it is, and the descriptors of whoever waits and of whoever
        this ends with; -1 for nobody's.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path)
    parser.add_argument(f"--{SECTION}.ready_fd", dest="ready_fd", type=int, default=-1)
    parser.add_argument(f"--{SECTION}.parent_fd", dest="parent_fd", type=int, default=-1)
    given = parser.parse_args(argv)
    logging.basicConfig(format="%(asctime)s [%(process)d] %(levelname)s %(message)s", level="INFO")
    content = json.loads(given.file.read_text(encoding="utf-8"))
    given.file.unlink()
    order = LaunchOrder.from_dict(content)
    return order, Path(content["state_file"]), given.ready_fd, given.parent_fd


def main(argv: Sequence[str] | None = None) -> int:
    """Hold the set that a file describes, which is removed at once."""
    open_missing()
    order, state_file, ready_fd, parent_fd = read_order(argv)
    set_title("ipp-ssh", f"ipcluster: engines by ssh {order.cluster_id}")
    with stop_pipe() as stop_fd:
        holder = Holder(order, state_file, ready_fd, parent_fd, stop_fd)

        def relay(signum: int, frame: FrameType | None) -> None:
            holder.signal(signum - signal.SIGRTMIN)

        if hasattr(signal, "SIGRTMIN"):
            for signum in range(signal.SIGRTMIN + 1, signal.SIGRTMAX + 1):
                signal.signal(signum, relay)
        return holder.run()


if __name__ == "__main__":
    sys.exit(main())
