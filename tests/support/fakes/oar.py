"""A stand-in for OAR."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import sys
import time
from pathlib import Path

from fakes.store import ENDED, PENDING, RUNNING, Job, Store, Task
from fakes.talk import (
    Refused,
    directives,
    hold_back,
    host_file,
    login_env,
    nodes,
    options,
    others,
    refuse_foreign,
    taking,
)

_TAKES = taking(
    "-l -q -p -t -d -n -O -E --array --project -k --name --stdout --stderr --property "
    "--resource --queue --type --directory --signal --checkpoint -r --notify",
    "-S --scanscript -I -h --hold",
)
_LONG = {
    "--resource": "-l",
    "--queue": "-q",
    "--property": "-p",
    "--name": "-n",
    "--stdout": "-O",
    "--stderr": "-E",
    "--directory": "-d",
    "--type": "-t",
}
_QUEUES = ("default", "besteffort")


def oarsub(store: Store, words: list[str]) -> None:
    hold_back(store, "submit")
    given = [(_LONG.get(name, name), value) for name, value in options(words, _TAKES, "oarsub")]
    command = [value for name, value in given if not name]
    if len(command) != 1:
        raise Refused("oarsub: the command is one argument", 5)
    script = Path(shlex.split(command[0])[0])
    text = script.read_text() if script.is_file() else ""
    refuse_foreign(text, others("#OAR"), "oarsub")
    if not os.access(script, os.X_OK):
        raise Refused(f"# Error: the script {script} is not executable.", 6)
    said = []
    if {"-S", "--scanscript"} & {name for name, _ in given}:
        said = options(directives(text, "#OAR"), _TAKES, "oarsub")
    chosen = dict([*((_LONG.get(name, name), value) for name, value in said), *given])
    queue = chosen.get("-q", "default")
    if queue not in _QUEUES:
        raise Refused(f"[ADMISSION RULE] The queue {queue} does not exist\n# Error: -6", 6)
    print("[ADMISSION RULE] Modify resource description with type constraints")
    limit_s = _limit(chosen.get("-l", ""))
    here = chosen.get("-d", os.getcwd())
    n = int(chosen.get("--array", "1"))
    numbers = [store.next_number() for _ in range(n)]
    for index, number in enumerate(numbers, start=1):
        name = chosen.get("-n", "")
        hosts = host_file(store, f"oar-{number}", nodes(store))
        env = login_env() | {
            "OAR_JOB_ID": str(number),
            "OAR_JOBID": str(number),
            "OAR_JOB_NAME": name,
            "OAR_ARRAY_ID": str(numbers[0]),
            "OAR_ARRAY_INDEX": str(index),
            "OAR_NODEFILE": hosts,
            "OAR_NODE_FILE": hosts,
            "OAR_FILE_NODES": hosts,
            "OAR_WORKDIR": here,
            "OAR_O_WORKDIR": here,
            "OAR_JOB_WALLTIME_SECONDS": str(int(limit_s)),
        }
        job = Job(
            number,
            name,
            shlex.split(command[0]),  # in place: it is not copied
            env,
            here,
            [Task(0)],
            queue=queue,
            limit_s=limit_s,
            script=text,
            endings=[(signal.SIGTERM, 5.0)],
        )
        stem = f"OAR.{name}.{number}" if name else f"OAR.{number}"
        out = chosen.get("-O", f"{stem}.stdout").replace("%jobid%", str(number))
        err = chosen.get("-E", f"{stem}.stderr").replace("%jobid%", str(number))
        job.stdout, job.stderr = str(Path(here, out)), str(Path(here, err))
        store.submit(job)
        print(f"OAR_JOB_ID={number}")
    if n > 1:
        print(f"OAR_ARRAY_ID={numbers[0]}")


def _limit(given: str) -> float:
    match = re.search(r"walltime=([\d:]+)", given)
    if match is None:
        return 7200.0
    parts = match[1].split(":")
    if len(parts) > 3:
        raise Refused("# Error: walltime cannot be read", 5)
    hours, minutes, rest = (float(part) for part in [*parts, "0", "0"][:3])
    return hours * 3600 + minutes * 60 + rest


_STATES = {PENDING: "Waiting", RUNNING: "Running"}


def oarstat(store: Store, words: list[str]) -> int:
    hold_back(store, "query")
    takes = {"-J": False, "-f": False, "-j": True, "-fj": True, "-u": False, "--array": True}
    given = options(words, takes, "oarstat")
    numbers = [value for name, value in given if name in ("-j", "-fj", "")]
    rows, code = {}, 0
    for text in numbers or [str(job.number) for job in store.unfinished()]:
        job = store.known(int(text)) if text.isdecimal() else None
        if job is None:
            print(f"# Error: job {text} does not exist", file=sys.stderr)
            code = 1
            continue
        rows[text] = _row(store, job)
    if rows:
        print(json.dumps(rows, indent=3) if "-J" in dict(given) else rows)
    return code


def _row(store: Store, job: Job) -> dict[str, object]:
    task = job.tasks[0]
    ended_badly = task.exit_code or task.signal or task.cause
    over = "Error" if ended_badly else "Terminated"
    waiting = store.settings["reason"] or "R=1,W=2:0:0,J=B (Karma=0.000,quota_ok)"
    why = {
        "time": "WALLTIME",
        "cancelled": "FRAG_JOB_REQUEST",
    }.get(task.cause, "")
    return {
        "id": job.number,
        "Job_Id": job.number,
        "name": job.name or None,
        "owner": job.env["USER"],
        "state": _STATES.get(task.state, over),
        "message": waiting if task.state == PENDING else "",
        "queue": job.queue,
        "exit_code": (task.exit_code << 8 | task.signal) if task.state == ENDED else None,
        "submissionTime": int(job.submitted),
        "startTime": int(task.started),
        "walltime": int(job.limit_s or 0),
        "assigned_network_address": [] if task.state == PENDING else nodes(store),
        "events": [{"type": why, "description": why, "date": int(time.time())}] if why else [],
    }


def oardel(store: Store, words: list[str]) -> int:
    given = options(words, {"-s": True, "-c": False, "--array": True}, "oardel")
    chosen, code = dict(given), 0
    for text in (value for name, value in given if not name):
        job = store.known(int(text)) if text.isdecimal() else None
        if job is None or job.state == ENDED:
            print(f"Deleting the job = {text} ...ERROR: job is not running or does not exist")
            code = 1
        elif "-s" in chosen:
            name = chosen["-s"].removeprefix("SIG")
            store.ask("signal", job.number, None, int(getattr(signal, f"SIG{name}")))
        else:
            store.ask("cancel", job.number)
            print(
                f"Deleting the job = {text} ...REGISTERED.\nThe job(s) [ {text} ] will be deleted"
            )
    return code


_PROGRAMS = {"oarsub": oarsub, "oarstat": oarstat, "oardel": oardel}


def run(store: Store, program: str, words: list[str], system: str) -> int:
    return _PROGRAMS[program](store, words) or 0
