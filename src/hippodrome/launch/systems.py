"""Batch systems, as a table: how each is asked for jobs, asked about them, and told to end them.

A new system is one more entry of `SYSTEMS`, its options in `hippodrome.launch.options`, a class of
two lines beside `hippodrome.launch.batch.SlurmEngineSetLauncher`, and a line in
`hippodrome.launch.find`. `BatchSystem` says what each field means. To write an entry:

1. `submit` is run with the script's path at its end, or with the script on stdin if
   `reads_stdin`. `job_id` finds the id in what it prints.
2. `directives` are lines of the script, each with the option for which it is there; it is left out
   where that option is not set, or where a user's ``skip`` names the flag that it begins with. Its
   template may use the names that `hippodrome.launch.script.values` makes: ``{name}``,
   ``{output}``, ``{nodes}``, ``{cores}``, ``{seconds}``, ``{clock}``, ``{megabytes}`` ...
3. `query` is one command for all jobs: ``{ids}`` becomes their ids, joined by `between_ids`, or
   one word for each where that is a space. `parse` turns its output into a `Report` for each id;
   what it does not tell of has left the queue. Lines that it cannot read are to be left out: a
   `ValueError` means that the whole answer is of no use.
4. What a job sees is in shell words: `rank`, `end_time`. How many cores it has is what
   `hippodrome.launch.allocation` finds.

What ends a job must let its processes know by SIGTERM where the system can do that: supervisors
then leave in order.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from hippodrome.launch.state import LaunchPhase


@dataclass(frozen=True, slots=True)
class Report:
    """What a batch system says of one job.

    Attributes:
        phase: how far it is.
        reason: the system's own word for why: of what is pending, and of what has ended.
        end: when its time is up, in seconds since the epoch; None if nobody knows.
        exit_code: with which it ended; None if nobody knows.
        hosts: where it runs, as the system writes it.
    """

    phase: LaunchPhase
    reason: str = ""
    end: float | None = None
    exit_code: int | None = None
    hosts: str = ""


Reports = dict[str, Report]


@dataclass(frozen=True, slots=True)
class BatchSystem:
    """One batch system.

    Attributes:
        title: what people call it.
        submit: the command that takes a script.
        job_id: group 1 of its first match in what *submit* prints is the job's id.
        query: the command that tells of jobs.
        parse: returns what its output says, by id.
        cancel: the command that ends jobs; their ids come last.
        signal: the command that delivers a signal, as ``{signal}``; empty if there is none.
        directive: how a line for the system begins in a script.
        directives: the option for which a line is there, empty for always; and the line.
        rank: which of the job's hosts this is, from 0, as a word of the shell.
        end_time: when the job's time is up, in seconds since the epoch, likewise; may be empty.
        each_host: the command that runs another once on each host of a job of several.
        reads_stdin: whether *submit* reads the script and takes no path.
        between_ids: what joins ids in *query*.
        gone: what *query* writes to stderr, and fails, when it knows none of the jobs any more.
        hopeless: reasons for which a job that waits will never run.
        busy: what any command writes to stderr that fails and may work later.
    """

    title: str
    submit: tuple[str, ...]
    job_id: re.Pattern[str]
    query: tuple[str, ...]
    parse: Callable[[str], Reports]
    cancel: tuple[str, ...]
    signal: tuple[str, ...]
    directive: str
    directives: tuple[tuple[str, str], ...]
    rank: str
    end_time: str = ""
    each_host: str = ""
    reads_stdin: bool = False
    between_ids: str = ","
    gone: re.Pattern[str] = re.compile(r"(?!)")
    hopeless: re.Pattern[str] = re.compile(r"(?!)")
    busy: re.Pattern[str] = re.compile(
        r"unable to contact|timed out|time-?out|temporar|try again|connection (refused|reset)"
        r"|cannot connect|can't connect|communication failure",
        re.IGNORECASE,
    )


_SLURM_PENDING: Final = frozenset(
    {"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT"}
)
_SLURM_RUNNING: Final = frozenset(
    {"RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT", "RESIZING"}
)
_SLURM_ENDED: Final = frozenset(
    {"COMPLETED", "CANCELLED", "FAILED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED"}
    | {"BOOT_FAIL", "DEADLINE", "REVOKED"}
)


def parse_slurm(text: str) -> Reports:
    """Return what ``squeue -o '%i|%T|%r|%e|%N'`` says."""
    found = {}
    for line in text.splitlines():
        fields = line.strip().split("|")
        if len(fields) != 5 or not fields[0][:1].isdecimal():
            continue
        job, state, reason, end, hosts = fields
        if state in _SLURM_PENDING:
            found[job] = Report(LaunchPhase.PENDING, reason)
        elif state in _SLURM_RUNNING:
            found[job] = Report(LaunchPhase.RUNNING, "", clock_time(end), hosts=hosts)
        elif state in _SLURM_ENDED:
            found[job] = Report(LaunchPhase.ENDED, state, hosts=hosts)
        else:
            found[job] = Report(LaunchPhase.UNKNOWN, state)
    if text.strip() and not found:
        raise ValueError(text[:200])
    return found


def clock_time(text: str) -> float | None:
    """Return the seconds since the epoch of ``2026-05-01T12:00:00``, of here; None if it is not."""
    from datetime import datetime

    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        return None


SYSTEMS: Final[Mapping[str, BatchSystem]] = {
    "slurm": BatchSystem(
        title="Slurm",
        submit=("sbatch", "--parsable"),
        job_id=re.compile(r"^(\d+)(?:;|$)", re.MULTILINE),
        query=("squeue", "-h", "-t", "all", "-o", "%i|%T|%r|%e|%N", "-j", "{ids}"),
        parse=parse_slurm,
        gone=re.compile(r"Invalid job id"),
        hopeless=re.compile(
            r"Partition(Time|Node)Limit|Invalid(Account|QOS)|AccountNotAllowed|QOSNotAllowed"
            r"|BadConstraints|DependencyNeverSatisfied|.*Max(Wall|Node|Cpu|Mem)\w*PerJob\w*"
        ),
        cancel=("scancel",),
        signal=("scancel", "--full", "--signal={signal}"),
        directive="#SBATCH ",
        directives=(
            ("", "--job-name={name}"),
            ("", "--output={output}"),
            ("", "--nodes={nodes}"),
            ("", "--ntasks-per-node=1"),
            ("cores", "--cpus-per-task={cores}"),
            ("whole", "--exclusive"),
            ("time", "--time={clock}"),
            ("memory", "--mem={megabytes}M"),
            ("gpus", "--gpus-per-node={gpus}"),
            ("account", "--account={account}"),
            ("queue", "--partition={queue}"),
            ("qos", "--qos={qos}"),
        ),
        rank="${SLURM_PROCID:-0}",
        end_time="$SLURM_JOB_END_TIME",
        each_host="srun --ntasks-per-node=1 --kill-on-bad-exit=0 --export=ALL",
    ),
}
