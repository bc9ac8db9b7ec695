"""A tunnel: local sockets that lead, by an ssh connection, to what another host can reach.

The sockets are in a 0700 directory of this user, so that nobody else on this host can use the way.
When the connection breaks it is made again, with ever longer pauses; whoever is connected to one of
the sockets sees a connection that was cut, and connects again. It ends with this process, however
that ends.
"""

from __future__ import annotations

import logging
import random
import select
import shutil
import socket
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from hippodrome import paths
from hippodrome.process.wakepipe import WakePipe
from hippodrome.security.connection_file import nothing_else
from hippodrome.security.keys import Secret
from hippodrome.ssh.askpass import password_at_hand
from hippodrome.ssh.command import Login
from hippodrome.ssh.reasons import SSHError, SSHFailure, Trouble, last_lines
from hippodrome.ssh.session import SSHSession
from hippodrome.transport.lifeline import Probe
from hippodrome.transport.tunneled import SOCKET_NAME

log: logging.Logger = logging.getLogger(__name__)

_FIRST_PAUSE_S: Final = 0.2
_LONGEST_PAUSE_S: Final = 5.0
_STEADY_S: Final = 30.0  # a connection that held as long begins with a short pause again
_LOOK_S: Final = 0.1
_REFUSALS: Final = 2
_LINES: Final = 3


class Tunnel:
    """One connection to another host, and the sockets that lead there.

    Args:
        login: how to get there.
        script: what the shell there runs whenever a connection has been made; see `SSHSession`.
        password: for the login, if ssh asks for one.
    """

    def __init__(self, login: Login, script: str = ":", password: Secret | None = None) -> None:
        self.login: Login = login
        self._script = script
        self._password = password
        paths.sweep_socket_dirs()  # what killed ones have left
        self._directory = paths.new_socket_dir()
        self._stake = socket.socket(socket.AF_UNIX)  # or others would tidy the directory away
        self._stake.bind(str(self._directory / "stake"))
        self._stake.listen(1)
        self._targets: dict[Path, str] = {}
        self._wakes = WakePipe()
        self._session: SSHSession | None = None
        self._output: list[str] | None = None
        self._failure: SSHFailure | None = None
        self._has_opened = threading.Event()
        self._closing = threading.Event()
        self._n_refused = 0
        self._thread = threading.Thread(target=self._run, name="hippodrome-ssh", daemon=True)

    def open(
        self, timeout_s: float | None, look: Callable[[], None] = nothing_else
    ) -> Sequence[str]:
        """Connect, and return the lines that the script has printed.

        Args:
            timeout_s: how long to wait; None as long as ssh does, as a person may be asked.
            look: called often meanwhile; ends the wait by raising something.

        Raises:
            SSHError: there is no way; the text ends with what ssh said.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        self._thread.start()
        while not self._has_opened.wait(_LOOK_S):
            look()
            if deadline is not None and time.monotonic() >= deadline:
                why = self._failure or SSHFailure(self.login.server, Trouble.NO_ANSWER)
                raise SSHError(f"{why} (within {timeout_s:g} s)")
        if self._output is None:
            raise SSHError(str(self._failure))
        return self._output

    def lead(self, targets: Sequence[str]) -> list[Path]:
        """Return local sockets that lead to *targets*, each ``HOST:PORT`` or a socket's path there.

        Raises:
            SSHError: ssh or the other host does not allow it.
        """
        sockets = []
        for target in targets:
            local = self._directory / f"{SOCKET_NAME}{len(self._targets)}"
            session = self._session
            trouble = session.forward(local, target) if session is not None else "it was cut"
            if trouble:
                raise SSHError(f"ssh {self.login.server} does not forward to {target}: {trouble}")
            self._targets[local] = target
            sockets.append(local)
        return sockets

    @property
    def n_refused(self) -> int:
        """How many connections were not taken at the other end."""
        session = self._session
        return self._n_refused + (session.n_refused if session is not None else 0)

    @property
    def last_said(self) -> str:
        """The last that ssh has said, in one line."""
        session = self._session
        lines = last_lines(session.errors, _LINES) if session is not None else ()
        return "; ".join(lines) or "nothing was said"

    def probe(self) -> Probe:
        """Return what tells whether anybody listens at the other end any more."""
        return TunnelProbe(self)

    def close(self) -> None:
        """End it. Idempotent; waits until ssh has ended."""
        if not self._closing.is_set():
            self._closing.set()
            self._wakes.wake()
            if self._thread.ident is not None:
                self._thread.join()
            self._stake.close()
            self._wakes.close()
            shutil.rmtree(self._directory, ignore_errors=True)

    # ---- on its own thread

    def _run(self) -> None:
        pause_s, has_said = _FIRST_PAUSE_S, False
        while not self._closing.is_set():
            began = time.monotonic()
            failure = self._failure = self._connect_once()
            if self._closing.is_set():
                return
            if self._output is None and not failure.is_passing:
                self._has_opened.set()
                return
            if time.monotonic() - began >= _STEADY_S:
                pause_s, has_said = _FIRST_PAUSE_S, False
            if self._output is not None and not has_said:
                has_said = True
                log.warning("%s; it is made again", failure)
            self._wait(pause_s * random.uniform(0.5, 1.0))
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _connect_once(self) -> SSHFailure:
        """Connect, wait until that ends, and return why it did."""
        session = SSHSession(self.login, self._script, self._directory / "control")
        try:
            with password_at_hand(self._directory, self._password) as environment:
                session.start(environment)
                while session.output is None and session.wait(self._wakes.fd):
                    if self._closing.is_set():
                        return session.close()
            if session.output is not None:
                self._serve(session)
        except OSError as error:
            return SSHFailure(self.login.server, Trouble.NO_SSH, (str(error),))
        finally:
            failure = session.close()
            self._n_refused, self._session = self._n_refused + session.n_refused, None
        return failure

    def _serve(self, session: SSHSession) -> None:
        for local, target in list(self._targets.items()):
            if trouble := session.forward(local, target):
                log.warning("ssh %s does not forward to %s: %s", self.login.server, target, trouble)
                return
        self._session = session
        if self._output is None:
            self._output = session.output
            # who was asked once is not asked in the midst of other things
            self.login = self.login.unasked() if self._password is None else self.login
            self._has_opened.set()
        while not self._closing.is_set() and session.wait(self._wakes.fd):
            pass

    def _wait(self, timeout_s: float) -> None:
        """Wait, but not when it is to end."""
        poller = select.poll()
        poller.register(self._wakes.fd, select.POLLIN)
        poller.poll(timeout_s * 1000)


class TunnelProbe(Probe):
    """Tells of a controller at the other end of a tunnel that nobody takes connections there.

    That this end refuses proves nothing: the tunnel is being made again.
    """

    def __init__(self, tunnel: Tunnel) -> None:
        super().__init__(None)
        self._tunnel = tunnel
        self._n_before = tunnel.n_refused

    def is_refused(self, is_cut: bool) -> bool:
        return is_cut and self._tunnel.n_refused - self._n_before >= _REFUSALS

    def forget(self) -> None:
        super().forget()
        self._n_before = self._tunnel.n_refused
