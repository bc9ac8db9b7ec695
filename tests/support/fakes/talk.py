"""What the programs of the stand-ins share: refusing, reading directives, environments, times."""

from __future__ import annotations

import getpass
import os
import re
import shlex
import socket
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from fakes.store import Store, Task


class Refused(Exception):
    """The program says no, with these words and this exit code."""

    def __init__(self, text: str, code: int = 1) -> None:
        super().__init__(text)
        self.code = code


def hold_back(store: Store, kind: str) -> None:
    """Be slow, or fail, as the test wants; *kind* is ``submit`` or ``query``.

    Raises:
        Refused: it is to fail.
    """
    settings = store.settings
    if kind == "submit":
        time.sleep(settings["submit_hangs_s"])
        if settings["reject"]:
            raise Refused(settings["reject"])
        return
    time.sleep(settings["query_hangs_s"])
    if settings["query_fails"]:
        raise Refused(settings["query_fails"])
    if settings["garbage"]:
        sys.stdout.write(settings["garbage"])
        sys.stdout.flush()
        raise SystemExit(0)


def directives(text: str, prefix: str) -> list[str]:
    """Return the options that a script's lines of *prefix* hold, up to its first command."""
    found = []
    for line in text.splitlines():
        if line.startswith(prefix):
            found += shlex.split(line[len(prefix) :].partition(" #")[0])
        elif line.strip() and not line.lstrip().startswith("#"):
            break
    return found


def refuse_foreign(text: str, foreign: Iterable[str], program: str) -> None:
    """Refuse lines for other systems: a real one takes them for comments, and does something else.

    Raises:
        Refused: there are some.
    """
    for line in text.splitlines():
        for prefix in foreign:
            if line.startswith(prefix):
                raise Refused(f"{program}: this line is for another batch system: {line}", 2)


PREFIXES = ("#PBS", "#$", "#BSUB", "#SBATCH", "#flux:", "#OAR")


def others(*own: str) -> list[str]:
    """Return the beginnings of other systems' lines."""
    return [prefix for prefix in PREFIXES if prefix not in own]


def taking(valued: str, plain: str = "") -> dict[str, bool]:
    """Return which options there are, and whether each takes a value."""
    return {**dict.fromkeys(valued.split(), True), **dict.fromkeys(plain.split(), False)}


def options(words: Iterable[str], takes: Mapping[str, bool], program: str) -> list[tuple[str, str]]:
    """Return options with their values, and arguments as options of no name.

    Args:
        words: what was given.
        takes: option to whether it takes a value.
        program: who complains.

    Raises:
        Refused: there is no such option.
    """
    found, words = [], list(words)
    while words:
        word = words.pop(0)
        if word == "-" or not word.startswith("-"):
            found += [("", word)] + [("", rest) for rest in words]
            break
        name, has_value, value = word.partition("=") if word.startswith("--") else (word, "", "")
        if name not in takes and not word.startswith("--") and takes.get(word[:2]):
            name, has_value, value = word[:2], "=", word[2:]  # -q=x is -q with =x, as -qx is
        if name not in takes:
            raise Refused(f"{program}: invalid option -- '{word.lstrip('-')}'", 2)
        if takes[name] and not has_value:
            if not words:
                raise Refused(f"{program}: option requires an argument -- '{word.lstrip('-')}'", 2)
            value = words.pop(0)
        found.append((name, value))
    return found


def login_env() -> dict[str, str]:
    """Return what a login gives: nothing of what the submitting shell had."""
    return {
        "HOME": os.environ.get("HOME", "/"),
        "USER": getpass.getuser(),
        "LOGNAME": getpass.getuser(),
        "SHELL": "/bin/sh",
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
    }


def nodes(store: Store, n: int = 1) -> list[str]:
    """Return the hosts that a job has."""
    known = store.settings["nodes"] or [socket.gethostname()]
    return (known * n)[:n]


def host_file(store: Store, name: str, lines: Iterable[str]) -> str:
    """Write a file of hosts, and return its path."""
    path = store.root / "scratch" / name
    path.write_text("".join(f"{line}\n" for line in lines))
    return str(path)


def seconds(text: str) -> float:
    """Return the seconds of ``[[days-]hours:]minutes:seconds``, or of a number of them.

    Raises:
        ValueError: it is neither.
    """
    match = re.fullmatch(r"(?:(?:(\d+):)?(\d+):)?(\d+)", text)
    if match is None:
        raise ValueError(text)
    hours, minutes, rest = (int(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + rest


def wait_status(task: Task, offset: int = 128) -> int:
    """Return the exit code as most systems tell it: a signal's is above *offset*."""
    return offset + task.signal if task.signal else task.exit_code


def script_text(path: str, program: str) -> str:
    """Return a script's text, or what comes in.

    Raises:
        Refused: there is none.
    """
    if path in ("", "-"):
        return sys.stdin.read()
    try:
        return Path(path).read_text()
    except OSError as error:
        raise Refused(f"{program}: script file {path} cannot be read: {error.strerror}") from error


def stored(store: Store, text: str, program: str) -> str:
    """Keep a copy of a script, as what was submitted is what runs; return its path."""
    path = store.root / "scratch" / f"script-{time.time_ns()}"
    path.write_text(text)
    path.chmod(0o700)
    return str(path)


def interpreter(text: str, default: str = "/bin/sh") -> list[str]:
    """Return what a script's first line says that runs it."""
    first = text.partition("\n")[0]
    return shlex.split(first[2:]) if first.startswith("#!") else [default]
