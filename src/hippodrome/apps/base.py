"""What the programs have in common: options, configuration files, logging, exit codes.

traitlets ends here: a program turns its traits into one of the frozen configurations below it.
Whatever a user can put right is one sentence on stderr and an exit code, never a traceback.
"""

from __future__ import annotations

import logging
import math
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, TypeAlias

from traitlets import Bool, Float, Int, TraitError, TraitType, Unicode
from traitlets.config import Config, Configurable
from traitlets.config.loader import ConfigFileNotFound, PyFileConfigLoader

from hippodrome._version import __version__
from hippodrome.apps.commandline import CommandLine, Flag, Syntax, UsageError, check, parse
from hippodrome.apps.oldnames import with_own_names
from hippodrome.errors import ClusterError
from hippodrome.security import paths

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
ALREADY_STARTED: Final = 10
ALREADY_STOPPED: Final = 11
NO_CLUSTER: Final = 12
INTERRUPTED: Final = 130
NOBODY_READS: Final = 141

_LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_OTHER_LEVELS: Final = {"WARN": "WARNING", "FATAL": "CRITICAL"}
_LOG_FORMAT: Final = "%(asctime)s [%(process)d] %(levelname)s %(message)s"


class AlreadyStarted(ClusterError):
    """There is a running controller for this profile and cluster id."""

    code = "already_started"


class AlreadyStopped(ClusterError):
    """What should be stopped does not run any more."""

    code = "already_stopped"


class NoCluster(ClusterError):
    """There is no such cluster."""

    code = "no_cluster"


_EXIT_CODES: Final[Mapping[type[ClusterError], int]] = {
    AlreadyStarted: ALREADY_STARTED,
    AlreadyStopped: ALREADY_STOPPED,
    NoCluster: NO_CLUSTER,
}


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
        rest_name: what the words after ``--`` are; empty if it takes none.
    """

    name: ClassVar[str] = ""
    config_name: ClassVar[str] = ""
    description: ClassVar[str] = ""
    examples: ClassVar[str] = ""
    siblings: ClassVar[tuple[str, ...]] = ()
    sections: ClassVar[tuple[type[Configurable], ...]] = ()
    own_aliases: ClassVar[Mapping[str, str]] = {}
    own_flags: ClassVar[Mapping[str, Flag]] = {}
    argument_name: ClassVar[str] = ""
    rest_name: ClassVar[str] = ""

    profile: Text = Unicode("default", help="Name of the IPython profile.").tag(config=True)
    profile_dir: Text = Unicode(help="Path of the profile; wins over --profile.").tag(config=True)
    ipython_dir: Text = Unicode(
        help="IPython's directory; by default $IPYTHONDIR, else ~/.ipython."
    ).tag(config=True)
    cluster_id: Text = Unicode(help="Tells several clusters of one profile apart.").tag(config=True)
    config_file: Text = Unicode(help="A configuration file to read after the profile's own.").tag(
        config=True
    )
    log_level: LogLevel = LogLevel(
        help=f"The least that is logged: {', '.join(_LEVELS)}, or a number."
    ).tag(config=True)
    log_to_file: Switch = Bool(False, help="Log to a file in the profile's log directory.").tag(
        config=True
    )
    work_dir: Text = Unicode(help="Directory to change to at the start.").tag(config=True)

    aliases: ClassVar[Mapping[str, str]] = {
        "profile": "profile",
        "profile-dir": "profile_dir",
        "ipython-dir": "ipython_dir",
        "cluster-id": "cluster_id",
        "config": "config_file",
        "log-level": "log_level",
        "work-dir": "work_dir",
    }
    flags: ClassVar[Mapping[str, Flag]] = {
        "debug": Flag("log_level", "DEBUG", "Log everything."),
        "quiet": Flag("log_level", "CRITICAL", "Log next to nothing."),
        "log-to-file": Flag("log_to_file", True, "Log to a file in the profile's log directory."),
    }

    def __init__(self, config: Config, arguments: Sequence[str] = ()) -> None:
        super().__init__(config=config)
        self.arguments: list[str] = list(arguments)
        # a relative path means where the command was typed, whatever --work-dir says
        self._typed_in: Path = Path.cwd()
        self.ipython_home: Path = paths.ipython_dir(self.ipython_dir)

    def start(self) -> int:
        """Do what the program is for, and return its exit code."""
        raise NotImplementedError

    def make_profile_dir(self) -> Path:
        """Return the profile's directory, made if missing."""
        path = self.find_profile_dir()
        if not path.exists() and self.profile != "default":
            print(
                f"{self.name}: there was no profile {self.profile!r}: made {path}", file=sys.stderr
            )
        return paths.profile_dir(None, path)

    def find_profile_dir(self) -> Path:
        """Return where the profile's directory is or would be."""
        given = self.typed_path(self.profile_dir) if self.profile_dir else None
        return paths.find_profile_dir(self.profile, given, self.ipython_home)

    def typed_path(self, text: str) -> Path:
        """Return the path that an option means."""
        return self._typed_in / Path(text).expanduser()

    def set_up(self) -> None:
        """Change the directory and start logging, as asked.

        Raises:
            ClusterError: the directory or the log file cannot be used.
        """
        try:
            if self.work_dir:
                os.chdir(Path(self.work_dir).expanduser())
        except OSError as error:
            raise ClusterError(
                f"cannot change to --work-dir {self.work_dir}: {error.strerror}"
            ) from error
        logging.basicConfig(
            format=_LOG_FORMAT, level=logging.WARNING, handlers=[self._log_handler()], force=True
        )
        logging.getLogger("hippodrome").setLevel(self.log_level)

    def _log_handler(self) -> logging.Handler:
        if not self.log_to_file:
            return logging.StreamHandler(sys.stderr)
        path = (
            paths.log_dir(self.make_profile_dir())
            / f"{self.name.replace(' ', '-')}-{os.getpid()}.log"
        )
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        return logging.StreamHandler(os.fdopen(descriptor, "a", encoding="utf-8"))

    @classmethod
    def syntax(cls) -> Syntax:
        """Return what the program's command line may hold."""
        aliases = {**cls.aliases, **cls.own_aliases}
        flags = {**cls.flags, **cls.own_flags}
        return Syntax(
            {option: cls._qualified(target) for option, target in aliases.items()},
            {
                option: Flag(cls._qualified(flag.target), flag.value, flag.help)
                for option, flag in flags.items()
            },
            (cls, *cls.sections),
            cls.argument_name,
            cls.rest_name,
        )

    @classmethod
    def _qualified(cls, target: str) -> str:
        return target if "." in target else f"{cls.__name__}.{target}"


def run(program: type[Program], words: Sequence[str] | None = None) -> int:
    """Run *program* with a command line, and return its exit code.

    Args:
        program: what to run.
        words: the command line without the program's name; by default this process's.
    """
    try:
        return _run(program, sys.argv[1:] if words is None else words)
    except (UsageError, TraitError) as error:
        return complain(program.name, error, USAGE)
    except ClusterError as error:
        return complain(program.name, error, _EXIT_CODES.get(type(error), FAILED))
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # whoever reads what is printed has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return NOBODY_READS


def version_text(name: str) -> str:
    """Return what ``--version`` says of the program *name*."""
    return f"{name} (hippodrome) {__version__}" if name != "hippodrome" else f"{name} {__version__}"


def complain(name: str, error: Exception, exit_code: int) -> int:
    """Say on stderr, in a line, what went wrong; return *exit_code*."""
    text = " ".join(str(error).split())
    print(f"{name}: {text}", file=sys.stderr)
    return exit_code


def _run(program: type[Program], words: Sequence[str]) -> int:
    line = parse(words, program.syntax())
    if line.wants_help:
        from hippodrome.apps.helptext import help_text

        print(help_text(program))
        return OK
    if line.wants_version:
        print(version_text(program.name))
        return OK
    started = program(configure(program, line), line.arguments)
    started.set_up()
    return started.start()


def configure(program: type[Program], line: CommandLine) -> Config:
    """Return the configuration of *program*: its profile's file, ``--config``, command line.

    Raises:
        UsageError: a file names an option that there is not, or cannot be read.
        TraitError: a value is not what its option takes.
        ClusterError: the profile's name is none.
    """
    first = program(line.config)
    name = program.config_name or program.name
    config = Config()
    config.merge(_load(first.find_profile_dir() / f"{name}_config.py", program))
    if first.config_file:
        config.merge(_load(Path(first.config_file).expanduser(), program, must_exist=True))
    config.merge(line.config)
    return config


def _load(path: Path, program: type[Program], *, must_exist: bool = False) -> Config:
    try:
        config = PyFileConfigLoader(path.name, str(path.parent.absolute())).load_config()
    except ConfigFileNotFound as error:
        if must_exist:
            raise UsageError(f"there is no configuration file {path}") from error
        return Config()
    except Exception as error:  # it is a program, and may raise anything
        raise UsageError(
            f"the configuration file {path} failed: {type(error).__name__}: {error}"
        ) from error
    file_name = program.config_name or program.name
    config = with_own_names(config, program, file_name, program.siblings)
    check(config, program.syntax().classes, str(path))
    return config
