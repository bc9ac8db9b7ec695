"""Options that ipyparallel's batch launchers have, under their names: templates and what goes in.

They are for scripts that were written for it. Whoever writes a new one has ``prologue`` and
``extra``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from hippodrome.launch.kinds import COUNT, TEXT, VARIABLES, WORDS, Kind, LaunchOption


def _any_text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _pattern(value: Any) -> str:
    pattern = value.pattern if isinstance(value, re.Pattern) else value
    re.compile(_any_text(pattern))
    return str(pattern)


def _group(value: Any) -> int:
    return int(value)


def _namespace(value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        import json

        value = json.loads(value)
    return {_any_text(name): each for name, each in dict(value).items()}


_TEMPLATE: Final = Kind("a text", _any_text, "TEXT")
_PATTERN: Final = Kind("a regular expression", _pattern, "PATTERN")
_GROUP: Final = Kind("the number of a group", _group, "N")
_NAMES: Final = Kind("a dict of names and values", _namespace, "NAMES")


def _option(name: str, kind: Kind, text: str) -> LaunchOption:
    return LaunchOption(name, kind, text, is_short=False)


OLD_TRAITS: Final = (
    _option("batch_template", _TEMPLATE, "The script of a job, with expressions in braces."),
    _option("batch_template_file", TEXT, "A file that has it."),
    _option("batch_file_name", TEXT, "What the script that is submitted is called."),
    _option("namespace", _NAMES, "Further names for expressions in templates."),
    _option("output_file", TEXT, "Where a job's output goes."),
    _option("submit_command", WORDS, "What submits a job."),
    _option("delete_command", WORDS, "What ends jobs."),
    _option("signal_command", WORDS, "What sends signals to jobs; the signal comes next."),
    _option("job_id_regexp", _PATTERN, "What finds the id in what the former prints."),
    _option("job_id_regexp_group", _GROUP, "Which group of that is the id; 0 for all."),
    _option("job_array_regexp", _PATTERN, "What a line looks like that asks for an array."),
    _option("job_array_template", _TEMPLATE, "The line that asks for an array."),
    _option("queue_regexp", _PATTERN, "What a line looks like that names the queue."),
    _option("queue_template", _TEMPLATE, "The line that names the queue."),
    _option("output_regexp", _PATTERN, "What a line looks like that names the output."),
    _option("output_template", _TEMPLATE, "The line that names the output."),
    _option("environment", VARIABLES, "Variables that are set for engines."),
    _option("engine_cmd", WORDS, "What is run in place of ipengine."),
    _option("engine_args", WORDS, "Further options for ipengine."),
    _option("output_limit", COUNT, "How many last lines of a failed job are shown."),
    _option("stop_timeout", COUNT, "How long ending jobs may take, in seconds."),
)
SLURM_TRAITS: Final = (
    *OLD_TRAITS,
    _option("options", _TEMPLATE, "Further options of sbatch, in one text."),
    _option("account_regexp", _PATTERN, "What a line looks like that names the account."),
    _option("account_template", _TEMPLATE, "The line that names the account."),
    _option("qos_regexp", _PATTERN, "What a line looks like that names the quality of service."),
    _option("qos_template", _TEMPLATE, "The line that names the quality of service."),
    _option("timelimit_regexp", _PATTERN, "What a line looks like that limits the time."),
    _option("timelimit_template", _TEMPLATE, "The line that limits the time."),
)


def has_template(options: Mapping[str, Any]) -> bool:
    """Whether the script of a job is the user's own."""
    return bool(options.get("batch_template") or options.get("batch_template_file"))
