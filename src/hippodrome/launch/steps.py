"""How each batch system starts a program on one more host of a job that runs: a table.

Pure: a host and a command go in, the words of a command line come out. What does not hand the
environment on gets by name what a program needs to be found and to run; nothing else, as command
lines can be read by others.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from hippodrome.launch.allocation import Allocation, Host

SSH: Final = "ssh"
# Of ssh, what lets it ask nobody, and notice a host that is gone.
SSH_OPTIONS: Final = ("-o", "BatchMode=yes", "-o", "ConnectTimeout=20",
                      "-o", "ServerAliveInterval=15")  # fmt: skip

_NEEDED: Final = re.compile(
    r"PATH|LD_LIBRARY_PATH|VIRTUAL_ENV|CONDA_\w+|IPYTHONDIR|PYTHON\w+|LANG|LC_\w+|\w+_NUM_THREADS"
)
# What srun would take for options, meant for the whole job.
_OF_SRUN: Final = re.compile(
    r"SLURM_(NTASKS\w*|NPROCS|TASKS_PER_NODE|CPUS_PER_\w+|TRES_PER_TASK|CPU_BIND\w*|DISTRIBUTION"
    r"|EXCLUSIVE|THREADS_PER_CORE|HINT|MPI_TYPE|KILL_BAD_EXIT|LABELIO|INPUTMODE|STDINMODE)"
)


@dataclass(frozen=True, slots=True)
class StepLauncher:
    """One way to start a program elsewhere.

    Attributes:
        program: what has to be on the PATH.
        words: what goes before the command, for a host of an allocation and its index there.
        carries_environment: whether the program has this process's variables and folder.
        quotes: whether a shell reads the command there, so that it is one quoted word.
    """

    program: str
    words: Callable[[Allocation, int], list[str]]
    carries_environment: bool = False
    quotes: bool = False


def _srun(allocation: Allocation, index: int) -> list[str]:
    host = allocation.hosts[index]
    cores = [f"--cpus-per-task={host.slots}"] if host.slots else []
    return ["--overlap", "--nodes=1", "--ntasks=1", f"--nodelist={host.name}", *cores,
            "--cpu-bind=none", "--mpi=none", "--unbuffered", "--job-name=ipengine"]  # fmt: skip


def _name(allocation: Allocation, index: int) -> list[str]:
    return [allocation.hosts[index].name]


STEP_LAUNCHERS: Final[Mapping[str, tuple[StepLauncher, ...]]] = {
    "slurm": (StepLauncher("srun", _srun, carries_environment=True),),
    "pbs": (
        StepLauncher("pbsdsh", lambda all_, i: ["-n", str(all_.hosts[i].first), "--"]),
        StepLauncher("pbs_tmrsh", _name, quotes=True),
    ),
    "torque": (StepLauncher("pbsdsh", lambda all_, i: ["-h", all_.hosts[i].name]),),
    "lsf": (StepLauncher("blaunch", _name, carries_environment=True),),
    "sge": (
        StepLauncher("qrsh", lambda all_, i: ["-inherit", "-V", all_.hosts[i].name], quotes=False),
    ),
    "flux": (StepLauncher("flux", lambda _, i: ["exec", "-r", str(i)], carries_environment=True),),
    "oar": (StepLauncher("oarsh", _name, quotes=True),),
}
_SSH: Final = StepLauncher(SSH, lambda all_, i: [*SSH_OPTIONS, all_.hosts[i].name], quotes=True)


def step_launcher(system: str, is_there: Callable[[str], bool]) -> StepLauncher | None:
    """Return how programs are started elsewhere; None if there is no way, not even ssh.

    Args:
        system: the batch system.
        is_there: tells whether a program is on the PATH.
    """
    for launcher in (*STEP_LAUNCHERS.get(system, ()), _SSH):
        if is_there(launcher.program):
            return launcher
    return None


def step_command(
    launcher: StepLauncher,
    allocation: Allocation,
    index: int,
    command: Sequence[str],
    environ: Mapping[str, str],
    folder: str,
) -> list[str]:
    """Return the command line that runs *command* on a host of the allocation.

    Args:
        launcher: how.
        allocation: the hosts.
        index: which of them.
        command: what is to run there.
        environ: of which it gets what it needs, where it would not get all.
        folder: where it is to run, if there is such a folder there.
    """
    words = [launcher.program, *launcher.words(allocation, index)]
    if launcher.carries_environment:
        return [*words, *command]
    given = [f"{k}={v}" for k, v in sorted(environ.items()) if _NEEDED.fullmatch(k)]
    script = f"cd {shlex.quote(folder)} 2>/dev/null; exec {shlex.join(['env', *given, *command])}"
    if launcher.quotes:
        return [*words, script]
    return [*words, "/bin/sh", "-c", script]


def step_environment(system: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment in which a step is started."""
    if system != "slurm":
        return dict(environ)
    return {name: value for name, value in environ.items() if not _OF_SRUN.fullmatch(name)}


def named(host: Host) -> str:
    """Return the name of a host, as part of a file's."""
    return re.sub(r"[^\w.-]", "_", host.name)[:100]
