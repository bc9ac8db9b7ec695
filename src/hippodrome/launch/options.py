"""Options of launchers, as data: what `Cluster`, ``ipcluster start`` and configuration files take.

The same names everywhere: ``Cluster(engines="slurm", time="1h")``, ``--engines=slurm --time=1h``,
``c.SlurmLauncher.time = "1h"``. A launcher names those that it takes in its `OPTIONS`; what it gets
has been read, so that times are seconds and sizes are bytes, and can be written as JSON.
"""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final

AUTO: Final = "auto"

_UNITS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_UNITS_BYTES: Final = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_CLOSE: Final = 0.6


@dataclass(frozen=True, slots=True)
class Kind:
    """What an option takes.

    Attributes:
        words: as in ``must be ...``.
        read: returns the value that launchers get; raises ValueError or TypeError.
        placeholder: what stands for a value in help texts.
        is_list: whether an option that is given several times collects.
    """

    words: str
    read: Callable[[Any], Any]  # Any: what users write
    placeholder: str = "VALUE"
    is_list: bool = False


@dataclass(frozen=True, slots=True)
class LaunchOption:
    """One option.

    Attributes:
        name: what it is called in Python and, with dashes, on the command line.
        kind: what it takes.
        help: what it means, in a sentence.
        default: what holds without it; None for what the launcher decides.
        default_words: that in words, where the value does not say it.
        old: what ipyparallel's launchers call it, where they call it something else.
    """

    name: str
    kind: Kind
    help: str
    default: Any = None  # Any: as read
    default_words: str = ""
    old: tuple[str, ...] = ()


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


def _text(value: Any) -> str:
    if not isinstance(value, str | int) or isinstance(value, bool) or "\n" in str(value):
        raise ValueError
    return str(value)


def _count(value: Any) -> int:
    number = int(value)
    if number < 1 or isinstance(value, bool) or number != float(value):
        raise ValueError
    return number


def _count_or_auto(value: Any) -> int | str:
    return AUTO if value == AUTO else _count(value)


def _switch(value: Any) -> bool:
    if str(value).lower() not in ("true", "false", "1", "0"):
        raise ValueError
    return str(value).lower() in ("true", "1")


def _texts(value: Any) -> list[str]:
    given = [value] if isinstance(value, str) else list(value)
    if not all(isinstance(each, str) for each in given):
        raise ValueError
    return given


def _words(value: Any) -> list[str]:
    return _texts(shlex.split(value) if isinstance(value, str) else value)


def _hosts(value: Any) -> dict[str, dict[str, Any]]:
    from hippodrome.launch.hostnames import read_hosts  # which few need

    return read_hosts(value)


def _files(value: Any) -> list[list[str]]:
    """Return pairs of paths, of which one may be written ``"a:b"``."""
    given = value.split(",") if isinstance(value, str) else list(value)
    pairs = [one.split(":", 1) if isinstance(one, str) else list(one) for one in given]
    if not all(len(pair) == 2 and all(isinstance(each, str) for each in pair) for pair in pairs):
        raise ValueError
    return pairs


def _variables(value: Any) -> dict[str, str]:
    given = value if isinstance(value, Mapping) else dict(p.split("=", 1) for p in value.split(","))
    if not all(str(name).isidentifier() for name in given):
        raise ValueError
    return {str(name): str(each) for name, each in given.items()}


def _switch_or_auto(value: Any) -> bool | str:
    return AUTO if value == AUTO else _switch(value)


def _span(value: Any) -> int:
    """Return the seconds of ``90``, ``"1h"``, ``"1h30m"``, ``"1:30:00"``, ``"2-12:00:00"``."""
    if isinstance(value, timedelta):
        value = value.total_seconds()
    text = str(value).strip().lower()
    if match := re.fullmatch(r"(?:(\d+)-)?(\d+):(\d+)(?::(\d+))?", text):
        days, *clock = (int(part or 0) for part in match.groups())
        # two numbers are minutes and seconds, and hours and minutes after days
        if match[4] is None and match[1] is None:
            clock = [0, clock[0], clock[1]]
        seconds: float = days * 86400 + clock[0] * 3600 + clock[1] * 60 + clock[2]
    elif parts := re.findall(r"(\d+(?:\.\d+)?)\s*([smhdw])[a-z]*", text):
        if re.sub(r"(\d+(?:\.\d+)?)\s*([smhdw])[a-z]*", "", text).strip(" ,"):
            raise ValueError
        seconds = sum(float(number) * _UNITS_S[unit] for number, unit in parts)
    else:
        seconds = float(text)
    if not 1 <= seconds < 1e9:
        raise ValueError
    return round(seconds)


def _size(value: Any) -> int:
    """Return the bytes of ``16_000_000_000``, ``"16G"``, ``"512 MiB"``."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:I?B)?", str(value).strip().upper())
    if match is None or isinstance(value, bool):
        raise ValueError
    size = float(match[1]) * _UNITS_BYTES[match[2]]
    if not 1 <= size < 1e18:
        raise ValueError
    return round(size)


TEXT: Final = Kind("a text of one line", _text, "TEXT")
TEXTS: Final = Kind("a list of texts, such as ['a', 'b']", _texts, "TEXT", is_list=True)
COUNT: Final = Kind("a whole number of at least 1", _count, "N")
COUNT_OR_AUTO: Final = Kind("a whole number of at least 1, or 'auto'", _count_or_auto, "N|auto")
SWITCH: Final = Kind("True or False", _switch, "True|False")
SPAN: Final = Kind("a time such as 90 (seconds), '45m', '1h' or '1:30:00'", _span, "TIME")
SIZE: Final = Kind("a size such as '16G' or '512M', in bytes without a unit", _size, "SIZE")

SWITCH_OR_AUTO: Final = Kind("True, False or 'auto'", _switch_or_auto, "True|False|auto")
WORDS: Final = Kind("a command and its arguments", _words, "WORD", is_list=True)
FILES: Final = Kind("a list of pairs of paths, such as [('a', 'b')]", _files, "FROM:TO")
VARIABLES: Final = Kind("a dictionary of variables", _variables, "NAME=VALUE")
HOSTS: Final = Kind(
    "hosts, such as {'gpu01': 4, 'me@gpu02:2222': 'auto'}, 'gpu01=4,gpu02' or a file of them",
    _hosts,
    "HOST=N",
)

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
SLURM: Final = (*BATCH, LaunchOption("qos", TEXT, "The quality of service."))
# Whose jobs have one host each.
ONE_HOST: Final = tuple(option for option in BATCH if option is not NODES)
SGE: Final = (
    *ONE_HOST,
    LaunchOption(
        "parallel_environment",
        TEXT,
        "The parallel environment of jobs with several engines.",
        default_words="the first whose slots are on one host",
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

# By launcher: the options that ``ipcluster start`` and configuration files take for it.
LAUNCHER_OPTIONS: Final[Mapping[str, tuple[LaunchOption, ...]]] = {
    "local": (),
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
# By launcher: under which class names files may set them; later ones win.
SECTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "slurm": ("BatchSystemLauncher", "SlurmLauncher", "SlurmEngineSetLauncher"),
    "pbs": ("BatchSystemLauncher", "PBSLauncher", "PBSEngineSetLauncher"),
    "torque": ("BatchSystemLauncher", "TorqueLauncher", "TorqueEngineSetLauncher"),
    "sge": ("BatchSystemLauncher", "SGELauncher", "SGEEngineSetLauncher"),
    "lsf": ("BatchSystemLauncher", "LSFLauncher", "LSFEngineSetLauncher"),
    "htcondor": ("BatchSystemLauncher", "HTCondorLauncher", "HTCondorEngineSetLauncher"),
    "flux": ("BatchSystemLauncher", "FluxLauncher", "FluxEngineSetLauncher"),
    "oar": ("BatchSystemLauncher", "OARLauncher", "OAREngineSetLauncher"),
    "ssh": ("SSHEngineLauncher", "SSHLauncher", "SSHEngineSetLauncher"),
}
