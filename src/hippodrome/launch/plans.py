"""What the jobs of an order are: how many, how large, what they run, and the files of each."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from hippodrome.errors import LaunchError
from hippodrome.launch import ownscripts as own
from hippodrome.launch.base import LaunchOrder
from hippodrome.launch.batchsystem import BatchSystem
from hippodrome.launch.oldtraits import has_template
from hippodrome.launch.options import AUTO
from hippodrome.launch.script import JobPlan, description_text, script_text

_PROGRAM: Final = "hippodrome.apps.ipengine"
# What a person's set-up consists of; no other variables, as a script is no place for secrets.
_SETUP: Final = (
    *("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "CONDA_PREFIX", "IPYTHONDIR"),
    *("LANG", "LC_ALL", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"),
)


def shares(n: int, options: Mapping[str, Any]) -> tuple[int, int | str]:
    """Return how many jobs there are, and how many engines each has on each of its hosts.

    Args:
        n: how many engines are wanted; 0 if nobody has said.
        options: as read.

    Raises:
        LaunchError: these numbers do not fit.
    """
    nodes, jobs, per_host = (options.get(key) for key in ("nodes", "jobs", "per_host"))
    nodes = nodes or 1
    if not n:
        return jobs or 1, per_host or AUTO
    if per_host == AUTO:
        raise LaunchError("n and per_host='auto' exclude each other: say jobs, and leave out n")
    if per_host is None:
        hosts = (jobs or 1) * nodes
        per_host = -(-n // hosts)
    each = int(per_host) * nodes
    if (jobs is not None and jobs * each != n) or n % each:
        raise LaunchError(
            f"{n} engines cannot be shared out evenly: a job has {each} of them; say n, or jobs "
            "and per_host"
        )
    return n // each, per_host


def parts(options: Mapping[str, Any], per_host: int | str) -> int:
    """Return how many programs tell of the engines of one job."""
    if not has_template(options):
        return int(options.get("nodes", 1))
    return int(per_host) // own.engines_each(options, int(per_host))


def job_plan(
    system: BatchSystem, order: LaunchOrder, index: int, folder: Path, per_host: int | str
) -> JobPlan:
    """Return one job of an order.

    Args:
        system: which takes it.
        order: what is to be started.
        index: which job, from 0.
        folder: where its files are.
        per_host: as `shares` returns it.
    """
    name = "-".join(part for part in ("ipp", order.cluster_id, order.engine_set) if part)
    options = order.options
    command = [
        options.get("python", sys.executable),
        "-P",  # a file of the user's called queue.py must not be taken for Python's own
        "-m",
        _PROGRAM,
        f"--profile-dir={order.profile_dir}",
        f"--cluster-id={order.cluster_id}",
        f"--timeout={order.wait_s:g}",
        *order.arguments,
        *options.get("engine_args", ()),
    ]
    if program := options.get("engine_cmd"):
        command[:4] = [word.replace("ipyparallel.engine", _PROGRAM) for word in program]
    return JobPlan(
        f"{name}-{index}",
        folder,
        index,
        command,
        per_host,
        options,
        os.getcwd(),
        {**(_setup() if system.has_own_environment else {}), **options.get("environment", {})},
        order.profile_dir,
        order.cluster_id,
    )


def _setup() -> dict[str, str]:
    return {name: os.environ[name] for name in _SETUP if name in os.environ}


def texts(system: BatchSystem, plan: JobPlan) -> dict[Path, str]:
    """Return the files of a job, what is submitted first.

    Raises:
        LaunchError: the user's template cannot be filled.
    """
    if has_template(plan.options):
        n = int(plan.per_host)
        submitted = plan.description if system.description else plan.script
        wrapper = own.wrapper_text(plan, own.engines_each(plan.options, n))
        return {submitted: own.own_script(system, plan, n), plan.wrapper: wrapper}
    if system.description:
        return {
            plan.description: description_text(system, plan),
            plan.script: script_text(system, plan),
        }
    return {plan.script: script_text(system, plan)}


def submission(system: BatchSystem, command: Sequence[str], plan: JobPlan) -> tuple[str, str]:
    """Return the command that submits a job, as it is typed, and what it submits."""
    path, text = next(iter(texts(system, plan).items()))
    typed = " ".join(command)
    return (f"{typed} < {path}" if system.reads_stdin else typed), text


def write(system: BatchSystem, plan: JobPlan) -> None:
    """Write the files of a job."""
    for path, text in texts(system, plan).items():
        path.write_text(text, encoding="utf-8")
        path.chmod(0o700)
