"""The process that holds a controller on another host by one ssh, and brings its files here.

Whoever ends it, or kills it, ends the controller: the input of the program there is a pipe from
here. Its connection files come over ssh as text, and say here how to tunnel there.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import select
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from subprocess import PIPE
from typing import Final

from hippodrome.errors import ClusterError, ConnectionFileError
from hippodrome.launch.base import LaunchOrder
from hippodrome.launch.hostset import LOGGED_IN
from hippodrome.launch.remotescript import place_of, script
from hippodrome.launch.sshset import read_order
from hippodrome.process.descriptors import Streams, take_in
from hippodrome.process.signals import stop_pipe
from hippodrome.process.standard import open_missing
from hippodrome.process.titles import set_title
from hippodrome.security.connection_file import (
    ConnectionInfo,
    client_file,
    engine_file,
    remove,
    write,
)
from hippodrome.ssh.reasons import why_ended
from hippodrome.ssh.session import TAIL_BYTES

log: logging.Logger = logging.getLogger(__name__)

MODULE: Final = "hippodrome.apps.ipcontroller"
_BETWEEN: Final = "hippodrome-file"
_FETCH_S: Final = 20.0
_STOP_S: Final = 4.0


class ControllerHolder:
    """One controller elsewhere.

    Args:
        order: what is to be run.
        ready_fd: to whom waits; -1 for nobody.
        parent_fd: at whose end of file it ends; -1 for nobody's.
        stop_fd: becomes readable when it is to end.
    """

    def __init__(self, order: LaunchOrder, ready_fd: int, parent_fd: int, stop_fd: int) -> None:
        self._order = order
        self._plan = place_of(order.options, order.arguments)
        self._ready_fd = ready_fd
        self._waits_for = [fd for fd in (parent_fd, stop_fd) if fd >= 0]
        self._written: list[tuple[Path, int]] = []
        self._rest = b""
        self._errors = b""
        self._has_login = False

    def run(self) -> int:
        """Run until it ends, or it is told to stop; returns an exit code."""
        plan = self._plan
        try:
            process = subprocess.Popen(
                plan.login.argv(plan.shell), stdin=PIPE, stdout=PIPE, stderr=PIPE,
                start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            self._fail(f"ssh cannot be run: {error.strerror}")
            return 1
        text = script(plan, MODULE, self._words(), sys.executable, os.getcwd(), "")
        assert process.stdin is not None
        with contextlib.suppress(OSError):
            os.write(process.stdin.fileno(), text.encode())
        try:
            is_asked = self._watch(process)
        finally:
            process.stdin.close()
            process.stdin = None  # or what is left of its output could not be read
            self._end(process)
            for path, pid in self._written:
                remove(path, pid)
        if not is_asked:
            failure = why_ended(
                plan.host.server, self._errors.decode("utf-8", "replace"), had_login=self._has_login
            )
            self._fail(f"the controller on {plan.host.server}: {failure.reason}")
        return 0 if is_asked else process.returncode or 1

    def _words(self) -> list[str]:
        profile = self._plan.options.get("remote_profile_dir")
        return [
            f"--cluster-id={self._order.cluster_id}",
            *([f"--profile-dir={profile}"] if profile else []),
            "--IPController.parent_fd=0",
            "--IPController.ready_fd=1",
            *self._plan.arguments,
        ]

    def _watch(self, process: subprocess.Popen[bytes]) -> bool:
        """Wait for its end; return whether somebody has asked for that."""
        assert process.stdout is not None
        assert process.stderr is not None
        streams: Streams = {
            process.stdout.fileno(): self._on_output,
            process.stderr.fileno(): self._on_error,
        }
        while streams:
            poller = select.poll()
            for descriptor in (*self._waits_for, *streams):
                poller.register(descriptor, select.POLLIN)
            for descriptor, _ in poller.poll():
                if descriptor in self._waits_for:
                    return True
                take_in(streams, descriptor)
        return False

    def _on_output(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if line.strip() == LOGGED_IN.encode():
                self._has_login = True
            elif line.strip() == b"ready" and self._has_login:
                self._bring_files()

    def _on_error(self, data: bytes) -> None:
        self._errors = (self._errors + data)[-TAIL_BYTES:]
        with contextlib.suppress(OSError):
            sys.stderr.write(data.decode("utf-8", "replace"))
            sys.stderr.flush()

    def _bring_files(self) -> None:
        """Write here what the files there say, and how to get there."""
        here = self._order.profile_dir / "security"
        paths = [name(here, self._order.cluster_id) for name in (client_file, engine_file)]
        login = self._plan.login
        try:
            done = subprocess.run(
                login.argv(("exec", "sh")),
                input=self._fetching(paths).encode(),
                capture_output=True,
                timeout=_FETCH_S,
                check=False,
                start_new_session=True,
            )
            parts = done.stdout.decode("utf-8", "replace").split(_BETWEEN)[1:]
            if len(parts) != len(paths):
                raise ConnectionFileError("its connection files cannot be read there")
            for path, text in zip(paths, parts, strict=True):
                info = ConnectionInfo.from_dict(json.loads(text), f"{login.server}:{path.name}")
                write(path, replace(info, ssh=str(login.server)))
                self._written.append((path, info.pid))
        except (OSError, ValueError, TypeError, ClusterError, subprocess.TimeoutExpired) as error:
            self._fail(f"the controller on {login.server}: {error}")
            return
        self._say("ready")

    def _fetching(self, paths: Sequence[Path]) -> str:
        """Return the script that prints the files there."""
        variables = self._plan.options.get("environment", {})
        lines = [f"export {name}={shlex.quote(str(value))}" for name, value in variables.items()]
        profile = self._plan.options.get("remote_profile_dir")
        folder = '"${IPYTHONDIR:-$HOME/.ipython}"/profile_default'
        if profile:
            folder = shlex.quote(profile)
        for path in paths:
            lines += [f"echo {_BETWEEN}", f"cat {folder}/security/{shlex.quote(path.name)}"]
        return "\n".join([*lines, ""])

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        """Wait until it has ended in order, and end what does not."""
        deadline = time.monotonic() + _STOP_S
        while process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=max(0.1, deadline - time.monotonic()))
        if process.poll() is None:
            process.kill()
            process.wait()

    def _fail(self, text: str) -> None:
        log.error("%s", text)
        self._say(f"failed {json.dumps(text)}")

    def _say(self, line: str) -> None:
        if self._ready_fd >= 0:
            with contextlib.suppress(OSError):  # nobody waits any more
                os.write(self._ready_fd, f"{line}\n".encode())
            os.close(self._ready_fd)
            self._ready_fd = -1


def main(argv: Sequence[str] | None = None) -> int:
    """Hold the controller that a file describes, which is removed at once."""
    open_missing()
    order, _, ready_fd, parent_fd = read_order(argv)
    set_title("ipp-ssh", f"ipcluster: controller by ssh {order.cluster_id}")
    with stop_pipe() as stop_fd:
        return ControllerHolder(order, ready_fd, parent_fd, stop_fd).run()


if __name__ == "__main__":
    sys.exit(main())
