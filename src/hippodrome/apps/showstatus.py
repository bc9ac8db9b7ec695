"""``ipcluster status``: says how one cluster is; the exit code, whether work can run."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from traitlets import Bool, Enum

from hippodrome.apps.base import Switch
from hippodrome.apps.clusterprogram import ClusterProgram, remark, show
from hippodrome.apps.commandline import FlagOption
from hippodrome.apps.exitcodes import ALREADY_STOPPED, FAILED, NO_CLUSTER, OK, USAGE
from hippodrome.apps.listing import label
from hippodrome.apps.words import counted, ranges, size, span
from hippodrome.cluster.asking import PATIENCE_S, NoAnswer, line_to
from hippodrome.cluster.found import ClusterCondition, Found, why_silent
from hippodrome.cluster.logs import controller_logs, last_lines
from hippodrome.errors import ClusterError, RemoteError
from hippodrome.paths import is_full

STATES: Final = ("ready", "busy", "starting", "closing", "silent")
ABLE: Final = ("ready", "busy")
_LINES: Final = 5

Told = Mapping[str, Any]  # Any: what the hub answers


class IPClusterStatus(ClusterProgram):
    """Options of ``ipcluster status``."""

    joins: ClassVar[bool] = True
    name = "ipcluster status"
    description = "Say how a cluster is: its engines, tasks, records, and the end of its log."
    examples = "ipcluster status\nipcluster status --cluster-id=a --json"
    argument_name = "CLUSTER_ID"
    exit_codes: ClassVar[tuple[int, ...]] = (OK, FAILED, USAGE, ALREADY_STOPPED, NO_CLUSTER)

    output: Enum[str] = Enum(("text", "json"), default_value="text", help="Form of it:").tag(
        config=True, value="FORM", choices={"text": "for people", "json": "JSON, for programs"}
    )
    json: Switch = Bool(False, help="The same as --output=json.").tag(config=True)
    own_aliases: ClassVar[Mapping[str, str]] = {"o": "output", "output": "output"}
    own_flags: ClassVar[Mapping[str, FlagOption]] = {
        "json": FlagOption("json", True, "The same as --output=json."),
    }

    def start(self) -> int:
        looks = [_look(found) for found in self.find_meant()]
        as_json = self.json or self.output == "json"
        if len(looks) > 1:
            return self._show_several(looks, as_json=as_json)
        [look] = looks
        if as_json:
            show(json.dumps(_as_json(look), indent=2))
            return look.code
        for line in _describe(look.found, look.told, look.why):
            show(line)
        for line in _describe_log(look.found, look.lines):
            show(line)
        return look.code

    def _show_several(self, looks: list[Look], *, as_json: bool) -> int:
        """Show a line of each; return the gravest of their codes."""
        if as_json:
            show(json.dumps([_as_json(look) for look in looks], indent=2))
        else:
            for look in looks:
                n = f"; {counted(len(look.told['engines']), 'engine')}" if look.told else ""
                show(f"{next(_describe(look.found, look.told, look.why))}{n}")
            remark(f"{self.name} CLUSTER_ID says more of one")
        return max(look.code for look in looks)


@dataclass(frozen=True, slots=True)
class Look:
    """How one cluster is.

    Attributes:
        found: the cluster.
        told: what its hub tells; nothing if it does not.
        why: why not.
        code: the exit code for it.
        lines: the last of its log.
    """

    found: Found
    told: Told
    why: str
    code: int
    lines: list[str]


def _look(found: Found) -> Look:
    told, why = _ask(found)
    lines = [line for path in controller_logs(found) for line in last_lines(path, _LINES)]
    return Look(found, told, why, _exit_code(found, told), lines)


def _ask(found: Found) -> tuple[Told, str]:
    """Return what the hub tells, or why it tells nothing."""
    if found.condition is not ClusterCondition.RUNNING:
        return {}, found.why
    if found.info is None or found.info.path is None or found.info.role != "client":
        return {}, found.why
    try:
        with line_to(found.info.path) as line:
            told = line.ask("status")
            if told["storage"]["store"] == "sqlite":
                with suppress(ClusterError, RemoteError):  # an older one, or a file that is locked
                    told["storage"]["in_file"] = line.ask("record_count")
            return told, ""
    except NoAnswer:
        return {}, why_silent(found.info, PATIENCE_S)
    except (ClusterError, RemoteError) as error:
        return {}, str(error)


def _exit_code(found: Found, told: Told) -> int:
    if any(engine["state"] in ABLE for engine in told.get("engines", {}).values()):
        return OK
    return ALREADY_STOPPED if found.condition is ClusterCondition.DEAD else FAILED


def _by_state(told: Told) -> dict[str, list[int]]:
    """Return which engines are in each state that any is in."""
    found: dict[str, list[int]] = {}
    for engine, how in sorted(told["engines"].items()):
        found.setdefault(how["state"], []).append(engine)
    order = [*STATES, *sorted(found.keys() - set(STATES))]
    return {state: found[state] for state in order if state in found}


def _describe(found: Found, told: Told, why: str) -> Iterator[str]:
    age = span(found.age_s(time.time()))
    word = "dead" if found.condition is ClusterCondition.DEAD else found.condition.value
    since = f" for {age}" if found.condition is ClusterCondition.RUNNING else ""
    yield f"{label(found)}: {word}{since}{f': {why}' if why else ''}"
    if found.info is not None and found.is_there:
        clients = f"; {counted(told['clients'], 'client')}" if told else ""
        yield f"controller  process {found.info.pid} on {found.info.host or '?'}{clients}"
    yield from _launched(found)
    if not told:
        return
    states = [f"{len(ids):,} {state} ({ranges(ids)})" for state, ids in _by_state(told).items()]
    yield f"engines     {counted(len(told['engines']), 'engine')}{': ' * bool(states)}" + ", ".join(
        states
    )
    yield "tasks       " + ", ".join(f"{n:,} {state}" for state, n in told["tasks"].items())
    yield f"records     {_storage(told['storage'])}"


def _launched(found: Found) -> Iterator[str]:
    if found.cluster is not None and (launched := found.cluster.launched):
        yield f"jobs        {launched}"


def _storage(storage: Told) -> str:
    if storage["store"] == "none":
        return "none are kept"
    large, at_hand = storage["large"], f"{counted(storage['records'], 'task')} in memory"
    n = storage.get("in_file")
    in_file = "all in a file" if n is None else f"{counted(n, 'task')} in a file"
    parts = [at_hand if storage["store"] == "memory" else f"{in_file}; of these {at_hand} too"]
    if large["buffers"]:
        parts.append(f"{size(large['bytes'])} of large values")
    states = {storage["state"], large["state"]} - {"ok"}
    return "; ".join([*parts, *sorted(states), *filter(None, [storage["note"]])])


def _describe_log(found: Found, lines: list[str]) -> Iterator[str]:
    paths = controller_logs(found)
    if paths:
        yield f"log         {paths[0]}{' (its disk is full)' if is_full(paths[0]) else ''}"
        yield from (f"  {line}" for line in lines)
    elif found.is_by_hand and found.is_there:
        yield "log         in its terminal: --log-to-file of ipcontroller puts it into a file"


def _as_json(look: Look) -> Told:
    from hippodrome.cluster.asjson import as_json

    found, told, why, lines = look.found, look.told, look.why, look.lines
    engines = told.get("engines", {})
    return {
        **as_json(found, time.time()),
        "can_run": look.code == OK,
        "why": why,
        "engine_states": {str(engine): dict(how) for engine, how in sorted(engines.items())},
        "tasks": told.get("tasks"),
        "clients": told.get("clients"),
        "storage": told.get("storage"),
        "log": lines,
    }
