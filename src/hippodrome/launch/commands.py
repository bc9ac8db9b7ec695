"""Commands of batch systems and of ssh: run with an end, and never with a secret of ours."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

LIMIT_S: Final = 20.0
_MOST_BYTES: Final = 64 << 20
SECRETS: Final = (
    "IPP_CONNECTION_INFO",
    "IPP_CURVE_SECRETKEY",
    "IPP_SESSION_KEY",
)


@dataclass(frozen=True, slots=True)
class CommandAnswer:
    """What a command has answered.

    Attributes:
        code: its exit code; None if there was no answer in time, or no such command.
        output: what it wrote.
        trouble: what it wrote to stderr, or why there is no answer.
        is_late: whether it was ended, as there was no answer in time.
    """

    code: int | None
    output: str = ""
    trouble: str = ""
    is_late: bool = False


def own_environment() -> dict[str, str]:
    """Return this process's environment without what must not reach a job, as it may be shown."""
    return {name: value for name, value in os.environ.items() if name not in SECRETS}


def ask(command: Sequence[str], given: str = "", limit_s: float = LIMIT_S) -> CommandAnswer:
    """Run a command, and return what it answers within *limit_s*.

    Args:
        command: the program and its arguments.
        given: what it reads on stdin.
        limit_s: after how long it is killed, with all that it has started.
    """
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=own_environment(),
            start_new_session=True,  # Ctrl-C is for the program that asks
        )
    except OSError as error:
        return CommandAnswer(None, trouble=f"{command[0]}: {error.strerror}")
    try:
        output, trouble = process.communicate(given.encode(), limit_s)
    except subprocess.TimeoutExpired:
        late = f"{command[0]} did not answer within {limit_s:g} s"
        return CommandAnswer(None, trouble=late, is_late=True)
    finally:
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
    return CommandAnswer(process.returncode, _text(output), _text(trouble).strip())


def on_host(host: str, script: str) -> list[str]:
    """Return the command that has the shell of another host run *script*, by ssh.

    Raises:
        ValueError: *host* names none.
    """
    from hippodrome.ssh.command import Login  # batch systems need none
    from hippodrome.ssh.places import parse_server

    return Login(parse_server(host)).argv([script])


def _text(data: bytes) -> str:
    return data[:_MOST_BYTES].decode("utf-8", "replace")
