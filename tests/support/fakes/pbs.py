"""Stand-ins for PBS: OpenPBS with ``-J`` and JSON, Torque with ``-t`` and XML."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from xml.sax.saxutils import escape

from fakes.store import ENDED, PENDING, RUNNING, Job, Store, Task
from fakes.talk import (
    Refused,
    directives,
    hold_back,
    host_file,
    interpreter,
    login_env,
    nodes,
    options,
    others,
    refuse_foreign,
    script_text,
    seconds,
    stored,
    taking,
    wait_status,
)

SERVER = "pbs01"
QUEUES = ("workq", "batch", "short", "gpu")
_TAKES = taking(
    "-N -q -A -l -o -e -j -v -S -P -W -m -M -r -k -p -c -a",
    "-V -z -h",
)
_DAY = "%a %b %d %H:%M:%S %Y"


class Flavor:
    """What differs between the two."""

    def __init__(self, name: str) -> None:
        self.is_torque = name == "torque"
        self.array_option = "-t" if self.is_torque else "-J"
        self.index_names = ["PBS_ARRAYID"] if self.is_torque else ["PBS_ARRAY_INDEX"]
        self.takes: Mapping[str, bool] = {**_TAKES, self.array_option: True}
        if self.is_torque:
            self.takes = {**self.takes, "-d": True, "-F": True}


def qsub(store: Store, words: list[str], flavor: Flavor) -> None:
    hold_back(store, "submit")
    given = options(words, flavor.takes, "qsub")
    script = next((value for name, value in given if not name), "-")
    text = script_text(script, "qsub")
    refuse_foreign(text, others("#PBS"), "qsub")
    said = options(directives(text, "#PBS"), flavor.takes, "qsub")
    found = [*said, *given]  # the command line wins
    chosen = dict(found)
    if chosen.get("-q", "workq") not in QUEUES:
        raise Refused("qsub: Unknown queue", 170)
    name = chosen.get("-N", "STDIN" if script == "-" else Path(script).name)
    if not re.fullmatch(r"[A-Za-z_+-][^\s]{0,229}", name):
        raise Refused("qsub: illegal -N value", 2)
    resources = {}
    for value in (value for option, value in found if option == "-l"):
        for part in value.split(","):
            key, _, amount = part.partition("=")
            if not amount:
                raise Refused("qsub: illegal -l value", 2)
            resources[key] = amount
    limit_s = None
    if "walltime" in resources:
        try:
            limit_s = seconds(resources["walltime"])
        except ValueError:
            raise Refused("qsub: Illegal attribute or resource value walltime", 195) from None
    if limit_s is not None and limit_s > 24 * 3600 and chosen.get("-q") == "short":
        raise Refused("qsub: Job violates queue and/or server resource limits", 188)
    if flavor.is_torque and "select" in resources:
        raise Refused("qsub: Unknown resource type  Resource_List.select", 174)
    if not flavor.is_torque and "nodes" in resources and "select" in resources:
        raise Refused('qsub: "-lresource=" cannot be used with "select" or "place"', 184)
    env = _environment(found, chosen, name)
    here = os.getcwd()
    job = Job(
        store.next_number(),
        name,
        [*interpreter(text, chosen.get("-S", "/bin/sh")), stored(store, text, "qsub")],
        env,
        env["HOME"],  # jobs begin in the home folder, wherever they were submitted
        _tasks(chosen.get(flavor.array_option), flavor),
        is_array=flavor.array_option in chosen,
        queue=chosen.get("-q", "workq"),
        limit_s=limit_s,
        script=text,
        endings=[(signal.SIGTERM, 10.0)],
        whole=False,  # it knows the session of a job, and not the sessions that that makes
        index_names=flavor.index_names,
        extra={"resources": resources, "account": chosen.get("-A", ""), "cwd": here},
    )
    job.stdout = _output(chosen.get("-o", ""), here, name, "o")
    if chosen.get("-j") not in ("oe", "eo"):
        job.stderr = _output(chosen.get("-e", ""), here, name, "e")
    per_node = _slots(resources)
    hosts = [host for host in nodes(store) for _ in range(1 if not flavor.is_torque else per_node)]
    env["PBS_NODEFILE"] = host_file(store, f"nodes-{time.time_ns()}", hosts)
    env["NCPUS"] = str(per_node)
    env["PBS_JOBID"] = _id(job)
    if job.is_array:
        job.task_env = {str(task.index): {"PBS_JOBID": _id(job, task.index)} for task in job.tasks}
    store.submit(job)
    print(_id(job))


def _environment(
    found: list[tuple[str, str]], chosen: Mapping[str, str], name: str
) -> dict[str, str]:
    env = dict(os.environ) if "-V" in chosen else login_env()
    for value in (value for option, value in found if option == "-v"):
        for part in value.split(","):
            key, has, text = part.partition("=")
            env[key] = text if has else os.environ.get(key, "")
    return env | {
        "PBS_ENVIRONMENT": "PBS_BATCH",
        "PBS_O_WORKDIR": os.getcwd(),
        "PBS_O_HOST": os.uname().nodename,
        "PBS_O_HOME": os.environ.get("HOME", "/"),
        "PBS_JOBNAME": name,
        "PBS_QUEUE": chosen.get("-q", "workq"),
        "HOME": os.environ.get("HOME", "/"),
    }


def _slots(resources: Mapping[str, str]) -> int:
    text = ":".join(f"{key}={value}" for key, value in resources.items())
    match = re.search(r"(?:ncpus|ppn)=(\d+)", text)
    return int(match[1]) if match else 1


def _output(given: str, here: str, name: str, letter: str) -> str:
    path = given.partition(":")[2] or given if ":" in given.partition("/")[0] else given
    if not path:
        return str(Path(here, f"{name}.{letter}{time.time_ns()}"))
    whole = Path(here, path)
    if whole.is_dir() or path.endswith("/"):
        return str(whole / f"{time.time_ns()}.{letter}")
    return str(whole).replace("^array_index^", "{index}")


def _tasks(given: str | None, flavor: Flavor) -> list[Task]:
    if given is None:
        return [Task(0)]
    found: list[int] = []
    for part in given.partition("%")[0].split(","):
        match = re.fullmatch(r"(\d+)(?:-(\d+)(?::(\d+))?)?", part)
        if match is None or (match[2] is None and not flavor.is_torque):
            raise Refused(f"qsub: illegal {flavor.array_option} value", 2)
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first or (last == first and not flavor.is_torque):
            raise Refused(f"qsub: illegal {flavor.array_option} value", 2)
        found += range(first, last + 1, int(match[3] or 1))
    return [Task(index) for index in found]


def _id(job: Job, index: int | None = None) -> str:
    brackets = "" if not job.is_array else f"[{'' if index is None else index}]"
    return f"{job.number}{brackets}.{SERVER}"


def _named(store: Store, text: str) -> tuple[Job, int | None] | None:
    """Return the job that an id means, and the index; of an array, brackets are part of the id."""
    match = re.fullmatch(r"(\d+)(\[(\d*)\])?(?:\.[\w.-]+)?", text)
    job = store.known(int(match[1])) if match else None
    if match is None or job is None or job.is_array != bool(match[2]):
        return None
    return job, int(match[3]) if match[3] else None


def _letter(task: Task, flavor: Flavor, is_sub: bool = False) -> str:
    if task.state == ENDED:
        return "C" if flavor.is_torque else ("X" if is_sub else "F")
    return {PENDING: "Q", RUNNING: "R"}[task.state]


def _attributes(store: Store, job: Job, task: Task, flavor: Flavor, is_sub: bool) -> dict:
    reason = store.settings["reason"] or "Not Running: Insufficient amount of resource: ncpus"
    found: dict[str, object] = {
        "Job_Name": job.name,
        "Job_Owner": f"{job.env.get('USER', 'me')}@{os.uname().nodename}",
        "job_state": _letter(task, flavor, is_sub),
        "queue": job.queue,
        "server": SERVER,
        "ctime": time.strftime(_DAY, time.localtime(job.submitted)),
        "Resource_List": {"ncpus": 1, "nodect": 1, **job.extra["resources"]},
        "Variable_List": {"PBS_O_HOME": job.env["HOME"], "PBS_O_WORKDIR": job.extra["cwd"]},
    }
    if task.state == PENDING:
        found["comment"] = reason
    else:
        host = nodes(store)[0]
        found |= {
            "exec_host": f"{host}/0",
            "stime": time.strftime(_DAY, time.localtime(task.started)),
            "comment": f"Job run at {time.strftime('%a %b %d at %H:%M')} on ({host}:ncpus=1)",
        }
    if task.state == ENDED:
        code = 271 if task.cause == "cancelled" else wait_status(task, 256)
        found["Exit_status" if not flavor.is_torque else "exit_status"] = code
    return found


def qstat(store: Store, words: list[str], flavor: Flavor) -> int:
    hold_back(store, "query")
    takes = {"-f": False, "-x": False, "-t": False, "-u": True, "-w": False, "-a": False}
    if not flavor.is_torque:
        takes["-F"] = True
    given = options(words, takes, "qstat")
    chosen = dict(given)
    if "-x" in chosen and not flavor.is_torque and store.settings["forgets"]:
        raise Refused("qstat: PBS is not configured to maintain job history", 1)
    ids = [value for name, value in given if not name]
    rows: dict[str, dict] = {}
    code = 0
    for text in ids or [_id(job) for job in store.jobs() if job.state != ENDED]:
        named = _named(store, text)
        is_over = named is not None and named[0].state == ENDED
        if named is None or (is_over and "-x" not in chosen and not flavor.is_torque):
            words_ = "Unknown Job Id Error" if flavor.is_torque else "Unknown Job Id"
            if named is not None:
                words_ = f"{text} Job has finished, use -x or -H to obtain historical job info"
                print(f"qstat: {words_}", file=sys.stderr)
            else:
                print(f"qstat: {words_} {text}", file=sys.stderr)
            code = 153 if named is None else 35
            continue
        rows |= _rows(store, *named, flavor, "-t" in chosen)
    if flavor.is_torque and "-x" in chosen:
        if rows:
            print(_xml(rows))
    elif chosen.get("-F") == "json" and "-f" in chosen:
        head = {"timestamp": int(time.time()), "pbs_version": "23.06.06", "pbs_server": SERVER}
        print(json.dumps({**head, "Jobs": rows} if rows else head, indent=4))
    else:
        print("Job id            Name             User              Time Use S Queue")
        for key, row in rows.items():
            print(f"{key:<17} {row['Job_Name']:<16} {'me':<17} {'00:00:00':>8} {row['job_state']}")
    return code


def _rows(
    store: Store, job: Job, index: int | None, flavor: Flavor, wants_all: bool
) -> dict[str, dict]:
    if not job.is_array:
        return {_id(job): _attributes(store, job, job.tasks[0], flavor, False)}
    rows = {}
    if index is None:
        row = _attributes(store, job, max(job.tasks, key=lambda task: task.ended), flavor, False)
        if job.state != ENDED and not flavor.is_torque:
            row["job_state"] = "B" if job.started else "Q"
            row.pop("Exit_status", None)
        elif job.state != ENDED:
            row["job_state"] = "R" if job.started else "Q"
        row["array"] = "True"
        rows[_id(job)] = row
    if index is not None or wants_all:
        for task in job.tasks:
            if index in (None, task.index):
                rows[_id(job, task.index)] = _attributes(store, job, task, flavor, True)
    return rows


def _xml(rows: Mapping[str, dict]) -> str:
    def element(name: str, value: object) -> str:
        if isinstance(value, dict):
            inside = "".join(element(key, one) for key, one in value.items())
        else:
            inside = escape(str(value))
        return f"<{name}>{inside}</{name}>"

    jobs = [element("Job", {"Job_Id": key, **row}) for key, row in rows.items()]
    return f"<Data>{''.join(jobs)}</Data>"


def qdel(store: Store, words: list[str], flavor: Flavor) -> int:
    code = 0
    given = options(words, {"-W": True, "-p": False, "-x": False}, "qdel")
    for text in (value for name, value in given if not name):
        named = _named(store, text)
        if named is None:
            words_ = "Unknown Job Id Error" if flavor.is_torque else "Unknown Job Id"
            print(f"qdel: {words_} {text}", file=sys.stderr)
            code = 153
        elif named[0].state == ENDED:
            print(f"qdel: Job has finished {text}", file=sys.stderr)
            code = 35
        else:
            store.ask("cancel", named[0].number, named[1])
    return code


def qsig(store: Store, words: list[str], flavor: Flavor) -> int:
    given = options(words, {"-s": True}, "qsig")
    wanted = dict(given).get("-s", "TERM").removeprefix("SIG")
    signum = int(wanted) if wanted.isdecimal() else getattr(signal, f"SIG{wanted}", None)
    if signum is None:
        raise Refused(f"qsig: illegally formed signal {wanted}", 2)
    for text in (value for name, value in given if not name):
        named = _named(store, text)
        if named is None or named[0].state != RUNNING:
            raise Refused(f"qsig: Request invalid for state of job {text}", 168)
        store.ask("signal", named[0].number, named[1], int(signum))
    return 0


PROGRAMS = {"qsub": qsub, "qstat": qstat, "qdel": qdel, "qsig": qsig}


def run(store: Store, program: str, words: list[str], system: str) -> int:
    return PROGRAMS[program](store, words, Flavor(system)) or 0
