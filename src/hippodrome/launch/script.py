"""The script of a job: what it asks for, and what it runs. Pure: text in, text out.

A job writes to a file beside its script how it gets on, in the lines that programs write to those
who start them (`hippodrome.launch.waiting`), and at the end ``exit CODE``.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from hippodrome.launch.batchsystem import BatchSystem
from hippodrome.launch.options import AUTO
from hippodrome.launch.state import STOP_FILE

_FLAG: Final = re.compile(r"[^\s=:]+")
_SHORT_NAME: Final = 15  # what some systems take


@dataclass(frozen=True, slots=True)
class JobPlan:
    """One job.

    Attributes:
        name: what the batch system calls it.
        folder: where its files are, seen by all hosts.
        index: which one it is of its set, from 0.
        command: what it runs on each host, but for the number of engines.
        per_host: how many engines on each host; `AUTO` for as many as it has cores there.
        options: those of the launcher, as read.
        environment: variables that the script sets.
        profile_dir: the cluster's profile.
        cluster_id: the cluster's id.
        start_in: the directory that engines start in, if the host has it.
    """

    name: str
    folder: Path
    index: int
    command: Sequence[str]
    per_host: int | str
    options: Mapping[str, Any]  # Any: as read by each option's kind
    start_in: str = "."
    environment: Mapping[str, str] = field(default_factory=dict)
    profile_dir: Path = Path()
    cluster_id: str = ""

    @property
    def script(self) -> Path:
        """The script's path."""
        name = self.options.get("batch_file_name")
        return self.folder / (f"{self.index}-{name}" if name else f"{self.index}.sh")

    @property
    def wrapper(self) -> Path:
        """The path of what starts engines from a script of the user's own."""
        return self.folder / f"{self.index}.engines"

    @property
    def description(self) -> Path:
        """The path of what is submitted, where that is not the script."""
        return self.folder / f"{self.index}.sub"

    @property
    def output(self) -> Path:
        """What the job writes."""
        if file := self.options.get("output_file"):
            return Path(self.start_in, file if self.index == 0 else f"{file}.{self.index}")
        return self.folder / f"{self.index}.out"

    @property
    def progress(self) -> Path:
        """How it gets on; on each host but the first, with its number at the end."""
        return self.folder / f"{self.index}.progress"


def values(plan: JobPlan) -> dict[str, Any]:  # Any: for templates
    """Return what a directive's template may use; what is not set is not there."""
    found = {key: value for key, value in plan.options.items() if value not in (None, [])}
    found |= {"script": str(plan.script), "log": str(plan.folder / f"{plan.index}.log")}
    found |= {"short_name": plan.name[:_SHORT_NAME], "folder": str(plan.folder)}
    found |= {"name": plan.name, "output": str(plan.output), "nodes": found.get("nodes", 1)}
    if plan.per_host == AUTO:
        found["whole"] = True
    else:
        found |= {"cores": plan.per_host, "all_cores": int(plan.per_host) * found["nodes"]}
    if seconds := found.get("time"):
        minutes = -(-seconds // 60)
        clock = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
        found |= {"seconds": seconds, "minutes": minutes, "clock": clock}
    if memory := found.get("memory"):
        found |= {"bytes": memory, "kilobytes": -(-memory // 1024)}
        found |= {"megabytes": -(-memory // (1 << 20)), "gigabytes": -(-memory // (1 << 30))}
    return found


def script_text(system: BatchSystem, plan: JobPlan) -> str:
    """Return the script of a job."""
    lines = ["#!/bin/bash", *_own_directives(system, plan), ""]
    lines += [f"[ ! -e {shlex.quote(str(plan.folder / STOP_FILE))} ] || exit 0"]
    lines += [f"export {name}={shlex.quote(value)}" for name, value in plan.environment.items()]
    lines += [f"progress={shlex.quote(str(plan.progress))}"]
    lines += ["""trap 'echo "exit $?" >> "$progress"' EXIT""", ""]
    lines += [f"cd {shlex.quote(plan.start_in)} 2> /dev/null || cd"]
    lines += [*plan.options.get("prologue", ()), "", *_end(system, plan), _LIFELINE]
    return "\n".join([*lines, f"{_command(system, plan)} &", _WAIT])


# Engines on this host end with this shell, also if that is killed: it alone can write to the pipe.
_LIFELINE: Final = """line=$(mktemp -u) && mkfifo "$line" && exec 7<> "$line" 8< "$line"
rm -f "$line"
"""
# A batch system's warning reaches this shell, and is passed on; whoever waits is woken by it.
_WAIT: Final = """engines=$!
exec 8<&-
trap 'kill -s TERM $engines 2> /dev/null' TERM INT HUP USR2
trap 'kill -s USR1 $engines 2> /dev/null' XCPU USR1
while kill -0 $engines 2> /dev/null; do
    wait $engines
done
wait $engines
exit $?
"""


def description_text(system: BatchSystem, plan: JobPlan) -> str:
    """Return the file that is submitted, for systems whose scripts say nothing themselves."""
    return "\n".join([*directives(system, plan), *system.description, ""])


def _own_directives(system: BatchSystem, plan: JobPlan) -> Iterator[str]:
    return iter(()) if system.description else directives(system, plan)


def directives(system: BatchSystem, plan: JobPlan) -> Iterator[str]:
    """Yield the lines that ask for what a job needs."""
    given = values(plan)
    skipped = set(given.get("skip", ()))
    for option, template in system.directives:
        if option and option not in given:
            continue
        line = filled_line(template, given)
        if not skipped.intersection((line, *_FLAG.findall(line)[:1])):
            yield system.directive + line
    if text := given.get("options"):
        yield system.directive + text
    for line in given.get("extra", ()):
        yield system.directive + line


def filled_line(template: str, given: Mapping[str, Any]) -> str:
    """Return a line of the table with values in it."""
    return _PART.sub(lambda part: _part(part[1], given), template).format_map(given)


# What is in parentheses is there if it can be filled.
_PART: Final = re.compile(r"\(([^()]*\{(\w+)\}[^()]*)\)")


def _part(template: str, given: Mapping[str, Any]) -> str:
    names = re.findall(r"\{(\w+)\}", template)
    return template if all(name in given for name in names) else ""


def _end(system: BatchSystem, plan: JobPlan) -> Iterator[str]:
    """Yield the lines that find out when the job's time is up: the system says so, or we know."""
    yield f"ends={system.end_time}"
    if seconds := plan.options.get("time"):
        yield f"ends=${{ends:-$(( $(date +%s) + {seconds} ))}}"


def _command(system: BatchSystem, plan: JobPlan) -> str:
    """Return what runs on each host of the job, as a line of the shell."""
    command = f"{shlex.join(plan.command)} -n {plan.per_host} --IPEngine.ready_fd=9"
    command += ' --IPEngine.ends_at="${ends:-0}"'
    if idle := plan.options.get("idle"):
        command += f" --IPEngine.idle={idle}"
    if plan.options.get("nodes", 1) == 1:
        return f'{command} --IPEngine.parent_fd=8 9>> "$progress" 7>&-'
    inner = f'exec {command} 9>> "$progress.{system.rank}"'
    return f"export progress ends; {system.each_host} bash -c {shlex.quote(inner)}"
