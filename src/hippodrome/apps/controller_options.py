"""The options of ``ipcontroller``, and what it does with them."""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Final

from traitlets import Bool, Enum, Int, TraitType, Unicode
from traitlets.config import Configurable

from hippodrome import paths
from hippodrome.apps.base import Duration, Listed, Number, Program, Switch, Text
from hippodrome.apps.commandline import FlagOption
from hippodrome.apps.exitcodes import ALREADY_STARTED, FAILED, OK, USAGE, AlreadyStarted
from hippodrome.apps.sshhosts import ssh_host
from hippodrome.errors import ConnectionFileError
from hippodrome.hub.config import AUTO_HWM, ControllerConfig, HubConfig, SchedulerConfig
from hippodrome.protocol.silence import PATIENCE_S
from hippodrome.scheduler.launch import SchedulerProcess
from hippodrome.scheduler.schemes import SCHEME_NAMES
from hippodrome.security.connection_file import client_file, engine_file, read, remove
from hippodrome.store.choose import MEMORY, NONE, SQLITE

log: logging.Logger = logging.getLogger(__name__)


class _Auto(int):
    """The number that stands for ``auto``, told apart from one that a user writes."""

    def __repr__(self) -> str:
        return "'auto'"


_AUTO: Final = _Auto(AUTO_HWM)


class HighWaterMark(TraitType[int, int | str]):
    """A number of tasks, or ``auto``."""

    info_text = "a number of tasks that is not negative, or 'auto'"
    default_value = _AUTO

    def validate(self, obj: Any, value: Any) -> int:  # Any: what users write
        if value == "auto" or isinstance(value, _Auto):
            return _AUTO
        with contextlib.suppress(TypeError, ValueError):
            if int(value) >= 0 and not isinstance(value, bool | float):
                return int(value)
        self.error(obj, value)

    def from_string(self, s: str) -> int | None:
        return self.validate(None, s)

    def default_value_repr(self) -> str:
        return "auto"


SCHEMES_IN_WORDS: Final[Mapping[str, str]] = {
    "leastload": "the one with the fewest unfinished tasks",
    "lru": "the one that was least recently given a task",
    "plainrandom": "any",
    "twobin": "of any two the one that was less recently given a task",
    "weighted": "of any two, idle ones more often, the one with fewer unfinished tasks",
    "pure": "each in turn, without dependencies, retries or timeouts",
}


class TaskScheduler(Configurable):
    """Options of the scheduler."""

    scheme_name: Enum[str] = Enum(
        SCHEME_NAMES, default_value="leastload", help="How an engine is chosen for a task:"
    ).tag(config=True, value="SCHEME", choices=SCHEMES_IN_WORDS)
    hwm: HighWaterMark = HighWaterMark(
        help="High-water mark: how many unfinished tasks an engine may hold; 0 is no limit, auto "
        "as many as fill a few milliseconds."
    ).tag(config=True, value="N|auto")

    def freeze(self) -> SchedulerConfig:
        return SchedulerConfig(scheme=self.scheme_name, hwm=int(self.hwm))


class HeartMonitor(Configurable):
    """Options of how the silence of a supervisor is taken."""

    period: Duration = Duration(
        1000.0, min=100.0, help="How often a supervisor should be heard from, in milliseconds."
    ).tag(config=True, value="MILLISECONDS")
    max_heartmonitor_misses: Number = Int(
        0, min=0, help="After how many silent periods its engines are lost."
    ).tag(config=True, default="as --patience says")

    def lost_after_s(self, patience_s: float) -> float:
        """Return the silence after which engines are given up."""
        return self.period * self.max_heartmonitor_misses / 1000 or patience_s

    def suspect_after_s(self, patience_s: float) -> float:
        """Return the silence after which they get no new work: a quarter, but not for long."""
        misses = math.ceil(self.lost_after_s(patience_s) * 1000 / self.period / 4)
        return self.period * min(max(2, misses), 5) / 1000


class DictDB(Configurable):
    """Options of the records that are kept in memory."""

    record_limit: Number = Int(20_000, min=0, help="How many task records to keep.").tag(
        config=True
    )
    size_limit: Number = Int(1 << 30, min=0, help="How many bytes of payload they may hold.").tag(
        config=True, value="BYTES", default="1 GiB"
    )


class SQLiteDB(Configurable):
    """Options of the records that are kept in a file."""

    filename: Text = Unicode(help="The file's name.").tag(
        config=True, value="NAME", default="tasks.db, or tasks-ID.db with --cluster-id=ID"
    )
    location: Text = Unicode(help="The file's folder.").tag(
        config=True, value="FOLDER", completes="folder", default="the profile's"
    )

    def file_name(self, cluster_id: str) -> str:
        """Return the file's name; each cluster of a profile has its own."""
        return self.filename or (f"tasks-{cluster_id}.db" if cluster_id else "tasks.db")


STORES_IN_WORDS: Final[Mapping[str, str]] = {
    "DictDB": "in memory",
    "SQLiteDB": "in a file, which outlives the controller",
    "NoDB": "nowhere: results can be fetched by the client that asked for them only",
}
STORES: Final = {"dictdb": MEMORY, "sqlitedb": SQLITE, "nodb": NONE}


class StoreName(TraitType[str, str]):
    """A store by its class's name, which may be dotted and in any case."""

    info_text = "DictDB, SQLiteDB or NoDB"
    default_value = "DictDB"

    def validate(self, obj: Any, value: Any) -> str:  # Any: what users write
        if isinstance(value, type):
            value = value.__name__
        if isinstance(value, str) and value.rpartition(".")[2].lower() in STORES:
            return value
        self.error(obj, value)

    def from_string(self, s: str) -> str:
        return self.validate(None, s)


class IPController(Program):
    """Options of the controller.

    Attributes:
        scheduler: a scheduler's process that waits to be told its settings, if there is one.
    """

    scheduler: ClassVar[SchedulerProcess | None] = None

    name = "ipcontroller"
    description = "Run a controller: what engines and clients connect to."
    examples = "ipcontroller --profile=work\nipcontroller --ip=10.0.0.5 --port=5555 --hwm=4"
    exit_codes: ClassVar[tuple[int, ...]] = (OK, FAILED, USAGE, ALREADY_STARTED)
    sections: ClassVar[tuple[type[Configurable], ...]] = (
        TaskScheduler, HeartMonitor, DictDB, SQLiteDB,
    )  # fmt: skip

    ip: Text = Listed(
        help="Address or interface to listen on for other hosts; '*' for all that this host has, "
        "auto for those by which the hosts of --reached-by are reached. Several with commas."
    ).tag(
        config=True, value="ADDRESS", adds=True, default="none: a socket that only this host sees"
    )
    port: Number = Int(0, min=0, max=65535, help="Port to listen on, with --ip.").tag(
        config=True, value="PORT", default="any that is free"
    )
    location: Text = Listed(
        help="Name or address by which other hosts reach this one, with a port if that is another "
        "one there. They try it first. Several with commas."
    ).tag(config=True, value="HOST", adds=True, default="found out")
    reached_by: Text = Listed(
        help="Hosts that have to reach this one, for --ip=auto; all, if none is named."
    ).tag(config=True, value="HOST", adds=True)
    reuse_files: Switch = Bool(
        False, help="Take port and keys of the controller before, and keep them for the next one."
    ).tag(config=True)
    ssh_server: Text = Unicode(
        help="Host that clients elsewhere tunnel through, by ssh; it is in their connection file."
    ).tag(config=True, value="USER@HOST:PORT")
    engine_ssh_server: Text = Unicode(
        help="Host that engines elsewhere tunnel through, by ssh."
    ).tag(config=True, value="USER@HOST:PORT")
    use_threads: Switch = Bool(False, help="Run the scheduler as a thread, not a process.").tag(
        config=True
    )
    patience: Duration = Duration(
        PATIENCE_S, min=1.0, help="How long silence of engines' hosts is waited out, in seconds."
    ).tag(config=True, value="SECONDS")
    db_class: StoreName = StoreName(help="Where task records are kept:").tag(
        config=True, value="STORE", choices=STORES_IN_WORDS
    )
    large_limit: Number = Int(
        1 << 30, min=0, help="How many bytes of large arguments and results to keep with records."
    ).tag(config=True, value="BYTES", default="1 GiB")
    parent_fd: Number = Int(-1, help="A pipe's reading end: stop when the pipe is closed.").tag(
        config=True, internal=True
    )
    ready_fd: Number = Int(-1, help="A file descriptor to write a line to when ready.").tag(
        config=True, internal=True
    )

    own_aliases: ClassVar[Mapping[str, str]] = {
        "ip": "ip",
        "port": "port",
        "location": "location",
        "reached-by": "reached_by",
        "ssh": "ssh_server",
        "enginessh": "engine_ssh_server",
        "scheme": "TaskScheduler.scheme_name",
        "hwm": "TaskScheduler.hwm",
        "large-limit": "large_limit",
        "ping": "HeartMonitor.period",
        "patience": "patience",
    }
    own_flags: ClassVar[Mapping[str, FlagOption]] = {
        "reuse": FlagOption(
            "reuse_files",
            True,
            "Take port and keys of the controller before, and keep them for the next one.",
        ),
        "usethreads": FlagOption(
            "use_threads", True, "Run the scheduler as a thread, not a process."
        ),
        "dictdb": FlagOption("db_class", "DictDB", "Keep task records in memory."),
        "sqlitedb": FlagOption("db_class", "SQLiteDB", "Keep task records in a file."),
        "nodb": FlagOption("db_class", "NoDB", "Keep no task records."),
    }

    def start(self) -> int:
        config = self.freeze()
        check_alone = partial(refuse_second, config.security_dir, config.cluster_id)
        check_alone()  # at once, and again when it has become hard for another to come between
        if not config.reuse:  # which makes files of the same addresses good again
            remove_stale(config.security_dir, config.cluster_id)
        from hippodrome.hub.server import run_controller

        return run_controller(config, self.scheduler, check_alone)

    def freeze(self) -> ControllerConfig:
        """Return these options as the controller takes them."""
        monitor, records = HeartMonitor(parent=self), DictDB(parent=self)
        profile_dir = self.make_profile_dir()
        return ControllerConfig(
            security_dir=paths.security_dir(profile_dir),
            cluster_id=self.cluster_id,
            ip=self.ip or ("127.0.0.1" if self.port else ""),
            port=self.port,
            location=self.location,
            towards=tuple(filter(None, map(str.strip, self.reached_by.split(",")))),
            reuse=self.reuse_files,
            ssh=ssh_host(self.ssh_server),
            engine_ssh=ssh_host(self.engine_ssh_server),
            use_threads=self.use_threads,
            ready_fd=None if self.ready_fd < 0 else self.ready_fd,
            parent_fd=None if self.parent_fd < 0 else self.parent_fd,
            log_file=self.log_path() if self.log_to_file else None,
            scheduler=TaskScheduler(parent=self).freeze(),
            hub=HubConfig(
                suspect_after_s=monitor.suspect_after_s(self.patience),
                lost_after_s=monitor.lost_after_s(self.patience),
                store=STORES[self.db_class.rpartition(".")[2].lower()],
                database=self._database(profile_dir),
                record_limit=records.record_limit,
                size_limit=records.size_limit,
                large_limit=self.large_limit,
            ),
        )

    def _database(self, profile_dir: Path) -> Path:
        options = SQLiteDB(parent=self)
        directory = self.typed_path(options.location) if options.location else profile_dir
        return directory / options.file_name(self.cluster_id)


def remove_stale(security_dir: Path, cluster_id: str) -> None:
    """Remove what an earlier controller has left, so that peers wait for the new one's.

    To be called after `refuse_second`.
    """
    for path in (client_file(security_dir, cluster_id), engine_file(security_dir, cluster_id)):
        with contextlib.suppress(ConnectionFileError):
            remove(path, read(path).pid)


def refuse_second(security_dir: Path, cluster_id: str) -> None:
    """Make sure that no controller runs for this profile and cluster id.

    Raises:
        AlreadyStarted: one does, of ipyparallel's perhaps.
    """
    from hippodrome.security.foreign import WHOSE, in_the_way
    from hippodrome.transport.connect import is_alive

    if foreign := in_the_way(security_dir, cluster_id):
        raise AlreadyStarted(f"{foreign} {WHOSE}")
    for path in (client_file(security_dir, cluster_id), engine_file(security_dir, cluster_id)):
        try:
            info = read(path)
        except ConnectionFileError:
            continue  # nothing, or nothing that anyone could connect with
        if is_alive(info):
            raise AlreadyStarted(
                f"a controller (process {info.pid} on {info.host}) runs already for {path}: "
                "stop it first, or start another with --cluster-id"
            )
