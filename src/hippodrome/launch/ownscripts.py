"""A job whose script is the user's own: filled, with what is set and it does not say."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from hippodrome.errors import LaunchError
from hippodrome.launch.batchsystem import BatchSystem
from hippodrome.launch.oldtraits import has_template
from hippodrome.launch.script import JobPlan, filled_line, values
from hippodrome.launch.state import STOP_FILE
from hippodrome.launch.templates import (
    Said,
    completed,
    filled,
    starts_all,
    with_lines,
    without_indent,
)

PROGRESS: Final = "IPP_PROGRESS"
# A flag, and what else says the same.
_SAME: Final[Mapping[str, str]] = {
    "--job-name": "-J",
    "--output": "-o",
    "--partition": "-p",
    "--account": "-A",
    "--time": "-t",
    "--qos": "-q",
    "--mem": "--mem-per-cpu",
    "--queue": "-q",
    "--bank": "-B",
    "--time-limit": "-t",
    "-oo": "-o",
}
_ALWAYS: Final = (
    *("--job-name", "-N", "-J", "--output", "-o", "-oo", "-O", "-E", "-j", "-V"),
    *("output", "error", "log", "getenv"),
)
_OF_OPTIONS: Final = ("queue", "account", "qos", "time", "memory", "gpus")


def template_of(options: Mapping[str, Any]) -> tuple[str, str]:
    """Return the user's template, and what errors call it.

    Raises:
        LaunchError: its file cannot be read.
    """
    if file := options.get("batch_template_file"):
        try:
            return without_indent(Path(file).expanduser().read_text(encoding="utf-8")), str(file)
        except (OSError, ValueError) as error:
            raise LaunchError(f"the template {file} cannot be read: {error}") from error
    return without_indent(options["batch_template"]), "batch_template"


def engines_each(options: Mapping[str, Any], n: int) -> int:
    """Return how many engines ``{program_and_args}`` starts of the *n* of a job."""
    template, _ = template_of(options)
    array = options.get("job_array_regexp")
    if array and re.search(array, template):
        return 1
    return n if starts_all(template) else 1


def wrapper_text(plan: JobPlan, n: int) -> str:
    """Return the script that stands for ``{program_and_args}``.

    Args:
        plan: the job.
        n: how many engines it starts each time.
    """
    return "\n".join(
        [
            "#!/bin/bash",
            *_preamble(plan),
            *plan.options.get("prologue", ()),
            f'exec {shlex.join(plan.command)} -n {n} "$@"',
            "",
        ]
    )


def own_script(system: BatchSystem, plan: JobPlan, n: int) -> str:
    """Return what is submitted.

    Args:
        system: the batch system.
        plan: the job.
        n: how many engines it has.

    Raises:
        LaunchError: the template cannot be filled.
    """
    options = plan.options
    template, where = template_of(options)
    script = filled(template, _names(plan, n), where)
    script = completed(script, template, system.directive, _said(system, plan, n), values(plan))
    extra = [system.directive + line for line in _extra(options)]
    script = with_lines(script, extra)
    if not system.description:
        script = _with_preamble(script, plan)
    return script if script.endswith("\n") else f"{script}\n"


def _names(plan: JobPlan, n: int) -> dict[str, Any]:
    """Return what expressions of the template may use: ipyparallel's names, and ours."""
    given = values(plan)
    program = str(plan.wrapper)
    own = {
        "n": n,
        "profile_dir": str(plan.profile_dir),
        "cluster_id": plan.cluster_id,
        "output_file": str(plan.output),
        "timelimit": given.get("clock", ""),
        "program": program,
        "program_args": "",
        "program_and_args": program,
        "environment_json": json.dumps(dict(plan.environment)),
    }
    empty = dict.fromkeys(("queue", "account", "qos", "options"), "")
    return {**empty, **given, **own, **plan.options.get("namespace", {})}


def _said(system: BatchSystem, plan: JobPlan, n: int) -> Iterator[Said]:
    """Yield how the template may say what is set."""
    given = values(plan)
    for option, line in system.directives:
        if option not in (*_OF_OPTIONS, "") or (option and option not in given):
            continue
        text = filled_line(line, given)
        flag = text.partition(" ")[0].partition("=")[0]
        if not option and flag not in _ALWAYS:
            continue
        old = "timelimit" if option == "time" else option or "output"
        says = plan.options.get(f"{old}_regexp") or _pattern(text, flag)
        if template := plan.options.get(f"{old}_template"):
            text = filled(template, _names(plan, n), f"{old}_template")
            text = text.strip().removeprefix(system.directive.strip()).strip()
        # lines that are always there are asked for by a name that values have
        yield Said(option or "script", text, re.compile(says))


def _pattern(text: str, flag: str) -> str:
    """Return what a line looks like that says the same as *text*."""
    if match := re.match(r"-l (\w+)=", text):  # of many resources, this one
        return rf"\b{match[1]}\b"
    flags = [flag, _SAME.get(flag, flag)]
    return "|".join(rf"(?<![\w-]){re.escape(each)}(?![\w-])" for each in flags)


def _extra(options: Mapping[str, Any]) -> Iterator[str]:
    yield from options.get("extra", ())
    if text := options.get("options"):
        yield text


def _preamble(plan: JobPlan) -> list[str]:
    variables = {**plan.environment, PROGRESS: str(plan.progress)}
    return [
        f"[ ! -e {shlex.quote(str(plan.folder / STOP_FILE))} ] || exit 0",
        *(f"export {name}={shlex.quote(value)}" for name, value in variables.items()),
    ]


def _with_preamble(script: str, plan: JobPlan) -> str:
    """Return a script that sets its variables before its first command."""
    lines = script.splitlines()
    at = next((i for i, line in enumerate(lines) if line.strip()[:1] not in ("", "#")), len(lines))
    return "\n".join([*lines[:at], *_preamble(plan), *lines[at:]])


def with_own_commands(system: BatchSystem, options: Mapping[str, Any]) -> BatchSystem:
    """Return a batch system with the commands that the user has set."""
    changed: dict[str, Any] = {}
    if has_template(options) and system.description:  # which may put several into the queue
        changed["job_id"] = re.compile(r"(?:^|cluster )(\d+)(?=\.)", re.MULTILINE)
    if command := options.get("submit_command"):
        changed["submit"] = tuple(command)
    if command := options.get("delete_command"):
        changed["cancel"] = tuple(command)
    if command := options.get("signal_command"):
        changed["signal"] = (*command, "{signal}")
    if pattern := options.get("job_id_regexp"):
        changed |= {"job_id": re.compile(pattern, re.MULTILINE), "id_group": 0}
    if (group := options.get("job_id_regexp_group")) is not None:
        changed["id_group"] = group
    return replace(system, **changed) if changed else system
