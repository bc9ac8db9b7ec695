"""The magics ``%%terminal`` and ``%%file`` of the kernels that run pages: see live_pages.py."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

from IPython.core.magic import register_cell_magic, register_line_magic
from IPython.display import Markdown, display

_HOME = Path.home()
_END = "--end-of-command--"
_ESCAPES = re.compile(r"\x1b\[[0-9;]*m")
_OPTION = re.compile(r"^:([a-z-]+):[ \t]*(.*)$")
WAIT_S = 60.0

os.chdir(_HOME)
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
os.environ.pop("COLUMNS", None)


class Shell:
    """A shell that stays between the blocks of a page.

    Args:
        before: what stands before each program, to run it elsewhere.
    """

    def __init__(self, *before: str) -> None:
        self._before = before
        self._process: subprocess.Popen[str] | None = None
        self._staying: list[subprocess.Popen[str]] = []

    def run(self, command: str) -> tuple[str, int]:
        """Return what a command prints, and its exit code."""
        if self._process is None:
            self._process = subprocess.Popen(
                [*self._before, "/bin/bash", "--norc"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{{ {command}\n}} </dev/null; echo {_END} $?\n")
        self._process.stdin.flush()
        lines: list[str] = []
        for line in self._process.stdout:
            before, mark, code = line.partition(_END)
            lines.append(before)
            if mark:
                return "".join(lines), int(code)
        raise RuntimeError(f"the shell has ended: {''.join(lines)}")

    def begin(self, command: str, until: str) -> str:
        """Return what a program prints at first; it goes on until the page ends."""
        process = subprocess.Popen(
            [*self._before, "/bin/bash", "--norc", "-c", f"exec {command}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._staying.append(process)
        assert process.stdout is not None
        lines: list[str] = []
        for line in process.stdout:
            lines.append(line)
            if until in line:
                return "".join(lines)
        raise RuntimeError(f"{command} ended, and never said {until!r}: {''.join(lines)}")

    def close(self) -> None:
        """Stop what is still there."""
        for process in reversed(self._staying):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self._staying:
            process.wait(WAIT_S)
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            self._process.wait(WAIT_S)
        self._process, self._staying = None, []


_shells = {"": Shell()}


@register_line_magic
def hosts(line: str) -> None:
    """Make stand-ins for other hosts, and for ``ssh`` and ``scp``: see page_hosts.py."""
    programs = _HOME / ".hosts" / "bin"
    programs.mkdir(parents=True)
    stand_in = _HOME / ".ipython" / "profile_default" / "startup" / "page_hosts"
    for name in ("ssh", "scp", "on-host"):
        (programs / name).symlink_to(stand_in)
    os.environ["PATH"] = os.pathsep.join([str(programs), os.environ["PATH"]])
    for name in line.split():
        (_HOME / ".hosts" / name / "tmp").mkdir(parents=True)
        _shells[name] = Shell(str(programs / "on-host"), name)


@register_cell_magic
def terminal(_line: str, cell: str) -> None:
    """Run the commands after ``$``, and show them with what they print."""
    options, commands = _parts(cell)
    host = options.get("on", "")
    fails = int(options.get("fails", 0))
    shown: list[str] = []
    for index, command in enumerate(commands):
        shown += ["$ " + command.replace("\n", "\n> ")]
        if "until" in options:
            text, code = _shells[host].begin(command, options["until"]), 0
        else:
            text, code = _shells[host].run(command)
        expected = fails if index == len(commands) - 1 else 0
        if code != expected:
            raise RuntimeError(f"{command}: exit code {code}, and not {expected}\n{text}")
        if "hide-output" not in options and text.strip():
            shown += [_tidy(text)]
    if "hide" not in options:
        title = options.get("title", host and f"on {host}")
        title = title and f"*{title}*\n\n"
        display(Markdown(f"{title}```console\n" + "\n".join(shown) + "\n```\n"))


@register_cell_magic
def file(line: str, cell: str) -> None:
    """Write a file, and show it."""
    options, lines = _options(cell)
    name = shlex.split(line)[0]
    text = "\n".join(lines).strip("\n") + "\n"
    path = Path.cwd() / Path(name).expanduser()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    language = {".py": "python", ".sh": "bash", ".toml": "toml", ".json": "json"}
    if "hide" not in options:
        kind = language.get(path.suffix, "text")
        display(Markdown(f"`{name}`:\n\n````{kind}\n{text}````\n"))


@register_line_magic
def end_of_page(_line: str) -> None:
    """Stop what the terminals of the page have started."""
    for shell in reversed(_shells.values()):
        shell.close()


def _options(cell: str) -> tuple[dict[str, str], list[str]]:
    """Return the options at the head of a block, and the lines after them."""
    options: dict[str, str] = {}
    lines = cell.splitlines()
    while lines and (match := _OPTION.match(lines[0])):
        options[match[1]] = match[2]
        del lines[0]
    return options, lines


def _parts(cell: str) -> tuple[dict[str, str], list[str]]:
    """Return the options of a block, and its commands."""
    options, lines = _options(cell)
    commands: list[str] = []
    for line in lines:
        if line.startswith("$ "):
            commands.append(line[2:])
        elif line.startswith("> ") and commands:
            commands[-1] += "\n" + line[2:]
        elif line.strip():
            raise ValueError(f"a line of a terminal begins with `$ ` or `> `: {line!r}")
    return options, commands


def _tidy(text: str) -> str:
    """Return what a reader with a home of their own would see."""
    text = _ESCAPES.sub("", text)
    for name in reversed(_shells):
        text = text.replace(str(_HOME / ".hosts" / name if name else _HOME), "~")
    return text.rstrip("\n")
