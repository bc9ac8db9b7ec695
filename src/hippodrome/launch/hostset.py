"""The engines' hosts of one set, as far as known: who is to be started next, and who has failed.

Pure: it is told what ssh and the programs there say, and when; it decides what is begun, what is
tried again, and what is said to whoever waits.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from hippodrome.launch.base import LaunchPhase, LaunchState
from hippodrome.ssh.places import SSHServer
from hippodrome.ssh.reasons import SSHFailure

AT_ONCE: Final = 8  # logins under way; sshd drops some of more than ten
TRIES: Final = 8
FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 8.0
HELLO: Final = "hippodrome "
LOGGED_IN: Final = "hippodrome-shell"
NO_PYTHON: Final = "hippodrome-no-python"
_OF_SSH: Final = (255, *range(-64, 0))  # its own exit code, or a signal that it got


@dataclass(frozen=True, slots=True)
class EngineHost:
    """One host, as it is to be used.

    Attributes:
        server: where.
        n: how many engines; 0 for one on each core there.
    """

    server: SSHServer
    n: int


@dataclass(slots=True)
class HostStart:
    """How far one host is.

    Attributes:
        host: which.
        phase: how far.
        reason: why it is no further; empty if there is nothing to say.
        engines: the ids of its engines, once they are there.
        progress: how many engines are ready, in their start-up, and wanted.
        has_login: whether the shell there has answered.
        has_program: whether ours there has.
    """

    host: EngineHost
    phase: LaunchPhase = LaunchPhase.PENDING
    reason: str = ""
    engines: tuple[int, ...] | None = None
    progress: tuple[int, int, int] | None = None
    has_login: bool = False
    has_program: bool = False
    is_begun: bool = False
    due: float = 0.0
    n_tries: int = 0
    pause_s: float = FIRST_PAUSE_S
    missing: str = ""
    hello: dict[str, Any] = field(default_factory=dict)

    @property
    def is_over(self) -> bool:
        """Whether nothing is to be expected of it any more."""
        return self.phase in (LaunchPhase.FAILED, LaunchPhase.ENDED)

    @property
    def is_settled(self) -> bool:
        """Whether it is known what has become of its start."""
        return self.is_over or self.engines is not None


class HostSet:
    """All hosts of a set.

    Args:
        hosts: them.
        version: of this package here.
        protocol: that is spoken here.
        at_once: how many logins may be under way.
    """

    def __init__(
        self, hosts: Sequence[EngineHost], version: str, protocol: int, at_once: int = AT_ONCE
    ) -> None:
        self.hosts: list[HostStart] = [HostStart(host) for host in hosts]
        self._version = version
        self._protocol = protocol
        self._at_once = at_once

    @property
    def is_settled(self) -> bool:
        """Whether it is known of every host what has become of its start."""
        return all(host.is_settled for host in self.hosts)

    @property
    def is_over(self) -> bool:
        """Whether nothing runs any more on any host, and nothing will."""
        return all(host.is_over for host in self.hosts)

    @property
    def engines(self) -> list[int]:
        """The ids of the engines that have been ready."""
        return [engine for host in self.hosts for engine in host.engines or ()]

    def begin(self, now: float) -> Iterator[HostStart]:
        """Yield the hosts to log in to now."""
        under_way = sum(host.is_begun and not host.has_login for host in self.hosts)
        for host in self.hosts:
            if under_way >= self._at_once:
                return
            if not host.is_begun and not host.is_over and host.due <= now:
                host.is_begun = True
                host.n_tries += 1
                under_way += 1
                yield host

    def due_in(self, now: float) -> float | None:
        """Return after how many seconds `begin` may have something to do; None for never."""
        waiting = [host.due for host in self.hosts if not host.is_begun and not host.is_over]
        return max(0.0, min(waiting) - now) if waiting else None

    def on_line(self, host: HostStart, line: str) -> bool:
        """Take a line that came from there; return whether the program there waits to be told."""
        word, _, rest = line.partition(" ")
        if word == LOGGED_IN:
            host.has_login = True
        elif word == NO_PYTHON:
            host.missing = rest
        elif not host.has_login:
            pass  # what a login prints
        elif word + " " == HELLO and not host.has_program:
            return self._on_hello(host, rest)
        elif host.has_program:
            self._on_progress(host, word, rest)
        return False

    def on_end(self, host: HostStart, failure: SSHFailure, code: int, now: float) -> None:
        """Its ssh has ended.

        Args:
            host: which.
            failure: what ssh, and what it ran, wrote last.
            code: the exit code; 255 is ssh's own.
            now: the time, in seconds of a monotonic clock.
        """
        if host.is_over:
            return
        if host.engines is not None:
            host.phase = LaunchPhase.ENDED
            host.reason = "the ssh connection was cut" if code in _OF_SSH else ""
            return
        is_ssh = not host.has_login or code in _OF_SSH
        may_retry = is_ssh and not host.has_program and failure.is_passing
        may_retry = may_retry and host.n_tries < TRIES
        if may_retry:
            host.is_begun = host.has_login = False
            host.reason = failure.trouble.value
            host.due = now + host.pause_s
            host.pause_s = min(2 * host.pause_s, LONGEST_PAUSE_S)
            return
        self.fail(host, host.reason or _why(host, failure, code))

    def fail(self, host: HostStart, reason: str) -> None:
        """Nothing will come of a host."""
        host.phase, host.reason = LaunchPhase.FAILED, reason

    def state(self) -> LaunchState:
        """Return how far all of them are."""
        parts: dict[LaunchPhase, int] = {}
        reasons: dict[LaunchPhase, dict[str, None]] = {}
        for host in self.hosts:
            parts[host.phase] = parts.get(host.phase, 0) + 1
            if host.reason:
                said = f"{host.host.server}: {host.reason}"
                reasons.setdefault(host.phase, {})[said] = None
        why = {phase: tuple(texts) for phase, texts in reasons.items()}
        return LaunchState(parts, "host", why, len(self.engines))

    def progress(self) -> tuple[int, int, int]:
        """Return how many engines are ready, in their start-up, and wanted, as far as known."""
        known = [host.progress or _expected(host) for host in self.hosts if not host.is_over]
        ready, starting, wanted = map(sum, zip(*known, strict=True)) if known else (0, 0, 0)
        return ready, starting, wanted

    def _on_hello(self, host: HostStart, rest: str) -> bool:
        try:
            hello = json.loads(rest)
        except ValueError:
            return False
        host.has_program, host.hello = True, hello if isinstance(hello, dict) else {}
        there = host.hello.get("version", "unknown")
        if host.hello.get("protocol") != self._protocol:
            self.fail(
                host,
                f"hippodrome {there} there speaks protocol {host.hello.get('protocol')}, and "
                f"{self._version} here protocol {self._protocol}: install the same version",
            )
            return False
        if there != self._version:
            host.reason = f"hippodrome {there} there, {self._version} here"
        return True

    def _on_progress(self, host: HostStart, word: str, rest: str) -> None:
        if word == "state":
            numbers = [int(number) for number in rest.split() if number.isdecimal()]
            if len(numbers) == 3:
                host.progress = numbers[0], numbers[1], numbers[2]
        elif word == "ready":
            host.engines = tuple(int(number) for number in rest.split() if number.isdecimal())
            host.phase = LaunchPhase.RUNNING
        elif word == "failed":
            try:
                self.fail(host, str(json.loads(rest)))
            except ValueError:
                self.fail(host, rest)


def _expected(host: HostStart) -> tuple[int, int, int]:
    n = len(host.engines) if host.engines is not None else host.host.n
    return (n if host.engines is not None else 0), 0, n


def _why(host: HostStart, failure: SSHFailure, code: int) -> str:
    """Say why a start has failed."""
    said = "; ".join(failure.lines)
    if host.missing:
        return f"there is no Python {host.missing} there: python= names another ({said or code})"
    if not host.has_login:
        return failure.reason
    if "No module named" in said and "hippodrome" in said:
        return f"that Python has no hippodrome: install it, or name another by python= ({said})"
    if "nknown option: -P" in said:
        return f"that Python is older than 3.11: name another with python= ({said})"
    what = "the program there" if host.has_program else "what was to be started there"
    how = "the connection was cut" if code in _OF_SSH else f"{what} ended with exit code {code}"
    return f"{how}{said and ': '}{said}"
