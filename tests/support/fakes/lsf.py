"""A stand-in for LSF."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
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
    stored,
    taking,
    wait_status,
)

_TAKES = taking(
    "-J -q -P -G -W -n -M -R -o -oo -e -eo -m -gpu -env -cwd -L -sla -app -w -wt -wa",
    "-x -r -N -B -K -H",
)
_QUEUES = ("normal", "short", "gpu")


def bsub(store: Store, words: list[str]) -> None:
    hold_back(store, "submit")
    given = options(words, _TAKES, "bsub")
    if any(not name for name, _ in given):
        raise Refused(
            "bsub: a script that is named is a command: its #BSUB lines are not read", 255
        )
    text = sys.stdin.read()
    if not text.strip():
        raise Refused("Empty job. Job not submitted.", 255)
    refuse_foreign(text, others("#BSUB"), "bsub")
    chosen = dict([*options(directives(text, "#BSUB"), _TAKES, "bsub"), *given])
    queue = chosen.get("-q", "normal")
    if queue not in _QUEUES:
        raise Refused(f"{queue}: No such queue. Job not submitted.", 255)
    name, tasks = _array(chosen.get("-J", ""))
    here = os.getcwd()
    number = store.next_number()
    hosts = nodes(store)
    slots = int(chosen.get("-n", "1").partition(",")[0])
    env = dict(os.environ)  # all of it, unless -env says otherwise
    if chosen.get("-env", "all").split(",")[0].strip() == "none":
        env = {key: env[key] for key in ("HOME", "USER", "PATH") if key in env}
    env |= {
        "LSB_JOBID": str(number),
        "LSB_JOBINDEX": "0",
        "LSB_JOBNAME": name,
        "LSB_QUEUE": queue,
        "LSB_MCPU_HOSTS": " ".join(f"{host} {slots}" for host in hosts),
        "LSB_HOSTS": " ".join(hosts * slots),
        "LSB_SUB_HOST": os.uname().nodename,
        "LS_SUBCWD": here,
    }
    job = Job(
        number,
        name,
        [*interpreter(text), stored(store, text, "bsub")],
        env,
        chosen.get("-cwd", here),
        tasks or [Task(0)],
        is_array=bool(tasks),
        queue=queue,
        limit_s=_limit(chosen["-W"]) if "-W" in chosen else None,
        script=text,
        endings=[(signal.SIGINT, 10.0), (signal.SIGTERM, 10.0)],
        whole=False,
        index_names=["LSB_JOBINDEX"] if tasks else [],
    )
    for option in ("-o", "-oo"):
        if option in chosen:
            job.stdout = _output(chosen[option], here, number)
            if option == "-oo":
                Path(job.stdout.replace("{index}", "0")).unlink(missing_ok=True)
    for option in ("-e", "-eo"):
        if option in chosen:
            job.stderr = _output(chosen[option], here, number)
    store.submit(job)
    default = "" if "-q" in chosen else "default "
    print(f"Job <{number}> is submitted to {default}queue <{queue}>.")


def _array(given: str) -> tuple[str, list[Task]]:
    match = re.fullmatch(r"([^\[\]]*)\[(\d+)(?:-(\d+))?\](?:%\d+)?", given)
    if match is None:
        if "[" in given:
            raise Refused(f"{given}: Bad job array name. Job not submitted.", 255)
        return given, []
    if int(match[2]) < 1:
        raise Refused(f"{given}: Bad job array index list. Job not submitted.", 255)
    last = int(match[3] or match[2])
    return match[1], [Task(index) for index in range(int(match[2]), last + 1)]


def _limit(given: str) -> float:
    match = re.fullmatch(r"(?:(\d+):)?(\d+)", given.partition("/")[0])
    if match is None:
        raise Refused(f"{given}: Bad RUNLIMIT specification. Job not submitted.", 255)
    return int(match[1] or 0) * 3600 + int(match[2]) * 60


def _output(given: str, here: str, number: int) -> str:
    path = Path(here, given.replace("%J", str(number)).replace("%I", "{index}"))
    return str(path / str(number) if path.is_dir() else path)


_FIELDS = frozenset(
    {"jobid", "jobindex", "stat", "exit_code", "exit_reason", "pend_reason", "time_left"}
    | {"exec_host", "queue", "job_name", "start_time", "finish_time", "kill_reason"}
)
_STATES = {PENDING: "PEND", RUNNING: "RUN"}


def bjobs(store: Store, words: list[str]) -> int:
    hold_back(store, "query")
    takes = {"-noheader": False, "-o": True, "-a": False, "-u": True, "-w": False, "-X": False}
    given = options(words, {**takes, "-json": False, "-l": False, "-p": False}, "bjobs")
    chosen = dict(given)
    fields, mark = _fields(chosen.get("-o", "jobid stat queue"))
    ids = [value for name, value in given if not name]
    code = 0
    for text in ids or [str(job.number) for job in store.jobs()]:
        match = re.fullmatch(r"(\d+)(?:\[(\d+)\])?", text)
        job = store.known(int(match[1])) if match else None
        if match is None or job is None:
            print(f"Job <{text}> is not found", file=sys.stderr)
            code = 255
            continue
        if not ids and "-a" not in chosen and job.state == ENDED:
            continue
        for task in job.tasks:
            if match[2] in (None, str(task.index)):
                print(mark.join(_field(store, job, task, field) for field in fields))
    return code


def _fields(given: str) -> tuple[list[str], str]:
    match = re.search(r"delimiter=(['\"])(.*?)\1", given)
    mark = match[2] if match else " "
    plain = re.sub(r"delimiter=(['\"]).*?\1", "", given)
    fields = [field.partition(":")[0].lower() for field in plain.split()]
    for field in fields:
        if field not in _FIELDS:
            raise Refused(f"Error: <{field}> is not a supported field name.", 255)
    return fields, mark


def _field(store: Store, job: Job, task: Task, name: str) -> str:
    over = "DONE" if not (task.exit_code or task.signal or task.cause) else "EXIT"
    reason = store.settings["reason"] or "Job slot limit reached;"
    ended_why = {
        "time": "TERM_RUNLIMIT: job killed after reaching LSF run time limit",
        "cancelled": "TERM_OWNER: job killed by owner",
    }
    left = "-"
    if task.state == RUNNING and job.limit_s is not None:
        rest_s = max(0.0, task.started + job.limit_s - time.time())
        left = f"{int(rest_s // 3600)}:{int(rest_s % 3600 // 60)} L"
    found = {
        "jobid": str(job.number),
        "jobindex": str(task.index),
        "stat": _STATES.get(task.state, over),
        "exit_code": str(wait_status(task)) if task.state == ENDED and over == "EXIT" else "-",
        "exit_reason": ended_why.get(task.cause, "-") if task.state == ENDED else "-",
        "pend_reason": reason if task.state == PENDING else "-",
        "time_left": left,
        "exec_host": "-" if task.state == PENDING else nodes(store)[0],
        "queue": job.queue,
        "job_name": job.name + (f"[{task.index}]" if job.is_array else ""),
    }
    return found.get(name, "-")


def bkill(store: Store, words: list[str]) -> int:
    given = options(words, {"-s": True, "-r": False, "-J": True, "-C": True}, "bkill")
    chosen, code = dict(given), 0
    for text in (value for name, value in given if not name):
        match = re.fullmatch(r"(\d+)(?:\[(\d+)\])?", text)
        job = store.known(int(match[1])) if match else None
        index = int(match[2]) if match and match[2] else None
        if match is None or job is None:
            print(f"Job <{text}>: No matching job found", file=sys.stderr)
            code = 255
        elif job.state == ENDED:
            print(f"Job <{text}>: Job has already finished", file=sys.stderr)
            code = 255
        elif "-s" in chosen:
            store.ask("signal", job.number, index, _signal(chosen["-s"]))
            print(f"Job <{text}> is being signaled")
        else:
            store.ask("cancel", job.number, index)
            print(f"Job <{text}> is being terminated")
    return code


def _signal(given: str) -> int:
    found = getattr(signal, f"SIG{given.removeprefix('SIG')}", None)
    if not given.isdecimal() and found is None:
        raise Refused(f"{given}: Bad signal value", 255)
    return int(given) if given.isdecimal() else int(found or 0)


_PROGRAMS = {"bsub": bsub, "bjobs": bjobs, "bkill": bkill}


def run(store: Store, program: str, words: list[str], system: str) -> int:
    return _PROGRAMS[program](store, words) or 0
