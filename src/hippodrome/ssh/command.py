"""The command lines of ssh: what is asked of it, whatever the user's configuration says besides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from hippodrome.ssh.places import SSHServer

SSH: Final = ("ssh",)
CONNECT_S: Final = 10
ALIVE_S: Final = 5  # between two questions whether the other side is there
# A terminal's Ctrl-C and Ctrl-Z are for the program, and not for its tunnel. What is ignored stays
# ignored in ssh; that a password is not typed to the end, ssh notices all the same.
UNDISTURBED: Final = ("sh", "-c", 'trap "" INT QUIT TSTP; exec "$@"', "sh")


@dataclass(frozen=True, slots=True)
class Login:
    """How to log in.

    Attributes:
        server: where.
        key: a file with a private key to use, and no other; empty leaves that to ssh.
        may_ask: whether ssh may ask a person, or a helper, for a password.
        command: the ssh to call.
        options: further ones, before ours.
        silence_s: the silence of the other side after which the connection is given up.
    """

    server: SSHServer
    key: str = ""
    may_ask: bool = False
    command: tuple[str, ...] = SSH
    options: tuple[str, ...] = ()
    silence_s: float = 3 * ALIVE_S

    def unasked(self) -> Login:
        """Return the same, but nobody is asked for anything."""
        return replace(self, may_ask=False)

    def argv(self, remote: Sequence[str], control: Path | None = None, back: str = "") -> list[str]:
        """Return the command line that runs *remote* there.

        Args:
            remote: the command, whose words the shell there reads.
            control: a socket on which this ssh takes requests for forwardings.
            back: what of the other host leads to what here, as ``/there.sock:/here.sock``, if it
                allows that.
        """
        misses = max(1, round(self.silence_s / ALIVE_S))
        options = [
            f"BatchMode={'no' if self.may_ask else 'yes'}",
            f"ConnectTimeout={CONNECT_S}",
            f"ServerAliveInterval={ALIVE_S}",
            f"ServerAliveCountMax={misses}",
            f"ExitOnForwardFailure={'no' if back else 'yes'}",
            # those that a user has configured are for other sessions; but it clears ours, too
            *([] if back else ["ClearAllForwardings=yes"]),
            "LogLevel=INFO",
            "RemoteCommand=none",
            "RequestTTY=no",
            "StreamLocalBindUnlink=yes",  # a socket that a killed ssh has left would be in the way
            *_sharing(control),
        ]
        return [
            *self.command,
            *self.options,
            *(word for option in options for word in ("-o", option)),
            *(["-R", back] if back else []),
            *self._place(),
            "--",
            self.server.destination,
            *remote,
        ]

    def forward(self, control: Path, local: Path, remote: str) -> list[str]:
        """Return the command line that has the ssh at *control* lead a local socket to *remote*.

        Args:
            control: as for `argv`.
            local: the socket here.
            remote: ``HOST:PORT`` or the path of a socket, as seen from there.
        """
        return [
            *self.command,
            "-S",
            str(control),
            "-O",
            "forward",
            "-L",
            f"{local}:{remote}",
            "--",
            self.server.destination,
        ]

    def _place(self) -> list[str]:
        port = ["-p", str(self.server.port)] if self.server.port else []
        # a key that was named is not to come after a dozen from an agent
        return port + (["-i", self.key, "-o", "IdentitiesOnly=yes"] if self.key else [])


def _sharing(control: Path | None) -> list[str]:
    """Return what keeps this connection apart from those that a user shares between sessions."""
    if control is None:
        return ["ControlMaster=no", "ControlPath=none"]
    return ["ControlMaster=yes", "ControlPersist=no", f"ControlPath={control}"]
