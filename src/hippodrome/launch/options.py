"""Options of launchers, as data: what `Cluster`, ``ipcluster start`` and configuration files take.

The same names everywhere: ``Cluster(engines="slurm", time="1h")``, ``--engines=slurm --time=1h``,
``c.SlurmLauncher.time = "1h"``. A launcher names those that it takes in its `OPTIONS`; what it gets
has been read, so that times are seconds and sizes are bytes, and can be written as JSON.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from hippodrome.launch.kinds import AUTO as AUTO
from hippodrome.launch.kinds import (
    COUNT,
    COUNT_OR_AUTO,
    FILES,
    HOSTS,
    SIZE,
    SPAN,
    SWITCH_OR_AUTO,
    TEXT,
    TEXTS,
    VARIABLES,
    WORDS,
)
from hippodrome.launch.kinds import Kind as Kind
from hippodrome.launch.kinds import LaunchOption as LaunchOption
from hippodrome.launch.oldtraits import OLD_TRAITS, SLURM_TRAITS

_CLOSE: Final = 0.6


def read_options(
    launcher: str,
    options: Collection[LaunchOption],
    given: Mapping[str, Any],
    *,
    others: Collection[str] = (),
    whose: str = "Cluster",
) -> dict[str, Any]:
    """Return the values that a launcher gets: what is *given*, read, and the defaults.

    Args:
        launcher: its name.
        options: those that it takes.
        given: by name, here or in ipyparallel.
        others: what else might have been meant by a name that is none.
        whose: who is said not to have it.

    Raises:
        TypeError: it takes no option of a name; names the nearest.
        ValueError: a value is not what its option takes.
    """
    by_name = {name: option for option in options for name in (option.name, *option.old)}
    for name in given:
        if name not in by_name:
            raise TypeError(
                f"{whose} has no option {name!r}{_hint(name, launcher, [*by_name, *others])}"
            )
    found = {option.name: option.default for option in options}
    # under its own name last, which wins over those in ipyparallel
    for name, value in sorted(given.items(), key=lambda one: one[0] == by_name[one[0]].name):
        if value is not None:
            found[by_name[name].name] = read_value(by_name[name], value)
    return {name: value for name, value in found.items() if value is not None}


def read_value(option: LaunchOption, value: Any) -> Any:  # Any: what users write
    """Return *value* as launchers get it.

    Raises:
        ValueError: it is not what the option takes; says what is.
    """
    try:
        return option.kind.read(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{option.name} must be {option.kind.words}, not {value!r:.80}") from error


def launchers_with(name: str) -> list[str]:
    """Return the launchers that take an option."""
    return [
        launcher
        for launcher, options in LAUNCHER_OPTIONS.items()
        if any(name in (option.name, *option.old) for option in options)
    ]


def _hint(name: str, launcher: str, known: Sequence[str]) -> str:
    if near := difflib.get_close_matches(name, known, 1, _CLOSE):
        return f"; did you mean {near[0]!r}?"
    if having := launchers_with(name):
        there = " or ".join(f"engines={one!r}" for one in having[:3])
        return f" with engines={launcher!r}; with {there}{' and others' * (len(having) > 3)}"
    return ""


JOBS: Final = LaunchOption("jobs", COUNT, "How many jobs; each is usable as soon as it starts.")
PER_HOST: Final = LaunchOption(
    "per_host",
    COUNT_OR_AUTO,
    "How many engines on each host; 'auto' for one on each core of a host that is taken whole.",
    default_words="n, shared out over the jobs",
)
NODES: Final = LaunchOption("nodes", COUNT, "How many hosts one job has.", 1)
TIME: Final = LaunchOption(
    "time", SPAN, "How long a job may run.", None, "the queue's own", old=("timelimit",)
)
MEMORY: Final = LaunchOption("memory", SIZE, "How much memory a job gets on each host.")
GPUS: Final = LaunchOption("gpus", COUNT, "How many GPUs a job gets on each host.")
ACCOUNT: Final = LaunchOption("account", TEXT, "Who pays.")
QUEUE: Final = LaunchOption("queue", TEXT, "The queue, which Slurm calls partition.")
PROLOGUE: Final = LaunchOption("prologue", TEXTS, "Lines of bash before engines are started.", [])
EXTRA: Final = LaunchOption("extra", TEXTS, "Further options for the batch system.", [])
SKIP: Final = LaunchOption("skip", TEXTS, "Options that the batch system must not be given.", [])
PYTHON: Final = LaunchOption(
    "python", TEXT, "The Python that runs engines.", None, "the one that starts them"
)
IDLE: Final = LaunchOption("idle", SPAN, "End a job whose engines have had no work for as long.")

BATCH: Final = (
    *(JOBS, PER_HOST, NODES, TIME, MEMORY, GPUS, ACCOUNT, QUEUE),
    *(PROLOGUE, EXTRA, SKIP, PYTHON, IDLE),
)
SLURM: Final = (*BATCH, LaunchOption("qos", TEXT, "The quality of service."), *SLURM_TRAITS)
# Whose jobs have one host each.
ONE_HOST: Final = (*(option for option in BATCH if option is not NODES), *OLD_TRAITS)
SGE: Final = (
    *ONE_HOST,
    LaunchOption(
        "parallel_environment",
        TEXT,
        "The parallel environment of jobs with several engines.",
        default_words="none: a job has one slot, however many engines",
        old=("pe",),
    ),
)

SSH_LOGIN: Final = (
    replace(PYTHON, old=("remote_python",), default_words="the same there, or else python3"),
    PROLOGUE,
    LaunchOption("user", TEXT, "Who logs in there.", None, "as ssh decides"),
    LaunchOption("hostname", TEXT, "The host, where there is one only."),
    LaunchOption("location", TEXT, "The same, as USER@HOST:PORT."),
    LaunchOption("ssh_cmd", WORDS, "The command for ssh.", None, "ssh"),
    LaunchOption("ssh_args", WORDS, "Further arguments for ssh.", []),
    LaunchOption("scp_cmd", WORDS, "The command that copies files.", None, "scp"),
    LaunchOption("scp_args", WORDS, "Further arguments for that.", []),
    LaunchOption("to_send", FILES, "Files to copy there before the start.", []),
    LaunchOption("to_fetch", FILES, "Files to copy from there after the start.", []),
    LaunchOption("remote_profile_dir", TEXT, "The profile there.", None, "its default one"),
    LaunchOption("environment", VARIABLES, "Variables to set there."),
)
SSH: Final = (
    LaunchOption("hosts", HOSTS, "Which hosts, and how many engines on each.", old=("engines",)),
    *SSH_LOGIN,
    LaunchOption("engine_cmd", WORDS, "What runs engines there.", None, "the Python, ipengine"),
    LaunchOption(
        "tunnel",
        SWITCH_OR_AUTO,
        "Whether engines reach the controller through ssh.",
        AUTO,
        "if there is no other way",
    ),
    LaunchOption("at_once", COUNT, "How many logins are made at the same time.", 8),
)
MPI: Final = (
    LaunchOption("mpi_cmd", WORDS, "The words that start ranks.", None, "mpiexec"),
    LaunchOption("mpi_args", WORDS, "Further options for it, after -n.", []),
)

# By launcher: the options that ``ipcluster start`` and configuration files take for it.
LAUNCHER_OPTIONS: Final[Mapping[str, tuple[LaunchOption, ...]]] = {
    "local": (),
    "mpi": MPI,
    "slurm": SLURM,
    "pbs": ONE_HOST,
    "torque": ONE_HOST,
    "sge": SGE,
    "lsf": ONE_HOST,
    "htcondor": tuple(option for option in ONE_HOST if option is not QUEUE),
    "flux": tuple(option for option in ONE_HOST if option is not MEMORY),
    "oar": tuple(option for option in ONE_HOST if option not in (MEMORY, GPUS)),
    "ssh": SSH,
}
# The class under whose name files set the options of controllers that are started by ssh.
SSH_CONTROLLER: Final = "SSHControllerLauncher"
# By launcher: under which class names files may set them; later ones win.
SECTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "mpi": ("MPILauncher", "MPIControllerLauncher", "MPIEngineSetLauncher"),
    "slurm": (
        "BatchSystemLauncher",
        "BatchEngineSetLauncher",
        "SlurmLauncher",
        "SlurmEngineSetLauncher",
    ),
    "pbs": ("BatchSystemLauncher", "BatchEngineSetLauncher", "PBSLauncher", "PBSEngineSetLauncher"),
    "torque": (
        "BatchSystemLauncher",
        "BatchEngineSetLauncher",
        "TorqueLauncher",
        "TorqueEngineSetLauncher",
    ),
    "sge": ("BatchSystemLauncher", "BatchEngineSetLauncher", "SGELauncher", "SGEEngineSetLauncher"),
    "lsf": ("BatchSystemLauncher", "BatchEngineSetLauncher", "LSFLauncher", "LSFEngineSetLauncher"),
    "htcondor": (
        "BatchSystemLauncher",
        "BatchEngineSetLauncher",
        "HTCondorLauncher",
        "HTCondorEngineSetLauncher",
    ),
    "flux": (
        "BatchSystemLauncher",
        "BatchEngineSetLauncher",
        "FluxLauncher",
        "FluxEngineSetLauncher",
    ),
    "oar": ("BatchSystemLauncher", "BatchEngineSetLauncher", "OARLauncher", "OAREngineSetLauncher"),
    "ssh": ("SSHEngineLauncher", "SSHLauncher", "SSHEngineSetLauncher"),
}
