"""What ssh's last lines say about why it has ended, and whether another try makes sense."""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from hippodrome.errors import ClusterError
from hippodrome.ssh.places import SSHServer

LINES: Final = 10


class SSHError(ClusterError):
    """What was to be done over ssh failed; the text says what, and what ssh said."""

    code = "ssh"


class Trouble(enum.Enum):
    """The kind of trouble; the value is what is said of it."""

    NAME = "its name is unknown here"
    REFUSED = "nothing listens for ssh there"
    NO_ANSWER = "it does not answer"
    HOST_KEY = "its host key is not the one that this user knows"
    LOGIN = "it does not let this user in"
    BUSY = "it drops connections before the login: too many at once, or none from here"
    CUT = "the connection was cut"
    NO_SSH = "there is no ssh command here"
    OTHER = "ssh failed"


# The first that fits decides.
_SAID: Final[Sequence[tuple[str, Trouble]]] = (
    ("could not resolve hostname", Trouble.NAME),
    ("host key verification failed", Trouble.HOST_KEY),
    ("identification has changed", Trouble.HOST_KEY),
    (r"no \S+ host key is known", Trouble.HOST_KEY),
    ("permission denied", Trouble.LOGIN),
    ("too many authentication failures", Trouble.LOGIN),
    ("no supported authentication", Trouble.LOGIN),
    (r"(kex|ssh)_exchange_identification", Trouble.BUSY),
    ("exceeded maxstartups", Trouble.BUSY),
    ("not allowed at this time", Trouble.BUSY),
    (r"connection (closed|reset) by \S+ port \d+", Trouble.BUSY),
    ("connection refused", Trouble.REFUSED),
    ("timed out|timeout|no route to host|network is unreachable|host is down", Trouble.NO_ANSWER),
    ("connection (closed|reset)|broken pipe|lost connection|not responding", Trouble.CUT),
)
_ADVICE: Final = {
    Trouble.HOST_KEY: "log in there once by hand, and look at what ssh says of the key",
    Trouble.LOGIN: "a key without a passphrase, or one that an agent holds, lets you in "
    "(ssh-copy-id, ssh-add), as no password can be asked for here",
}
_NOISE: Final = re.compile(
    r"warning: permanently added|control socket|^@|^\s*$|pseudo-terminal|mux_client|channel \d+:"
)
_PASSING: Final = frozenset({Trouble.BUSY, Trouble.CUT})


@dataclass(frozen=True, slots=True)
class SSHFailure:
    """Why an ssh has ended.

    Attributes:
        server: where it was to lead.
        trouble: the kind.
        lines: the last that it said.
    """

    server: SSHServer
    trouble: Trouble
    lines: tuple[str, ...] = ()

    @property
    def is_passing(self) -> bool:
        """Whether the next try may go better without anybody doing anything."""
        return self.trouble in _PASSING

    @property
    def reason(self) -> str:
        """Why, without the host's name."""
        advice = f" ({_ADVICE[self.trouble]})" if self.trouble in _ADVICE else ""
        said = "; ".join(self.lines)
        return f"{self.trouble.value}{advice}{said and ': '}{said}"

    def __str__(self) -> str:
        return f"ssh {self.server}: {self.reason}"


def why_ended(server: SSHServer, error_output: str, *, had_login: bool = False) -> SSHFailure:
    """Return why an ssh has ended that wrote *error_output*.

    Args:
        server: where it was to lead.
        error_output: what it wrote.
        had_login: whether it had been let in.
    """
    lines = last_lines(error_output)
    text = "\n".join(lines)
    if had_login:
        return SSHFailure(server, Trouble.CUT, lines)
    for pattern, trouble in _SAID:
        if re.search(pattern, text, re.IGNORECASE):
            return SSHFailure(server, trouble, lines)
    return SSHFailure(server, Trouble.OTHER, lines)


def last_lines(output: str, n: int = LINES) -> tuple[str, ...]:
    """Return the last lines of what ssh, and what it ran, wrote; without its ornaments."""
    lines = (line.strip() for line in output.replace("\r", "\n").splitlines())
    return tuple(line for line in lines if not _NOISE.search(line.lower()))[-n:]
