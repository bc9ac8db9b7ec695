"""A stand-in for Flux."""

from __future__ import annotations

import os
import re
import signal
import sys
from pathlib import Path

from fakes.store import ENDED, PENDING, RUNNING, Job, Store, Task
from fakes.talk import (
    Refused,
    directives,
    hold_back,
    interpreter,
    nodes,
    options,
    others,
    refuse_foreign,
    script_text,
    stored,
    taking,
)

_LETTERS = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_TAKES = taking(
    "-n --nslots -N --nodes -c --cores-per-slot -g --gpus-per-slot -q --queue -B --bank -t "
    "--time-limit --job-name --output --error --cwd --env --env-remove --setattr -o --setopt "
    "--urgency --requires --dependency --begin-time --broker-opts -S",
    "-x --exclusive --wrap --dry-run",
)
_QUEUES = ("batch", "debug")


def identifier(number: int) -> str:
    """Return the id of a job as it is shown."""
    rest, word = number * 7_919_000_001, ""
    while rest:
        rest, at = divmod(rest, 58)
        word = _LETTERS[at] + word
    return f"ƒ{word}"


def batch(store: Store, words: list[str]) -> None:
    hold_back(store, "submit")
    given = options(words, _TAKES, "flux-batch")
    arguments = [value for name, value in given if not name]
    text = script_text(arguments[0] if arguments else "-", "flux-batch: ERROR")
    refuse_foreign(text, others("#flux:"), "flux-batch")
    if not text.startswith("#!"):
        raise Refused("flux-batch: ERROR: script does not appear to start with #!")
    chosen = dict([*options(directives(text, "#flux:"), _TAKES, "flux-batch"), *given])
    n = chosen.get("-n", chosen.get("--nslots"))
    n_nodes = chosen.get("-N", chosen.get("--nodes"))
    if n is None and n_nodes is None:
        raise Refused("flux-batch: ERROR: Number of slots to allocate must be specified")
    queue = chosen.get("-q", chosen.get("--queue", "batch"))
    if queue not in _QUEUES:
        raise Refused(f"flux-batch: ERROR: [Errno 22] Invalid queue '{queue}' specified")
    if n_nodes and n and int(n) < int(n_nodes):
        raise Refused("flux-batch: ERROR: node count must not be greater than slot count")
    number = store.next_number()
    name = chosen.get("--job-name", Path(arguments[0]).name if arguments else "batch")
    here = chosen.get("--cwd", os.getcwd())
    job = Job(
        number,
        name,
        [*interpreter(text), stored(store, text, "flux-batch")],
        dict(os.environ)
        | {"FLUX_JOB_ID": identifier(number), "FLUX_URI": f"local:///tmp/flux-{number}/local-0"},
        here,
        [Task(0)],
        queue=queue,
        limit_s=_span(chosen.get("-t", chosen.get("--time-limit", "0"))) or None,
        script=text,
        endings=[(signal.SIGTERM, 5.0)],
    )
    given_out = chosen.get("--output", "flux-{{id}}.out")
    job.stdout = str(Path(here, given_out.replace("{{id}}", identifier(number))))
    if "--error" in chosen:
        job.stderr = str(Path(here, chosen["--error"].replace("{{id}}", identifier(number))))
    store.submit(job)
    print(identifier(number))


def _span(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text)
    if match is None:
        raise Refused(f"flux-batch: ERROR: invalid Flux standard duration: {text}")
    # a number alone is minutes
    return float(match[1]) * {"": 60, "s": 1, "m": 60, "h": 3600, "d": 86400}[match[2]]


def _named(store: Store, text: str) -> Job | None:
    for job in store.jobs():
        if text in (identifier(job.number), "f" + identifier(job.number)[1:]):
            return store.known(job.number)
    return None


def jobs(store: Store, words: list[str]) -> int:
    hold_back(store, "query")
    takes = {"-n": False, "--no-header": False, "-o": True, "--format": True, "-a": False}
    takes |= {"-no": True, "-A": False, "-u": True, "--json": False, "--filter": True, "-f": True}
    given = options(words, takes, "flux-jobs")
    chosen = dict(given)
    form = chosen.get("-no", chosen.get("-o", chosen.get("--format", "{id} {status}")))
    ids = [value for name, value in given if not name]
    found = [_named(store, text) for text in ids] if ids else list(store.jobs())
    for text, job in zip(ids, found, strict=False):
        if job is None:
            print(f"flux-jobs: ERROR: JobID {text} unknown", file=sys.stderr)
    for job in found:
        if job is not None and (ids or job.state != ENDED or "-a" in chosen):
            print(_line(store, job, form))
    return 1 if None in found else 0


def _line(store: Store, job: Job, form: str) -> str:
    task = job.tasks[0]
    result = "FAILED" if task.exit_code or task.signal else "COMPLETED"
    result = {"cancelled": "CANCELED", "time": "TIMEOUT"}.get(task.cause, result)
    is_running = task.state == RUNNING
    fields = {
        "id": identifier(job.number),
        "state": {PENDING: "SCHED", RUNNING: "RUN"}.get(task.state, "INACTIVE"),
        "status": {PENDING: "SCHED", RUNNING: "RUN"}.get(task.state, result),
        "result": result if task.state == ENDED else "",
        "expiration": str(task.started + job.limit_s if is_running and job.limit_s else 0.0),
        "name": job.name,
        "nodelist": "" if task.state == PENDING else nodes(store)[0],
        "returncode": str(-task.signal or task.exit_code) if task.state == ENDED else "",
        "annotations.user": store.settings["reason"] if task.state == PENDING else "",
    }

    def fill(match: re.Match[str]) -> str:
        if match[1] not in fields:
            words = f"flux-jobs: ERROR: format field '{match[1]}' unknown"
            raise Refused(words)
        return fields[match[1]]

    return re.sub(r"\{([\w.]+)(?:[:!][^}]*)?\}", fill, form)


def cancel(store: Store, words: list[str]) -> int:
    code = 0
    for text in (value for _, value in options(words, {}, "flux-cancel")):
        job = _named(store, text)
        if job is None:
            print(f"flux-cancel: {text}: No such file or directory", file=sys.stderr)
            code = 1
        elif job.state == ENDED:
            print(f"flux-cancel: {text}: job is inactive", file=sys.stderr)
            code = 1
        else:
            store.ask("cancel", job.number)
    return code


def kill(store: Store, words: list[str]) -> int:
    given = options(words, {"-s": True, "--signal": True}, "flux-job")
    chosen = dict(given)
    name = chosen.get("-s", chosen.get("--signal", "SIGTERM"))
    found = getattr(signal, f"SIG{name.removeprefix('SIG')}", None)
    if not name.isdecimal() and found is None:
        raise Refused(f"flux-job: Invalid signal {name}")
    for text in (value for option, value in given if not option):
        job = _named(store, text)
        if job is None or job.state != RUNNING:
            raise Refused(f"flux-job: kill {text}: job is not running")
        store.ask("signal", job.number, None, int(name) if name.isdecimal() else int(found or 0))
    return 0


def resource(store: Store, words: list[str]) -> int:
    print(" ".join(nodes(store)))
    return 0


def run(store: Store, program: str, words: list[str], system: str) -> int:
    if words[:2] == ["job", "kill"]:
        return kill(store, words[2:])
    command = {"batch": batch, "jobs": jobs, "cancel": cancel, "resource": resource}
    if not words or words[0] not in command:
        raise Refused(f"flux: `{' '.join(words[:1])}' is not a flux command.  See 'flux --help'")
    return command[words[0]](store, words[1:]) or 0
