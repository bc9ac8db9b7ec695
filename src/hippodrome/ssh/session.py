"""One ssh process: a shell there reads a script from its input, and ends when that is closed.

Closing the input ends it in order, and it is closed when this process ends, however that happens.
So nothing that is started this way stays behind, here or there.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from hippodrome.process.descriptors import Streams, take_in
from hippodrome.ssh.command import UNDISTURBED, Login
from hippodrome.ssh.reasons import SSHFailure, Trouble, why_ended

SHELL: Final = ("exec", "sh")
TAIL_BYTES: Final = 8192
OUTPUT_MAX_BYTES: Final = 1 << 20
_END_S: Final = 1.0
_FORWARD_S: Final = 15.0


class SSHSession:
    """One connection to another host.

    Args:
        login: how to get there.
        script: what the shell there runs at first, in the language of any ``sh``.
        control: a socket for `forward`, in a 0700 directory.

    Attributes:
        output: the lines that the script has printed; None while it has not come to its end.
        n_refused: how many connections nobody has taken at the other end.
    """

    def __init__(self, login: Login, script: str, control: Path) -> None:
        self.output: list[str] | None = None
        self.n_refused: int = 0
        self._login = login
        self._script = script
        self._control = control
        self._mark = os.urandom(8).hex()  # a login may print anything before
        self._said = b""
        self._errors = b""
        self._process: subprocess.Popen[bytes] | None = None
        self._open: Streams = {}

    def start(self, environment: Mapping[str, str]) -> None:
        """Start it.

        Args:
            environment: what is added to that of this process.

        Raises:
            OSError: there is no ssh.
        """
        self._control.unlink(missing_ok=True)  # what a killed one has left would be in the way
        command = self._login.argv(SHELL, self._control)
        in_terminal = self._login.may_ask and not environment
        added = [f"{name}={value}" for name, value in environment.items()]
        self._process = process = subprocess.Popen(
            [*UNDISTURBED, "env", *added, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # without a terminal of its own it cannot ask there for anything
            start_new_session=not in_terminal,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        self._open = {
            process.stdout.fileno(): self._on_output,
            process.stderr.fileno(): self._on_error,
        }
        begin, end = (f"printf '%s\\n' {self._mark}-{what}" for what in ("begin", "end"))
        self.give(f"{begin}\n{self._script}\n{end}\nexec cat >/dev/null\n".encode())

    @property
    def input_fd(self) -> int:
        """The pipe by whose closing it ends; -1 if that has been done."""
        stdin = self._process.stdin if self._process is not None else None
        return -1 if stdin is None or stdin.closed else stdin.fileno()

    def give(self, data: bytes) -> None:
        """Write to its input."""
        with contextlib.suppress(OSError):  # it has ended, and will say why
            os.write(self.input_fd, data)

    def wait(self, wake_fd: int, timeout_s: float | None = None) -> bool:
        """Wait for something to happen; return whether it still runs.

        Args:
            wake_fd: readable when there is another reason to return.
            timeout_s: for how long.
        """
        poller = select.poll()
        for descriptor in (wake_fd, *self._open):
            poller.register(descriptor, select.POLLIN)
        for descriptor, _ in poller.poll(None if timeout_s is None else timeout_s * 1000):
            if descriptor in self._open:
                take_in(self._open, descriptor)
        return bool(self._open)

    def _on_output(self, data: bytes) -> None:
        if self.output is not None:
            return
        self._said = (self._said + data)[-OUTPUT_MAX_BYTES:]
        lines = self._said.decode("utf-8", "replace").splitlines()
        begin, end = f"{self._mark}-begin", f"{self._mark}-end"
        if begin in lines and end in lines:
            self.output = lines[lines.index(begin) + 1 : lines.index(end)]
            self._said = b""

    def _on_error(self, data: bytes) -> None:
        self._errors = (self._errors + data)[-TAIL_BYTES:]
        self.n_refused += data.count(b"open failed: connect failed:")

    @property
    def errors(self) -> str:
        """The last that it has written to its error output."""
        return self._errors.decode("utf-8", "replace")

    def forward(self, local: Path, remote: str) -> str:
        """Have connections to the socket *local* lead to *remote*; return why not, if so."""
        command = self._login.forward(self._control, local, remote)
        return trouble_of(command, _FORWARD_S, "ssh refuses the forwarding")

    def close(self) -> SSHFailure:
        """End it if it runs, and return why it has ended."""
        process = self._process
        server = self._login.server
        if process is None:
            return SSHFailure(server, Trouble.NO_SSH)
        assert process.stdin is not None
        with contextlib.suppress(OSError):
            process.stdin.close()
        deadline = time.monotonic() + _END_S
        if self._open:
            process.terminate()
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()
        self._open = {}
        return why_ended(server, self.errors, had_login=self.output is not None)


def trouble_of(command: Sequence[str], limit_s: float, otherwise: str) -> str:
    """Run a command that asks nobody and ends soon; return why it failed, empty if it did not.

    Args:
        command: the program and its arguments.
        limit_s: after how long it is ended.
        otherwise: what to return where it fails without a word.
    """
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=limit_s,
            check=False,
            start_new_session=True,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0:
        return ""
    return done.stderr.decode("utf-8", "replace").strip() or otherwise
