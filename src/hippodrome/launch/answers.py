"""What batch systems answer when they are asked about jobs. Pure: their text in, reports out.

A line that cannot be read is left out, as one job's odd name must not hide the others; an answer
of which nothing can be read is a `ValueError`. What an answer does not tell of has left the queue.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from hippodrome.launch.batchsystem import Report, Reports
from hippodrome.launch.state import LaunchPhase

_PENDING, _RUNNING, _ENDED = LaunchPhase.PENDING, LaunchPhase.RUNNING, LaunchPhase.ENDED

_SLURM_JOB: Final = re.compile(r"\d+[\w+\[\],%-]*\|[A-Z_]+")
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
_PBS_PHASES: Final[Mapping[str, LaunchPhase]] = {
    **dict.fromkeys("QHTWM", _PENDING),
    **dict.fromkeys("RBESU", _RUNNING),
    **dict.fromkeys("FXC", _ENDED),
}
_LSF_PHASES: Final[Mapping[str, LaunchPhase]] = {
    **dict.fromkeys(("PEND", "PSUSP", "WAIT", "PROV"), _PENDING),
    **dict.fromkeys(("RUN", "USUSP", "SSUSP", "UNKWN"), _RUNNING),
    **dict.fromkeys(("DONE", "EXIT", "ZOMBI"), _ENDED),
}
_FLUX_PHASES: Final[Mapping[str, LaunchPhase]] = {
    **dict.fromkeys(("NEW", "DEPEND", "PRIORITY", "SCHED"), _PENDING),
    **dict.fromkeys(("RUN", "CLEANUP"), _RUNNING),
    "INACTIVE": _ENDED,
}
_OAR_PHASES: Final[Mapping[str, LaunchPhase]] = {
    **dict.fromkeys(("Waiting", "Hold", "toLaunch", "toAckReservation", "Launching"), _PENDING),
    **dict.fromkeys(("Running", "Finishing", "Suspended", "Resuming"), _RUNNING),
    **dict.fromkeys(("Terminated", "Error", "toError"), _ENDED),
}
_CONDOR_PHASES: Final[Mapping[str, LaunchPhase]] = {
    **dict.fromkeys("15", _PENDING),  # 5 is held: whoever mends it releases it
    **dict.fromkeys("267", _RUNNING),
    **dict.fromkeys("34", _ENDED),
}
LSF_FIELDS: Final = "jobid stat exit_code exec_host exit_reason pend_reason"
FLUX_FIELDS: Final = "{id}|{state}|{result}|{expiration}|{returncode}|{nodelist}"
CONDOR_FIELDS: Final = ("JobStatus", "ExitCode", "RemoteHost", "HoldReason")
_SIGNALS_FROM: Final = 128  # above that, an exit code is a signal's
_DAY: Final = "%a %b %d %H:%M:%S %Y"


def parse_slurm(text: str) -> Reports:
    """Return what ``squeue -o '%i|%T|%r|%e|%N'`` says."""
    found = {}
    for line in text.splitlines():
        fields = line.strip().split("|")
        if len(fields) != 5 or not _SLURM_JOB.fullmatch("|".join(fields[:2])):
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


def parse_pbs(text: str) -> Reports:
    """Return what ``qstat -x -f -F json`` of OpenPBS and PBS Pro says.

    Values of the jobs' environments are in it as they are, and make it no JSON at times; then only
    what is needed is looked for.
    """
    try:
        jobs = json.loads(text).get("Jobs", {})
    except ValueError:
        jobs = _pbs_by_lines(text)
    return {name: _pbs_report(job) for name, job in jobs.items() if _phase(_PBS_PHASES, job)}


def _pbs_by_lines(text: str) -> dict[str, dict[str, Any]]:
    jobs: dict[str, dict[str, Any]] = {}
    job: dict[str, Any] = {}
    for line in text.splitlines():
        if match := re.match(r'\s*"(\d[\w.\[\]-]*)"\s*:\s*\{\s*$', line):
            job = jobs.setdefault(match[1], {})
        elif match := re.match(
            r'\s*"(job_state|comment|Exit_status|exec_host|stime|walltime)"\s*:\s*"?(.*?)"?,?\s*$',
            line,
        ):
            job.setdefault(match[1], match[2])
    if not jobs:
        raise ValueError(text[:200])
    return jobs


def _pbs_report(job: Mapping[str, Any]) -> Report:
    phase = _PBS_PHASES[str(job["job_state"])]
    limits = job.get("Resource_List")
    walltime = limits.get("walltime") if isinstance(limits, dict) else job.get("walltime")
    code = job.get("Exit_status", job.get("exit_status"))
    exit_code = as_number(code) if phase is _ENDED else None
    reason = str(job.get("comment", "")) if phase is not _RUNNING else ""
    if job["job_state"] == "H":
        reason = f"held: {reason}" if reason else "held"
    if phase is _ENDED:
        reason = _PBS_CODES.get(exit_code if exit_code is not None else 0, "")
        if exit_code is not None and exit_code > 256:
            exit_code = _SIGNALS_FROM + exit_code - 256
    return Report(
        phase, reason, _sum(_day(job.get("stime")), _clock(walltime)), exit_code, _hosts(job)
    )


# What PBS itself ends a job for.
_PBS_CODES: Final[Mapping[int, str]] = {
    -3: "the job could not be started",
    -11: "its time was up",
    -29: "its time was up",
    271: "cancelled",
    265: "killed",
}


def _hosts(job: Mapping[str, Any]) -> str:
    """Return the hosts of ``gpu01/0*4+gpu02/0*4``."""
    names = [part.partition("/")[0] for part in str(job.get("exec_host") or "").split("+")]
    return ",".join(dict.fromkeys(filter(None, names)))


def parse_torque(text: str) -> Reports:
    """Return what ``qstat -f -x`` of Torque says."""
    jobs = {}
    for element in _xml(text).iter("Job"):
        job: dict[str, Any] = {child.tag: (child.text or "") for child in element}
        limits = element.find("Resource_List")
        job["Resource_List"] = {child.tag: child.text for child in limits or ()}
        jobs[str(job.get("Job_Id", ""))] = job
    return {name: _pbs_report(job) for name, job in jobs.items() if _phase(_PBS_PHASES, job)}


def parse_sge(text: str) -> Reports:
    """Return what ``qstat -xml`` of Grid Engine says."""
    found: Reports = {}
    for job in _xml(text).iter("job_list"):
        fields = {child.tag: (child.text or "").strip() for child in job}
        state, number = fields.get("state", ""), fields.get("JB_job_number", "")
        if not state or not number:
            continue
        is_waiting = "q" in state
        reason = {"Eqw": "the job cannot be started", "hqw": "held"}.get(state, state)
        host = fields.get("queue_name", "").rpartition("@")[2]
        phase = _PENDING if is_waiting else _RUNNING
        _add(found, number, Report(phase, reason if is_waiting else "", hosts=host))
    return found


def parse_sge_past(text: str) -> Reports:
    """Return what ``qacct -j`` of Grid Engine says of one job."""
    fields = dict(re.findall(r"^(\w+) +(\S.*?) *$", text, re.MULTILINE))
    code = as_number(str(fields.get("exit_status", "")).partition(" ")[0])
    failed = str(fields.get("failed", "0"))
    why = failed.partition(" : ")[2] if not failed.startswith("0") else ""
    report = Report(_ENDED, _SGE_WHY.get(why.strip(), why.strip()), exit_code=code)
    return {str(fields["jobnumber"]): report}


_SGE_WHY: Final[Mapping[str, str]] = {"assumedly after job": "killed"}


def parse_lsf(text: str) -> Reports:
    """Return what ``bjobs`` says, of which `LSF_FIELDS` were asked."""
    found: Reports = {}
    for line in text.splitlines():
        fields = [field.strip() for field in line.split("|", 5)]
        if len(fields) != 6 or fields[1] not in _LSF_PHASES:
            continue
        job, state, code, host, ended_why, waits_why = ("" if f == "-" else f for f in fields)
        phase = _LSF_PHASES[state]
        reason = {_PENDING: waits_why.rstrip("; "), _ENDED: ended_why}.get(phase, "")
        exit_code = 0 if state == "DONE" else as_number(code)
        hosts = ",".join(dict.fromkeys(part.rpartition("*")[2] for part in host.split(":")))
        code_then = exit_code if phase is _ENDED else None
        _add(found, job, Report(phase, reason, None, code_then, hosts))
    return _unless_unread(found, text)


def parse_htcondor(text: str) -> Reports:
    """Return what ``condor_q -af:jr JobStatus ExitCode RemoteHost HoldReason`` says."""
    found = {}
    for line in text.splitlines():
        match = re.match(r"\s*(\d+\.\d+)(?:\s*=)?\s+(\d)\s+(\S+)\s+(\S+)\s*(.*)", line)
        if match is None or match[2] not in _CONDOR_PHASES:
            continue
        phase, why = _CONDOR_PHASES[match[2]], match[5].strip().strip('"')
        reason = "" if why == "undefined" else why
        if match[2] == "5":
            reason = f"held: {reason}" if reason else "held"
        elif match[2] in "13":
            reason = "idle" if match[2] == "1" else "removed"
        host = match[4].strip('"').rpartition("@")[2]
        hosts = "" if host == "undefined" else host
        found[match[1]] = Report(phase, reason, None, as_number(match[3]), hosts)
    return _unless_unread(found, text)


def parse_flux(text: str) -> Reports:
    """Return what ``flux jobs`` says, of which `FLUX_FIELDS` were asked."""
    found = {}
    for line in text.splitlines():
        fields = [field.strip() for field in line.split("|")]
        if len(fields) != 6 or fields[1] not in _FLUX_PHASES:
            continue
        job, state, result, end, code, hosts = fields
        phase = _FLUX_PHASES[state]
        reason = result.lower() if result not in ("", "COMPLETED", "FAILED") else ""
        reason = state if phase is _PENDING else reason
        found[job] = Report(
            phase, reason, _float(end) or None, as_number(code) if phase is _ENDED else None, hosts
        )
    return _unless_unread(found, text)


def parse_oar(text: str) -> Reports:
    """Return what ``oarstat -J`` says."""
    jobs = json.loads(text or "{}").items()
    return {name: _oar_report(job) for name, job in jobs if _is_oar_job(job)}


def _is_oar_job(job: object) -> bool:
    return isinstance(job, dict) and job.get("state") in _OAR_PHASES


def _oar_report(job: Mapping[str, Any]) -> Report:
    phase = _OAR_PHASES[job["state"]]
    reason, exit_code, code = "", None, job.get("exit_code")
    if phase is _PENDING:
        reason = str(job.get("message") or "")
    elif phase is _ENDED:
        events = [one for one in job.get("events") or () if isinstance(one, dict)]
        reason = ", ".join(str(one.get("type")) for one in events)
        if isinstance(code, int):  # as of wait: a signal's is below the other's
            exit_code = code >> 8 if code >> 8 else _SIGNALS_FROM * bool(code) + code
    start = _float(job.get("startTime"))
    end = _sum(start, _float(job.get("walltime"))) if start else None
    hosts = ",".join(map(str, job.get("assigned_network_address") or ()))
    return Report(phase, reason, end, exit_code, hosts)


def _phase(phases: Mapping[str, LaunchPhase], job: object) -> LaunchPhase | None:
    return phases.get(str(job.get("job_state"))) if isinstance(job, Mapping) else None


def of_jobs(ids: Iterable[str], reports: Reports) -> Reports:
    """Return the reports of jobs by *ids*: of an array, what the most alive of its tasks is."""
    found = {}
    for job in ids:
        tasks = [reports[job]] if job in reports else []
        if not tasks and (number := _NUMBER.match(job)):
            own = re.compile(rf"{number[0]}(?:[._\[].*)?")
            tasks = [report for name, report in reports.items() if own.fullmatch(name)]
        if tasks:
            found[job] = max(tasks, key=_liveliness)
    return found


_NUMBER: Final = re.compile(r"\d+")


def _liveliness(report: Report) -> int:
    order = (_ENDED, LaunchPhase.UNKNOWN, _PENDING, _RUNNING)
    return order.index(report.phase) if report.phase in order else -1


def _add(found: Reports, job: str, report: Report) -> None:
    """Note what is said of a task of an array, of which only one is kept."""
    if job not in found or _liveliness(report) > _liveliness(found[job]):
        found[job] = report


def _unless_unread(found: Reports, text: str) -> Reports:
    if text.strip() and not found:
        raise ValueError(text[:200])
    return found


def _xml(text: str) -> Any:  # Any: an element of a tree
    from xml.etree import ElementTree

    if not text.strip():
        return ElementTree.Element("nothing")
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise ValueError("an answer with entities of its own")
    try:
        return ElementTree.fromstring(text)  # noqa: S314 - it has no entities
    except ElementTree.ParseError as error:
        raise ValueError(text[:200]) from error


def as_number(value: object) -> int | None:
    try:
        return int(str(value))
    except ValueError:
        return None


def _float(value: object) -> float | None:
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if 0 <= number < 1e12 else None


def _sum(start: float | None, span: float | None) -> float | None:
    return None if start is None or span is None else start + span


def clock_time(text: str) -> float | None:
    """Return the seconds since the epoch of ``2026-05-01T12:00:00``, of here; None if it is not."""
    from datetime import datetime

    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        return None


def _day(value: object) -> float | None:
    """Return the seconds since the epoch of ``Mon Nov 30 12:00:00 2026``, or of such a number."""
    from datetime import datetime

    if (seconds := _float(value)) is not None:
        return seconds
    try:
        return datetime.strptime(str(value), _DAY).timestamp()
    except (ValueError, OverflowError):
        return None


def _clock(value: object) -> float | None:
    """Return the seconds of ``01:30:00``, or of a number of them."""
    parts = str(value).split(":")
    if not all(part.isdecimal() for part in parts) or len(parts) > 4:
        return None
    units = (86400, 3600, 60, 1)[-len(parts) :]
    return float(sum(int(part) * unit for part, unit in zip(parts, units, strict=True)))
