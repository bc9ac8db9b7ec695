"""A stand-in for Slurm, for what a real one does not do on request."""

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
    script_text,
    stored,
    wait_status,
)

_SHORT = {
    "-J": "--job-name",
    "-p": "--partition",
    "-A": "--account",
    "-q": "--qos",
    "-t": "--time",
    "-n": "--ntasks",
    "-N": "--nodes",
    "-c": "--cpus-per-task",
    "-o": "--output",
    "-e": "--error",
    "-a": "--array",
    "-D": "--chdir",
    "-C": "--constraint",
    "-G": "--gpus",
    "-w": "--nodelist",
    "-M": "--clusters",
}
_WITH = (
    "--mem --mem-per-cpu --gres --signal --export --open-mode --comment --ntasks-per-node "
    "--gpus-per-node --reservation --kill-on-bad-exit --exclude --dependency --mail-type "
    "--mail-user --threads-per-core --hint --nice --wckey --licenses"
)
_WITHOUT = "--parsable --requeue --no-requeue --exclusive --overcommit -H --hold -Q --quiet"
_TAKES = dict.fromkeys([*_SHORT, *_SHORT.values(), *_WITH.split()], True) | dict.fromkeys(
    _WITHOUT.split(), False
)
_PARTITIONS, _ACCOUNTS = ("debug", "long"), ("root", "physics")
_NO = "sbatch: error: Batch job submission failed: "


def sbatch(store: Store, words: list[str]) -> None:
    hold_back(store, "submit")
    given = _long(options(words, _TAKES, "sbatch"))
    arguments = [value for name, value in given if not name]
    text = script_text(arguments[0] if arguments else "-", "sbatch")
    refuse_foreign(text, others("#SBATCH"), "sbatch")
    if not text.startswith("#!"):
        raise Refused(
            "sbatch: error: This does not look like a batch script.  The first\n"
            "sbatch: error: line must start with #! followed by the path to an interpreter."
        )
    chosen = dict([*_long(options(directives(text, "#SBATCH"), _TAKES, "sbatch")), *given])
    if chosen.get("--partition", "debug") not in _PARTITIONS:
        raise Refused(
            f"sbatch: error: invalid partition specified: {chosen['--partition']}\n"
            f"{_NO}Invalid partition name specified"
        )
    if chosen.get("--account", "root") not in _ACCOUNTS:
        raise Refused(f"{_NO}Invalid account or account/partition combination specified")
    number = store.next_number()
    here = chosen.get("--chdir", os.getcwd())
    tasks = _tasks(chosen.get("--array"))
    name = chosen.get("--job-name", Path(arguments[0]).name if arguments else "sbatch")
    env = dict(os.environ) if chosen.get("--export", "ALL") != "NONE" else {"PATH": os.defpath}
    n_nodes = int(chosen.get("--nodes", "1").partition("-")[0])
    env |= {
        "SLURM_JOB_ID": str(number),
        "SLURM_JOBID": str(number),
        "SLURM_JOB_NAME": name,
        "SLURM_JOB_NODELIST": ",".join(nodes(store, n_nodes)),
        "SLURM_JOB_NUM_NODES": str(n_nodes),
        "SLURM_SUBMIT_DIR": os.getcwd(),
        "SLURM_NTASKS": chosen.get("--ntasks", "1"),
        "SLURM_PROCID": "0",
    }
    if tasks:
        env["SLURM_ARRAY_JOB_ID"] = str(number)
    job = Job(
        number,
        name,
        [*interpreter(text), stored(store, text, "sbatch")],
        env,
        here,
        tasks or [Task(0)],
        is_array=bool(tasks),
        queue=chosen.get("--partition", "debug"),
        limit_s=_limit(chosen.get("--time", "")),
        script=text,
        endings=[(signal.SIGCONT, 0.0), (signal.SIGTERM, 30.0)],
        index_names=["SLURM_ARRAY_TASK_ID"] if tasks else [],
    )
    job.stdout = _output(chosen.get("--output", ""), here, job)
    if "--error" in chosen:
        job.stderr = _output(chosen["--error"], here, job)
    store.submit(job)
    print(number if "--parsable" in chosen else f"Submitted batch job {number}")


def _long(found: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(_SHORT.get(name, name), value) for name, value in found]


def _tasks(given: str | None) -> list[Task]:
    if given is None:
        return []
    match = re.fullmatch(r"(\d+)(?:-(\d+))?(?:%\d+)?", given)
    if match is None:
        raise Refused(f"{_NO}Invalid job array specification")
    return [Task(index) for index in range(int(match[1]), int(match[2] or match[1]) + 1)]


def _limit(given: str) -> float | None:
    if not given or given.upper() in ("UNLIMITED", "INFINITE", "0"):
        return None
    match = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", given)
    if match is None:
        raise Refused("sbatch: error: Invalid --time specification")
    days, parts = int(match[1] or 0), [int(part) for part in match.groups()[1:] if part]
    if match[1]:
        hours, minutes, rest = [*parts, 0, 0][:3]
    elif len(parts) == 3:
        hours, minutes, rest = parts
    else:
        hours, (minutes, rest) = 0, [*parts, 0][:2]
    return days * 86400 + hours * 3600 + minutes * 60 + rest


def _output(given: str, here: str, job: Job) -> str:
    given = given or ("slurm-%A_%a.out" if job.is_array else "slurm-%j.out")
    filled = given.replace("%j", str(job.number)).replace("%A", str(job.number))
    return str(Path(here, filled.replace("%a", "{index}").replace("%x", job.name)))


def _named(store: Store, text: str) -> tuple[Job, int | None] | None:
    match = re.fullmatch(r"(\d+)(?:_(\d+))?", text)
    job = store.known(int(match[1])) if match else None
    return (job, int(match[2]) if match and match[2] else None) if job else None


def _id(job: Job, task: Task) -> str:
    return f"{job.number}_{task.index}" if job.is_array else str(job.number)


def _word(task: Task) -> str:
    if task.state != ENDED:
        return {PENDING: "PENDING", RUNNING: "RUNNING"}[task.state]
    over = "FAILED" if task.exit_code or task.signal else "COMPLETED"
    return {"cancelled": "CANCELLED", "time": "TIMEOUT"}.get(task.cause, over)


def squeue(store: Store, words: list[str]) -> int:
    hold_back(store, "query")
    takes = {"-h": False, "--noheader": False, "-o": True, "--format": True, "-j": True}
    takes |= {"--jobs": True, "-t": True, "--states": True, "-u": True, "-r": False, "--me": False}
    chosen = dict(options(words, takes, "squeue"))
    form = chosen.get("-o", chosen.get("--format", "%i %T"))
    wanted = [text for text in chosen.get("-j", chosen.get("--jobs", "")).split(",") if text]
    if len(wanted) == 1 and _named(store, wanted[0]) is None:
        raise Refused("slurm_load_jobs error: Invalid job id specified")
    for job in store.jobs():
        waiting = [task for task in job.tasks if task.state == PENDING]
        for task in job.tasks:
            if task.state == ENDED or (
                wanted and not {str(job.number), _id(job, task)} & set(wanted)
            ):
                continue
            shown = _id(job, task)
            if job.is_array and task in waiting and "-r" not in chosen:
                if task is not waiting[0]:
                    continue
                shown = f"{job.number}_[{waiting[0].index}-{waiting[-1].index}]"
            print(_line(store, job, task, shown, form))
    return 0


def _line(store: Store, job: Job, task: Task, shown: str, form: str) -> str:
    day = "%Y-%m-%dT%H:%M:%S"
    is_waiting = task.state == PENDING
    end = task.started + job.limit_s if job.limit_s and task.started else 0
    cells = {
        "i": shown,
        "T": _word(task),
        "t": _word(task)[:2],
        "r": (store.settings["reason"] or "Resources") if is_waiting else "None",
        "S": "N/A" if is_waiting else time.strftime(day, time.localtime(task.started)),
        "e": time.strftime(day, time.localtime(end)) if end else "N/A",
        "N": "" if is_waiting else nodes(store)[0],
        "j": job.name,
        "P": job.queue,
        "A": str(job.number),
        "K": str(task.index) if job.is_array else "N/A",
    }
    return re.sub(r"%\.?\d*(\w)", lambda match: cells.get(match[1], ""), form)


def sacct(store: Store, words: list[str]) -> int:
    hold_back(store, "query")
    takes = dict.fromkeys(["-n", "-P", "-X", "-nPX", "--noheader", "--parsable2"], False)
    takes |= {"-j": True, "-o": True, "--format": True, "--jobs": True}
    chosen = dict(options(words, takes, "sacct"))
    fields = chosen.get("-o", chosen.get("--format", "JobID,State,ExitCode")).split(",")
    for text in chosen.get("-j", chosen.get("--jobs", "")).split(","):
        named = _named(store, text)
        for task in named[0].tasks if named else ():
            cells = {
                "jobid": _id(named[0], task),
                "state": _word(task),
                "exitcode": f"{task.exit_code}:{task.signal}",
                "derivedexitcode": f"{wait_status(task)}:0",
                "nodelist": nodes(store)[0],
            }
            print("|".join(cells.get(field.partition("%")[0].lower(), "") for field in fields))
    return 0


def scancel(store: Store, words: list[str]) -> int:
    takes = {"-s": True, "--signal": True, "--full": False, "-f": False, "-b": False, "-Q": False}
    takes |= {"--batch": False, "--quiet": False}
    given = options(words, takes, "scancel")
    chosen, code = dict(given), 0
    wanted = chosen.get("-s", chosen.get("--signal", "")).removeprefix("SIG")
    for text in (value for name, value in given if not name):
        named = _named(store, text)
        if named is None:
            print(
                f"scancel: error: Kill job error on job id {text}: Invalid job id specified",
                file=sys.stderr,
            )
            code = 1
        elif wanted:
            signum = int(wanted) if wanted.isdecimal() else int(getattr(signal, f"SIG{wanted}"))
            store.ask("signal", named[0].number, named[1], signum)
        elif named[0].state != ENDED:
            store.ask("cancel", named[0].number, named[1])
    return code


def scontrol(store: Store, words: list[str]) -> int:
    hold_back(store, "query")
    if words[:2] == ["show", "hostnames"]:
        print("\n".join(words[2].split(",") if len(words) > 2 else nodes(store)))
        return 0
    named = _named(store, words[2]) if words[:2] == ["show", "job"] else None
    if named is None:
        raise Refused("slurm_load_jobs error: Invalid job id specified")
    job, task = named[0], named[0].tasks[0]
    print(
        f"JobId={job.number} JobName={job.name}\n   JobState={_word(task)} "
        f"Reason={store.settings['reason'] or 'None'}\n   "
        f"ExitCode={task.exit_code}:{task.signal} NodeList={nodes(store)[0]}"
    )
    return 0


def sinfo(store: Store, words: list[str]) -> int:
    print("debug* up infinite 1 idle " + nodes(store)[0])
    return 0


_PROGRAMS = {
    "sbatch": sbatch,
    "squeue": squeue,
    "sacct": sacct,
    "scancel": scancel,
    "scontrol": scontrol,
    "sinfo": sinfo,
}


def run(store: Store, program: str, words: list[str], system: str) -> int:
    return _PROGRAMS[program](store, words) or 0
