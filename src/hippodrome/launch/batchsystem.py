"""What is known of a batch system, and what it says of a job, in words that fit all of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

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
        job_id: group *id_group* of its first match in what *submit* prints is the job's id.
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
        description: the last lines of a file that is submitted in place of the script, and has the
            directives; empty if the script has them.
        past: the command that tells of a job that has left the queue; empty if *query* does.
        parse_past: returns what its output says, likewise.
        without_past: what is asked in place of *query* where that fails with what *no_past* finds
            in stderr, as the system is not made to remember.
        no_past: see there.
        has_own_environment: whether jobs have none of the variables of whoever submits them, so
            that the script has to set them.
        gone: what *query* writes to stderr, and fails, when it does not know all of the jobs.
        id_group: see *job_id*.
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
    description: tuple[str, ...] = ()
    past: tuple[str, ...] = ()
    parse_past: Callable[[str], Reports] | None = None
    without_past: tuple[str, ...] = ()
    no_past: re.Pattern[str] = re.compile(r"(?!)")
    has_own_environment: bool = False
    gone: re.Pattern[str] = re.compile(r"(?!)")
    id_group: int = 1
    hopeless: re.Pattern[str] = re.compile(r"(?!)")
    busy: re.Pattern[str] = re.compile(
        r"unable to contact|timed out|time-?out|temporar|try again|connection (refused|reset)"
        r"|cannot connect|can't connect|communication failure",
        re.IGNORECASE,
    )
