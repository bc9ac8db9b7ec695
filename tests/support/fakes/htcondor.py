"""A stand-in for HTCondor: submit descriptions, scratch folders, clean environments."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import sys
from pathlib import Path

from fakes.store import ENDED, PENDING, RUNNING, Job, Store, Task
from fakes.talk import Refused, hold_back, login_env, options, others, refuse_foreign

_KNOWN = frozenset(
    [
        "universe",
        "executable",
        "arguments",
        "environment",
        "getenv",
        "output",
        "error",
        "log",
        "request_cpus",
        "request_memory",
        "request_disk",
        "request_gpus",
        "transfer_input_files",
        "transfer_executable",
        "should_transfer_files",
        "when_to_transfer_output",
        "initialdir",
        "requirements",
        "accounting_group",
        "accounting_group_user",
        "periodic_remove",
        "periodic_hold",
        "on_exit_remove",
        "on_exit_hold",
        "rank",
        "notification",
        "stream_output",
        "stream_error",
        "kill_sig",
        "job_max_vacate_time",
        "max_retries",
        "allowed_job_duration",
        "allowed_execute_duration",
        "priority",
        "nice_user",
        "leave_in_queue",
        "job_batch_name",
        "batch_name",
        "concurrency_limits",
        "preserve_relative_paths",
    ]
)
_SYSTEM = "HTCondor submit"


def condor_submit(store: Store, words: list[str]) -> None:
    hold_back(store, "submit")
    takes = {"-terse": False, "-batch-name": True, "-append": True, "-a": True, "-spool": False}
    given = options(words, takes, "condor_submit")
    files = [value for name, value in given if not name]
    text = Path(files[0]).read_text() if files and files[0] != "-" else sys.stdin.read()
    refuse_foreign(text, others(), _SYSTEM)
    extra = "".join(f"{value}\n" for name, value in given if name in ("-a", "-append"))
    description, n = _parsed(text, extra)
    number = store.next_number()
    here = Path(description.get("initialdir", os.getcwd()))
    executable = here / description.get("executable", "")
    if "executable" not in description:
        raise Refused("\nERROR: No executable specified")
    if not executable.is_file():
        raise Refused(f"\nERROR: Executable file {executable} does not exist")
    if description.get("universe", "vanilla") not in ("vanilla", "5"):
        raise Refused(f"\nERROR: I don't know about the '{description['universe']}' universe.")
    cwd, argv = _delivered(store, number, description, here, executable)
    job = Job(
        number,
        description.get("job_batch_name", ""),
        argv,
        _environment(description) | {"_CONDOR_SCRATCH_DIR": str(cwd)},
        str(cwd),
        [Task(index) for index in range(n)],
        is_array=True,
        limit_s=_limit(description),
        script=text,
        endings=[(signal.SIGTERM, 30.0)],
    )
    macros = {"cluster": str(number), "clusterid": str(number)}
    macros |= {"process": "{index}", "procid": "{index}"}
    for attribute, kind in (("stdout", "output"), ("stderr", "error")):
        if kind in description:
            setattr(job, attribute, str(here / _filled(description[kind], macros)))
    for task in job.tasks:
        words_ = [_filled(word, macros).replace("{index}", str(task.index)) for word in argv]
        job.task_env[str(task.index)] = {"_STAND_IN_ARGV": shlex.join(words_)}
        variables = {
            key: _filled(value, macros).replace("{index}", str(task.index))
            for key, value in job.env.items()
        }
        job.task_env[str(task.index)] |= variables
    job.argv = ["/bin/sh", "-c", 'eval "exec $_STAND_IN_ARGV"']
    store.submit(job)
    if "-terse" in dict(given):
        print(f"{number}.0 - {number}.{n - 1}")
    else:
        print(f"Submitting job(s){'.' * n}\n{n} job(s) submitted to cluster {number}.")


def _parsed(text: str, extra: str) -> tuple[dict[str, str], int]:
    found: dict[str, str] = {}
    n = 0
    lines = text.splitlines()
    for at, line in enumerate([*lines[:-1], *extra.splitlines(), *lines[-1:]], start=1):
        plain = line.strip()
        if not plain or plain.startswith("#"):
            continue
        if match := re.fullmatch(r"queue(?:\s+(\d+))?", plain, re.IGNORECASE):
            n += int(match[1] or 1)
            continue
        key, is_pair, value = plain.partition("=")
        key = key.strip().lower()
        if not is_pair:
            raise Refused(f"\nERROR: on Line {at} of submit file: \n\n{line}")
        if key not in _KNOWN and not key.startswith(("+", "my.")):
            print(f"WARNING: the line '{line}' was unused by condor_submit. Is it a typo?")
        found[key] = value.strip()
    if not n:
        raise Refused("\nERROR: Failed to parse submit file: no 'queue' commands")
    return found, n


def _delivered(
    store: Store, number: int, description: dict[str, str], here: Path, executable: Path
) -> tuple[Path, list[str]]:
    """Copy what is to be transferred, as execute hosts have nothing else."""
    arguments = _unquoted(description.get("arguments", ""))
    if description.get("should_transfer_files", "YES").upper() == "NO":
        if not os.access(executable, os.X_OK):
            raise Refused(f"\nERROR: Executable file {executable} is not executable")
        return here, [str(executable), *arguments]
    scratch = store.root / "scratch" / f"dir_{number}"
    scratch.mkdir()
    for name in description.get("transfer_input_files", "").split(","):
        if name.strip():
            source = here / name.strip()
            if not source.exists():
                raise Refused(f"\nERROR: Can't open '{source}' with flags 00 (No such file)")
            shutil.copy(source, scratch)
            mode = 0o600 if source.stat().st_mode & 0o077 == 0 else 0o644
            (scratch / source.name).chmod(mode)
    if description.get("transfer_executable", "True").lower() == "false":
        return scratch, [str(executable), *arguments]
    copied = scratch / "condor_exec.exe"
    shutil.copy(executable, copied)
    copied.chmod(0o755)
    return scratch, [str(copied), *arguments]


def _unquoted(text: str) -> list[str]:
    """Return arguments; the new syntax is in double quotes, with single ones around blanks."""
    if not text.startswith('"'):
        return text.split()
    if not text.endswith('"') or len(text) < 2:
        raise Refused("\nERROR: Failed to parse arguments: Unterminated double-quote")
    inner = re.sub(r"(?<!\")\"(?!\")", "\0", text[1:-1])
    if "\0" in inner:
        raise Refused("\nERROR: Failed to parse arguments: Unexpected characters following quote")
    words, word, is_quoted, has_word = [], "", False, False
    letters = inner.replace('""', '"').replace("''", "\1")
    for letter in letters:
        if letter == "'":
            is_quoted, has_word = not is_quoted, True
        elif letter.isspace() and not is_quoted:
            if has_word:
                words.append(word.replace("\1", "'"))
            word, has_word = "", False
        else:
            word, has_word = word + letter, True
    return [*words, word.replace("\1", "'")] if has_word else words


def _environment(description: dict[str, str]) -> dict[str, str]:
    wanted = description.get("getenv", "False")
    env = login_env()
    if wanted.lower() == "true":
        env = dict(os.environ)
    elif wanted.lower() != "false":
        names = [name.strip() for name in wanted.split(",")]
        env |= {name: os.environ[name] for name in names if name in os.environ}
    for pair in _unquoted(description.get("environment", "")):
        key, is_pair, value = pair.partition("=")
        if not is_pair:
            raise Refused(f"\nERROR: Failed to parse environment: {pair}")
        env[key] = value
    return env


def _limit(description: dict[str, str]) -> float | None:
    for name in ("allowed_execute_duration", "allowed_job_duration"):
        if name in description:
            return float(description[name])
    return None


def _filled(text: str, macros: dict[str, str]) -> str:
    def fill(match: re.Match[str]) -> str:
        return macros.get(match[1].lower(), "")

    return re.sub(r"\$\((\w+)\)", fill, text)


_STATUS = {PENDING: 1, RUNNING: 2}


def condor_q(store: Store, words: list[str]) -> int:
    hold_back(store, "query")
    attributes, ids, letters = _asked(words)
    for job in store.jobs():
        for task in job.tasks:
            if task.state != ENDED and _is_meant(job, task, ids):
                print(_line(store, job, task, attributes, letters))
    return 0


def condor_history(store: Store, words: list[str]) -> int:
    hold_back(store, "query")
    attributes, ids, letters = _asked(words)
    for job in store.jobs():
        for task in job.tasks:
            is_known = task.state == ENDED and not store.settings["forgets"]
            if is_known and _is_meant(job, task, ids):
                print(_line(store, job, task, attributes, letters))
    return 0


def _asked(words: list[str]) -> tuple[list[str], list[str], str]:
    attributes, ids, letters = [], [], ""
    words = list(words)
    while words:
        word = words.pop(0)
        if re.match(r"-(af|autoformat)(:|$)", word):
            letters = word.partition(":")[2]
            while words and not words[0].startswith("-"):
                attributes.append(words.pop(0))
        elif word in ("-nobatch", "-allusers", "-wide"):
            continue
        elif word in ("-limit", "-match"):
            words.pop(0)
        elif re.fullmatch(r"\d+(\.\d+)?", word):
            ids.append(word)
        else:
            raise Refused(f"Error: unrecognized argument {word}")
    return attributes, ids, letters


def _is_meant(job: Job, task: Task, ids: list[str]) -> bool:
    return not ids or str(job.number) in ids or f"{job.number}.{task.index}" in ids


def _line(store: Store, job: Job, task: Task, attributes: list[str], letters: str) -> str:
    is_removed = task.cause == "cancelled"
    status = 3 if is_removed else 4
    found: dict[str, str] = {
        "jobstatus": str(_STATUS.get(task.state, status)),
        "exitbysignal": "true" if task.signal else "false",
        "clusterid": str(job.number),
        "procid": str(task.index),
    }
    if task.state == ENDED and not is_removed:
        found["exitsignal" if task.signal else "exitcode"] = str(task.signal or task.exit_code)
    if task.state == PENDING and store.settings["reason"]:
        found |= {"jobstatus": "5", "holdreason": store.settings["reason"]}
    cells = []
    for name in attributes:
        value = found.get(name.lower(), "undefined")
        is_text = name.lower() == "holdreason" and value != "undefined"
        cells.append(f'"{value}"' if is_text and ("r" in letters or "V" in letters) else value)
    first = [f"{job.number}.{task.index}"] if "j" in letters else []
    return " ".join([*first, *cells])


def condor_rm(store: Store, words: list[str]) -> int:
    code = 0
    for text in (value for name, value in options(words, {"-forcex": False}, "condor_rm")):
        number, _, index = text.partition(".")
        job = store.known(int(number)) if number.isdecimal() else None
        if job is None or job.state == ENDED:
            print(f"Couldn't find/remove all jobs in cluster {text}", file=sys.stderr)
            code = 1
            continue
        store.ask("cancel", job.number, int(index) if index else None)
        noun = f"Job {text}" if index else f"All jobs in cluster {text}"
        print(f"{noun} {'has' if index else 'have'} been marked for removal")
    return code


_PROGRAMS = {
    "condor_submit": condor_submit,
    "condor_q": condor_q,
    "condor_rm": condor_rm,
    "condor_history": condor_history,
}


def run(store: Store, program: str, words: list[str], system: str) -> int:
    return _PROGRAMS[program](store, words) or 0
