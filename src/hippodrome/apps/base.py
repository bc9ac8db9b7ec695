"""Options, configuration files, logging and exit codes that the programs share.

traitlets ends here: a program turns its traits into one of the frozen configurations below it.
Whatever a user can put right is one sentence on stderr and an exit code, never a traceback.
"""

from __future__ import annotations

import logging
import math
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, TypeAlias

from traitlets import Bool, Float, Int, TraitType, Unicode
from traitlets.config import Config, Configurable

from hippodrome import paths
from hippodrome._version import __version__
from hippodrome.apps.commandline import CommandLine, FlagOption, Syntax, known_only, parse
from hippodrome.apps.configfiles import CONFIG_SUFFIXES, read_config_file
from hippodrome.apps.exitcodes import FAILED, INTERRUPTED, OK, USAGE
from hippodrome.apps.oldnames import with_own_names
from hippodrome.apps.places import change_to, check_cluster_id, check_folders
from hippodrome.apps.settings import Setting, UsageError, check_values, folded
from hippodrome.apps.streams import complain, guarded, start_logging

_LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_LEVELS_IN_WORDS: Final[Mapping[str, str]] = {
    "DEBUG": "all there is to say; 10",
    "INFO": "what starts, joins, leaves and ends; 20",
    "WARNING": "what may be wrong; 30, also WARN",
    "ERROR": "what is wrong; 40",
    "CRITICAL": "what ends a program; 50, also FATAL",
}
_OTHER_LEVELS: Final = {"WARN": "WARNING", "FATAL": "CRITICAL"}


# The types of traits, as annotations, so that no checker has to guess them.
Text: TypeAlias = Unicode[str, str | bytes]
Number: TypeAlias = Int[int, int]
Switch: TypeAlias = Bool[bool, bool | int]


class Duration(Float[float, float | int]):
    """A time span: a number that is one, and ends."""

    def validate(self, obj: Any, value: Any) -> float:
        number: float = super().validate(obj, value)
        if not math.isfinite(number):
            self.error(obj, value)
        return number


class Listed(Unicode[str, Any]):
    """Several texts as one, with commas; an option that is given again adds to what it was."""

    info_text = "a text, or several with commas or in a list"

    def validate(self, obj: Any, value: Any) -> str:  # Any: what users write
        if isinstance(value, list | tuple) and all(isinstance(one, str) for one in value):
            value = ",".join(value)
        return str(super().validate(obj, value))


class _AutoCount(int):
    """The number that stands for ``auto``, told apart from one that a user writes."""


class EngineCount(Int[int, int | str]):
    """How many engines: a number, or ``auto``, which is 0 whatever the bounds are."""

    info_text = "a number of engines, or auto for one for each core that is ours"

    def validate(self, obj: Any, value: Any) -> int:  # Any: what users write
        if value == "auto" or isinstance(value, _AutoCount):
            return _AutoCount(0)
        number: int = super().validate(obj, value)
        return number

    def from_string(self, s: str) -> Any:  # Any: text that `validate` knows
        return "auto" if s.strip().lower() == "auto" else int(s)


class LogLevel(TraitType[str, str | int]):
    """A level of logging by its name, in any case, or by its number, as `logging` has them."""

    info_text = f"one of {', '.join(_LEVELS)}, or a number"
    default_value = "INFO"

    def validate(self, obj: Any, value: Any) -> str:  # Any: what users write
        name = str(value).strip().upper()
        name = _OTHER_LEVELS.get(name, name)
        if name.isdecimal():
            name = _level_of(int(name))
        if name not in _LEVELS:
            self.error(obj, value)
        return name

    def from_string(self, s: str) -> str:
        return self.validate(None, s)


def _level_of(number: int) -> str:
    """Return the name of the lowest level that is not below *number*."""
    names = [name for name in _LEVELS if logging.getLevelNamesMapping()[name] >= number]
    return names[0] if names else _LEVELS[-1]


class Program(Configurable):
    """A command-line program; subclasses say what it does in `start`.

    Attributes:
        ipython_home: IPython's directory.
        name: what it is called on the command line and in its configuration file's name.
        description: its help's first lines.
        examples: command lines, one on each line.
        siblings: the classes of the programs that read the same configuration file.
        sections: further classes whose options it has.
        own_aliases: option to the trait that it sets, of this class or as ``Class.trait``.
        own_flags: option without a value to what it sets.
        argument_name: what its arguments are called; empty if it takes none.
        argument_choices: what they may be, where that is known beforehand.
        rest_name: what the words after ``--`` are; empty if it takes none.
        takes_command: whether they are a program to run, and need no ``--`` before them.
        exit_codes: what it may end with, of `EXIT_CODES`.
        joins: whether it is for a cluster that runs, which its environment may name.
    """

    name: ClassVar[str] = ""
    config_name: ClassVar[str] = ""
    description: ClassVar[str] = ""
    examples: ClassVar[str] = ""
    siblings: ClassVar[tuple[str, ...]] = ()
    sections: ClassVar[tuple[type[Configurable], ...]] = ()
    own_aliases: ClassVar[Mapping[str, str]] = {}
    own_flags: ClassVar[Mapping[str, FlagOption]] = {}
    argument_name: ClassVar[str] = ""
    argument_choices: ClassVar[Sequence[str]] = ()
    rest_name: ClassVar[str] = ""
    takes_command: ClassVar[bool] = False
    exit_codes: ClassVar[tuple[int, ...]] = (OK, FAILED, USAGE, INTERRUPTED)

    profile: Text = Unicode("default", help="Name of the IPython profile.").tag(
        config=True, value="NAME", completes="profile", locates=True
    )
    profile_dir: Text = Unicode(help="Path of the profile; wins over --profile.").tag(
        config=True, value="FOLDER", completes="folder", locates=True
    )
    ipython_dir: Text = Unicode(help="IPython's folder, which holds the profiles.").tag(
        config=True,
        value="FOLDER",
        completes="folder",
        locates=True,
        default="$IPYTHONDIR, else ~/.ipython",
    )
    cluster_id: Text = Unicode(help="Tells several clusters of one profile apart.").tag(
        config=True, value="ID", completes="cluster"
    )
    config_file: Text = Unicode(help="A configuration file to read after the profile's own.").tag(
        config=True, value="FILE", completes="file", locates=True
    )
    log_level: LogLevel = LogLevel(
        help="The least that is logged, by name or by number, as Python's logging has them:"
    ).tag(config=True, value="LEVEL", choices=_LEVELS_IN_WORDS)
    log_to_file: Switch = Bool(
        False, help="Log to a file in the profile's log folder, and not to stderr."
    ).tag(config=True)
    work_dir: Text = Unicode(help="Folder to change to at the start.").tag(
        config=True, value="FOLDER", completes="folder"
    )

    aliases: ClassVar[Mapping[str, str]] = {
        "profile": "profile",
        "profile-dir": "profile_dir",
        "ipython-dir": "ipython_dir",
        "cluster-id": "cluster_id",
        "config": "config_file",
        "log-level": "log_level",
        "work-dir": "work_dir",
    }
    flags: ClassVar[Mapping[str, FlagOption]] = {
        "debug": FlagOption("log_level", "DEBUG", "Log everything."),
        "quiet": FlagOption("log_level", "CRITICAL", "Log next to nothing."),
        "log-to-file": FlagOption(
            "log_to_file", True, "Log to a file in the profile's log folder."
        ),
    }

    joins: ClassVar[bool] = False

    def __init__(self, config: Config, arguments: Sequence[str] = ()) -> None:
        super().__init__(config=config)
        self.arguments: list[str] = list(arguments)
        # a relative path means where the command was typed, whatever --work-dir says
        self._typed_in: Path = Path.cwd()
        if self.joins and not self.profile_dir and self.profile == "default":
            self.profile_dir = os.environ.get("IPP_PROFILE_DIR", "")
            self.cluster_id = self.cluster_id or os.environ.get("IPP_CLUSTER_ID", "")
        self.ipython_home: Path = paths.ipython_dir(self.ipython_dir)

    def start(self) -> int:
        """Do what the program is for, and return its exit code."""
        raise NotImplementedError

    def make_profile_dir(self) -> Path:
        """Return the profile's directory, made if missing."""
        path = self.find_profile_dir()
        is_quiet = self.log_level == "CRITICAL"
        if not path.exists() and self.profile != "default" and not is_quiet:
            complain(self.name, f"there was no profile {self.profile!r}: made {path}", OK)
        return paths.profile_dir(None, path)

    def find_profile_dir(self) -> Path:
        """Return where the profile's directory is or would be."""
        given = self.typed_path(self.profile_dir) if self.profile_dir else None
        return check_folders(self.profile, given, self.ipython_home)

    def typed_path(self, text: str) -> Path:
        """Return the path that an option means."""
        return self._typed_in / Path(text).expanduser()

    def set_up(self) -> None:
        """Change the directory and start logging, as asked.

        Raises:
            UsageError: the directory cannot be used, or the cluster id is none.
            ClusterError: the log file cannot be written.
        """
        check_cluster_id(self.cluster_id)
        change_to(self.work_dir)
        start_logging(self.log_path() if self.log_to_file else None, self.log_level)

    def log_path(self) -> Path:
        """Return the file that this process logs into with ``--log-to-file``."""
        name = f"{self.name.replace(' ', '-')}-{os.getpid()}.log"
        return paths.log_dir(self.make_profile_dir()) / name

    @classmethod
    def syntax(cls) -> Syntax:
        """Return what the program's command line may hold."""
        aliases = {**cls.aliases, **cls.own_aliases}
        flags = {**cls.flags, **cls.own_flags}
        return Syntax(
            {option: cls._qualified(target) for option, target in aliases.items()},
            {
                option: FlagOption(cls._qualified(flag.target), flag.value, flag.help)
                for option, flag in flags.items()
            },
            (cls, *cls.sections),
            cls.argument_name,
            cls.rest_name,
            cls.takes_command,
            cls.config_name or cls.name,
            cls.elsewhere,
        )

    @classmethod
    def elsewhere(cls, option: str) -> str:
        """Return whose *option* is, and how it is given, where another program has it."""
        return ""

    @classmethod
    def family_classes(cls) -> tuple[type[Configurable], ...]:
        """Return all classes whose options are in the configuration file that this one reads."""
        return cls.syntax().classes

    @classmethod
    def _qualified(cls, target: str) -> str:
        return target if "." in target else f"{cls.__name__}.{target}"


def run(program: type[Program], words: Sequence[str] | None = None) -> int:
    """Run *program* with a command line, and return its exit code.

    Args:
        program: what to run.
        words: the command line without the program's name; by default this process's.
    """
    return guarded(program.name, lambda: _run(program, sys.argv[1:] if words is None else words))


def version_text(name: str) -> str:
    """Return what ``--version`` says of the program *name*."""
    return f"{name} (hippodrome) {__version__}" if name != "hippodrome" else f"{name} {__version__}"


def _run(program: type[Program], words: Sequence[str]) -> int:
    line = parse(words, program.syntax())
    if line.question:
        from hippodrome.apps.questions import answer

        return answer(program, line)
    config = configure(program, line)
    if line.wants_files:
        from hippodrome.apps.generating import write_missing_file

        write_missing_file(program, program(config).find_profile_dir())
    started = program(config, line.arguments)
    started.set_up()
    code = started.start()
    sys.stdout.flush()
    return code


def configure(program: type[Program], line: CommandLine) -> Config:
    """Return the configuration of *program*: its profile's files, ``--config``, command line.

    What is passed over is said on stderr.

    Raises:
        UsageError: a value is not what its option takes, an option cannot be had here, or a file
            cannot be read.
        ClusterError: the profile's name is none.
    """
    found = effective(program, line)
    for remark in found.remarks:
        complain(program.name, remark, OK)
    return found.config


@dataclass(frozen=True, slots=True)
class Effective:
    """What is in effect.

    Attributes:
        settings: what is set; later ones win.
        remarks: what was passed over, in words.
        files: the configuration files that there might be, and whether each was read.
    """

    settings: list[Setting]
    remarks: list[str]
    files: dict[Path, bool]

    @property
    def config(self) -> Config:
        """The settings as traitlets takes them."""
        return folded(self.settings)


def effective(program: type[Program], line: CommandLine) -> Effective:
    """Return what is in effect for *program*; raises as `configure` does."""
    classes = program.syntax().classes
    check_values(line.settings, classes)
    first = program(line.config)
    name = program.config_name or program.name
    candidates = [first.find_profile_dir() / f"{name}_config{suffix}" for suffix in CONFIG_SUFFIXES]
    further = [first.typed_path(first.config_file)] if first.config_file else []
    found = Effective([], list(line.remarks), {})
    for path in [*candidates, *further]:
        try:
            settings = read_config_file(path)
        except FileNotFoundError as error:
            if path in further:
                raise UsageError(f"there is no configuration file {path}") from error
            found.files[path] = False
            continue
        found.files[path] = True
        settings, remarks = with_own_names(settings, program, name, program.siblings)
        found.remarks.extend(remarks)
        settings, remarks = known_only(settings, classes)
        found.remarks.extend(remarks)
        check_values(settings, classes)
        found.settings.extend(settings)
    found.settings.extend(line.settings)
    return found
