"""A stand-in for Grid Engine; its words are those of a real one."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from pathlib import Path
from xml.sax.saxutils import escape

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
    script_text,
    seconds,
    stored,
    taking,
)

_TAKES = taking(
    "-N -q -A -P -l -o -e -j -v -S -t -tc -p -m -M -b -r -w -hold_jid -now -wd -R",
    "-V -cwd -terse -notify -h -sync",
)
_QUEUES, _PROJECTS = ("all.q", "short.q"), ("physics",)
_RESOURCES = ("h_rt", "s_rt", "h_vmem", "mem_free", "gpu", "hostname", "h")


def qsub(store: Store, words: list[str]) -> None:
    hold_back(store, "submit")
    words, environments = _parallel(words)
    given = options(words, _TAKES, "qsub")
    arguments = [value for name, value in given if not name]
    is_binary = dict(given).get("-b") in ("y", "yes")
    text = ""
    if is_binary:
        if any(set(word) & set("'\"`$") for word in arguments):
            raise Refused("qsub: quotes get lost on the way to the job")
    else:
        text = script_text(arguments[0] if arguments else "-", "qsub")
        refuse_foreign(text, others("#$"), "qsub")
    said, inside = _parallel(directives(text, "#$"))
    chosen = dict([*options(said, _TAKES, "qsub"), *given])
    environments = environments or inside
    wanted = _resources([*options(said, _TAKES, "qsub"), *given])
    _check(chosen, environments, wanted)
    name = chosen.get("-N", Path(arguments[0]).name if arguments else "STDIN")
    if name[:1].isdigit():
        raise Refused(f'qsub: ERROR! argument to -N option must not start with digit: "{name}"')
    here = os.getcwd() if "-cwd" in chosen else chosen.get("-wd", os.environ.get("HOME", "/"))
    number = store.next_number()
    tasks = _tasks(chosen.get("-t"))
    env = (dict(os.environ) if "-V" in chosen else login_env()) | _passed(
        [*options(said, _TAKES, "qsub"), *given]
    )
    slots = environments[1] if environments else 1
    hosts = nodes(store, 2 if environments and slots > 1 else 1)
    share = [slots // len(hosts) + (i < slots % len(hosts)) for i in range(len(hosts))]
    lines = [f"{host} {n} all.q@{host} UNDEFINED" for host, n in zip(hosts, share, strict=True)]
    env |= {
        "JOB_ID": str(number),
        "JOB_NAME": name,
        "QUEUE": "all.q",
        "NSLOTS": str(slots),
        "NHOSTS": str(len(hosts)),
        "SGE_O_WORKDIR": os.getcwd(),
        "SGE_TASK_ID": "undefined",
    }
    if environments:
        env["PE"] = environments[0]
        env["PE_HOSTFILE"] = host_file(store, f"pe-{number}", lines)
    notify = [(signal.SIGUSR2, 5.0)] if "-notify" in chosen else []
    job = Job(
        number,
        name,
        arguments if is_binary else [chosen.get("-S", "/bin/sh"), stored(store, text, "qsub")],
        env,
        here,
        tasks or [Task(1)],
        is_array=bool(tasks),
        queue=chosen.get("-q", "all.q"),
        limit_s=seconds(wanted["h_rt"]) if "h_rt" in wanted else None,
        script=text,
        endings=[*notify, (signal.SIGKILL, 1.0)],
        index_names=["SGE_TASK_ID"] if tasks else [],
        extra={"pe": environments, "slots": slots},
    )
    job.stdout = _output(chosen.get("-o", ""), here, name, number, "o", job.is_array)
    if chosen.get("-j") not in ("y", "yes"):
        job.stderr = _output(chosen.get("-e", ""), here, name, number, "e", job.is_array)
    store.submit(job)
    array = f".{tasks[0].index}-{tasks[-1].index}:1" if tasks else ""
    if "-terse" in chosen:
        print(f"{number}{array}")
    else:
        kind = "Your job-array" if tasks else "Your job"
        print(f'{kind} {number}{array} ("{name}") has been submitted')


def _parallel(words: list[str]) -> tuple[list[str], tuple[str, int] | None]:
    """Take out ``-pe NAME N``, which has two values."""
    if "-pe" not in words:
        return words, None
    at = words.index("-pe")
    try:
        found = (words[at + 1], int(words[at + 2].partition("-")[0]))
    except (IndexError, ValueError):
        raise Refused("qsub: ERROR! invalid option argument -pe", 2) from None
    return words[:at] + words[at + 3 :], found


def _resources(found: list[tuple[str, str]]) -> dict[str, str]:
    parts = [part for name, value in found if name == "-l" for part in value.split(",")]
    return {key: value for key, _, value in (part.partition("=") for part in parts)}


def _passed(found: list[tuple[str, str]]) -> dict[str, str]:
    passed = {}
    for part in (part for name, value in found if name == "-v" for part in value.split(",")):
        key, has, text = part.partition("=")
        passed[key] = text if has else os.environ.get(key, "")
    return passed


def _check(chosen: dict[str, str], pe: tuple[str, int] | None, wanted: dict[str, str]) -> None:
    no = "Unable to run job: "
    if chosen.get("-q", "all.q") not in _QUEUES:
        words = f'Job was rejected because job requests unknown queue "{chosen["-q"]}"'
        raise Refused(f"{no}{words}\nExiting.")
    if chosen.get("-P", "physics") not in _PROJECTS:
        words = f'job rejected: the requested project "{chosen["-P"]}" does not exist'
        raise Refused(f"{no}{words}\nExiting.")
    if pe is not None and pe[0] not in ("mpi", "smp"):
        words = f'job rejected: the requested parallel environment "{pe[0]}" does not exist'
        raise Refused(f"{no}{words}\nExiting.")
    for name in wanted:
        if name not in _RESOURCES:
            raise Refused(f'{no}unknown resource "{name}"\nExiting.')


def _output(given: str, here: str, name: str, number: int, letter: str, is_array: bool) -> str:
    end = f"{name}.{letter}{number}" + (".{index}" if is_array else "")
    given = given.removeprefix(":").replace("$JOB_ID", str(number)).replace("$TASK_ID", "{index}")
    path = Path(here, given.replace("$JOB_NAME", name)) if given else Path(here)
    return str(path / end if path.is_dir() else path)


def _tasks(given: str | None) -> list[Task]:
    if given is None:
        return []
    match = re.fullmatch(r"(\d+)(?:-(\d+)(?::(\d+))?)?", given)
    if match is None or int(match[1]) < 1:
        raise Refused("qsub: Numerical value invalid! The initial portion of string is no number")
    last = int(match[2] or match[1])
    return [Task(index) for index in range(int(match[1]), last + 1, int(match[3] or 1))]


def qstat(store: Store, words: list[str]) -> int:
    hold_back(store, "query")
    takes = {"-xml": False, "-u": True, "-j": True, "-g": True, "-s": True, "-f": False}
    given = options(words, takes, "qstat")
    chosen = dict(given)
    if "-j" in chosen:
        return _about(store, chosen["-j"].split(","))
    rows = [(job, task) for job in store.jobs() for task in job.tasks if task.state != ENDED]
    if "-xml" not in chosen:
        for job, task in rows:
            print(f"{job.number:>7} 0.5 {job.name[:10]:<10} me {_letter(task)}")
        return 0
    running = [_row(store, job, task) for job, task in rows if task.state == RUNNING]
    waiting = []
    for job in store.jobs():
        tasks = [task for task in job.tasks if task.state == PENDING]
        if tasks and chosen.get("-g") == "d":
            waiting += [_row(store, job, task) for task in tasks]
        elif tasks:
            span = f"{tasks[0].index}-{tasks[-1].index}:1" if len(tasks) > 1 else tasks[0].index
            waiting.append(_row(store, job, tasks[0], str(span)))
    print("<?xml version='1.0'?>\n<job_info>")
    print(f"  <queue_info>\n{''.join(running)}  </queue_info>")
    print(f"  <job_info>\n{''.join(waiting)}  </job_info>\n</job_info>")
    return 0


def _letter(task: Task) -> str:
    if task.cause == "cancelled":
        return "dr"
    return "qw" if task.state == PENDING else "r"


def _row(store: Store, job: Job, task: Task, span: str = "") -> str:
    is_waiting = task.state == PENDING
    when = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(task.started or job.submitted))
    cells = {
        "JB_job_number": job.number,
        "JAT_prio": "0.50000",
        "JB_name": escape(job.name),
        "JB_owner": job.env.get("USER", "me"),
        "state": _letter(task),
        "JB_submission_time" if is_waiting else "JAT_start_time": when,
        "queue_name": "" if is_waiting else f"all.q@{nodes(store)[0]}",
        "slots": job.extra["slots"],
    }
    if job.is_array:
        cells["tasks"] = span or task.index
    inside = "".join(f"      <{name}>{value}</{name}>\n" for name, value in cells.items())
    state = "pending" if is_waiting else "running"
    return f'    <job_list state="{state}">\n{inside}    </job_list>\n'


def _about(store: Store, numbers: list[str]) -> int:
    code = 0
    for number in numbers:
        job = store.known(int(number)) if number.isdecimal() else None
        if job is None or job.state == ENDED:
            print(f"Following jobs do not exist: \n{number}", file=sys.stderr)
            code = 1
            continue
        print(f"{'=' * 62}\njob_number:                 {number}\njob_name:  {job.name}")
        if job.state == PENDING:
            why = store.settings["reason"] or "cannot run in queue because it is full"
            print(f"scheduling info:            {why}")
    return code


def qdel(store: Store, words: list[str]) -> int:
    code = 0
    given = options(words, {"-f": False, "-u": True, "-t": True}, "qdel")
    for text in ",".join(value for name, value in given if not name).split(","):
        match = re.fullmatch(r"(\d+)(?:\.(\d+))?", text)
        job = store.known(int(match[1])) if match else None
        if match is None or job is None or job.state == ENDED:
            print(f'denied: job "{text}" does not exist')
            code = 1
            continue
        if any(task.cause == "cancelled" and task.state != ENDED for task in job.tasks):
            print(f"job {job.number} is already in deletion")
            continue
        store.ask("cancel", job.number, int(match[2]) if match[2] else None)
        done = "has registered the job" if job.state == RUNNING else "has deleted job"
        print(f"me {done} {text}{' for deletion' if job.state == RUNNING else ''}")
    return code


def qacct(store: Store, words: list[str]) -> int:
    hold_back(store, "query")
    chosen = dict(options(words, {"-j": True, "-t": True}, "qacct"))
    number = chosen.get("-j", "")
    job = store.known(int(number)) if number.isdecimal() else None
    ended = [task for task in job.tasks if task.state == ENDED and task.started] if job else []
    if job is None or not ended:
        print(f"error: job id {number} not found", file=sys.stderr)
        return 1
    for task in ended:
        print("=" * 62)
        code = 128 + task.signal if task.signal else task.exit_code
        failed = "100 : assumedly after job" if task.signal else "0"
        cells = {
            "qname": "all.q",
            "hostname": nodes(store)[0],
            "jobname": job.name,
            "jobnumber": job.number,
            "taskid": task.index if job.is_array else "undefined",
            "qsub_time": time.ctime(job.submitted),
            "start_time": time.ctime(task.started),
            "end_time": time.ctime(task.ended),
            "failed": failed,
            "exit_status": f"{code:<19}" + (" (Killed)" if task.signal == 9 else ""),
        }
        print("".join(f"{name:<12} {value}\n" for name, value in cells.items()), end="")
    return 0


def qconf(store: Store, words: list[str]) -> int:
    if words == ["-spl"]:
        print("mpi\nsmp")
    elif words[:1] == ["-sp"]:
        print(f"pe_name            {words[1]}\nallocation_rule    $pe_slots")
    return 0


_PROGRAMS = {"qsub": qsub, "qstat": qstat, "qdel": qdel, "qacct": qacct, "qconf": qconf}


def run(store: Store, program: str, words: list[str], system: str) -> int:
    return _PROGRAMS[program](store, words) or 0
