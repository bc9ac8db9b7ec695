"""The subcommands of ``ipcluster`` that start something."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, ClassVar, Final

from traitlets import Bool, List, Unicode
from traitlets.config import Configurable

from hippodrome.apps.base import Duration, EngineCount, Listed, Switch, Text
from hippodrome.apps.clusterprogram import SUBCOMMAND_CLASSES, ClusterProgram, remark, say
from hippodrome.apps.commandline import FlagOption, dashed
from hippodrome.apps.controller_passing import ForController
from hippodrome.apps.exitcodes import (
    ALREADY_STARTED,
    FAILED,
    INTERRUPTED,
    NO_CLUSTER,
    OK,
    USAGE,
    AlreadyStarted,
    NoCluster,
)
from hippodrome.apps.launchers import (
    CONTROLLER_LAUNCHERS,
    ENGINE_LAUNCHERS,
    ControllerLauncherName,
    EngineLauncherName,
)
from hippodrome.apps.launchoptions import (
    chosen_controller,
    chosen_options,
    option_aliases,
    option_sections,
)
from hippodrome.apps.startup import IGNORE_STARTUP_ERRORS
from hippodrome.apps.words import counted, of_these
from hippodrome.cluster.blocking import STOP_TIMEOUT_S
from hippodrome.cluster.cluster import Cluster
from hippodrome.cluster.oldlogs import remove_old_logs
from hippodrome.errors import ConnectionFileError
from hippodrome.launch.base import Launcher, LaunchOrder
from hippodrome.launch.find import controller_launcher, engine_launcher
from hippodrome.process.signals import STOPPING, handled, stopping_signals
from hippodrome.protocol.silence import PATIENCE_S
from hippodrome.security.connection_file import engine_file, read
from hippodrome.security.foreign import read_foreign
from hippodrome.transport.connect import is_alive

# What programs that start clusters for ipyparallel wait for.
STARTED: Final = "Engines appear to have started successfully"


class StartingProgram(ClusterProgram):
    """The options and steps that subcommands share which start something."""

    n: EngineCount = EngineCount(0, min=0, help="How many engines.").tag(
        config=True, value="N|auto", default="auto: one for each core that is ours"
    )
    engines: EngineLauncherName = EngineLauncherName(help="How engines are started:").tag(
        config=True, value="LAUNCHER", completes="engine launcher", choices=ENGINE_LAUNCHERS
    )
    engine_timeout: Duration = Duration(
        60.0, min=0.1, help="How long to wait for engines, in seconds."
    ).tag(config=True, value="SECONDS")
    patience: Duration = Duration(
        PATIENCE_S, min=1.0, help="How long controller and engines wait out silence, in seconds."
    ).tag(config=True, value="SECONDS")
    engine_args: List[str] = List(Unicode(), help="Further options for ipengine.").tag(
        config=True, value="OPTION"
    )
    daemonize: Switch = Bool(False, help="Return when everything runs, and leave it running.").tag(
        config=True
    )
    ignore_startup_errors: Switch = Bool(
        False, help="Whether engines serve even if what they execute first fails."
    ).tag(config=True)

    any_python: Switch = Bool(
        False, help="Whether engines try functions of another minor version of Python."
    ).tag(config=True)

    siblings: ClassVar[tuple[str, ...]] = SUBCOMMAND_CLASSES
    own_aliases: ClassVar[Mapping[str, str]] = {
        "n": "n",
        "engines": "engines",
        "patience": "patience",
        **option_aliases(),
    }
    sections: ClassVar[tuple[type[Configurable], ...]] = option_sections()
    own_flags: ClassVar[Mapping[str, FlagOption]] = {
        "daemonize": FlagOption(
            "daemonize", True, "Return when everything runs, and leave it running."
        ),
        "ignore-startup-errors": IGNORE_STARTUP_ERRORS,
        "any-python": FlagOption(
            "any_python", True, "Let engines try functions of another minor version of Python."
        ),
    }

    @property
    def patience_args(self) -> list[str]:
        """The options that tell the programs of it; none where they know it themselves."""
        return [] if self.patience == PATIENCE_S else [f"--patience={self.patience:g}"]

    @property
    def all_engine_args(self) -> list[str]:
        """What engines are told."""
        ignoring = ["--ignore-startup-errors"] if self.ignore_startup_errors else []
        tolerant = ["--any-python"] if self.any_python else []
        return [*self.patience_args, *ignoring, *tolerant, *self.engine_args]

    @property
    def n_wanted(self) -> int | None:
        """How many engines are wanted; None if nobody has said."""
        return self.n or None

    def engine_options(self) -> dict[str, Any]:  # Any: as read by each option's kind
        """Return what the launcher of engines is told.

        Raises:
            UsageError: it takes no such option.
        """
        return chosen_options(engine_launcher(self.engines), self.config)

    @classmethod
    def elsewhere(cls, option: str) -> str:
        from hippodrome.apps.controller_options import IPController
        from hippodrome.apps.engine_options import IPEngine

        if cls.rest_name and IPController.syntax().has(option):
            return (
                f" here: it is ipcontroller's, and goes after a --: {cls.name} -- {dashed(option)}"
            )
        if IPEngine.syntax().has(option):
            target = f"--{cls.__name__}.engine_args={dashed(option)}"
            return f" here: it is ipengine's, and given as {target}"
        return ""


class IPClusterStart(ForController, StartingProgram):
    """Options of ``ipcluster start``."""

    name = "ipcluster start"
    description = "Start a controller and engines."
    examples = "ipcluster start -n 4\nipcluster start -n 4 --profile=work --daemonize"
    rest_name = "ipcontroller's options"
    exit_codes: ClassVar[tuple[int, ...]] = (OK, FAILED, USAGE, ALREADY_STARTED, INTERRUPTED)

    controller: ControllerLauncherName = ControllerLauncherName(
        help="How the controller is started:"
    ).tag(
        config=True, value="LAUNCHER", completes="controller launcher", choices=CONTROLLER_LAUNCHERS
    )
    controller_args: List[str] = List(Unicode(), help="Further options for ipcontroller.").tag(
        config=True, value="OPTION"
    )
    delay: Duration = Duration(
        0.0, help="Accepted: engines wait for the controller by themselves."
    ).tag(config=True, value="SECONDS")
    clean_logs: Switch = Bool(
        False, help="Remove the profile's logs that no process writes any more, before starting."
    ).tag(config=True)
    controller_ip: Text = Listed(
        help="Address or interface for the controller to listen on for other hosts; '*' for all, "
        "auto for those by which they are reached."
    ).tag(
        config=True, value="ADDRESS", adds=True, default="none: a socket that only this host sees"
    )
    controller_location: Text = Listed(help="How other hosts reach the controller.").tag(
        config=True, value="HOST", adds=True, default="found out"
    )

    dry_run: Switch = Bool(
        False, help="Show what would be submitted to a batch system, and end."
    ).tag(config=True)

    own_aliases: ClassVar[Mapping[str, str]] = {
        **StartingProgram.own_aliases,
        **ForController.own_aliases,
        "controller": "controller",
        "delay": "delay",
        "clean-logs": "clean_logs",
        "ip": "controller_ip",
        "location": "controller_location",
    }
    own_flags: ClassVar[Mapping[str, FlagOption]] = {
        **StartingProgram.own_flags,
        **ForController.own_flags,
        "dry-run": FlagOption(
            "dry_run", True, "Show what would be submitted to a batch system, and end."
        ),
    }

    def start(self) -> int:
        cluster = Cluster(
            n=self.n_wanted,
            profile_dir=self.make_profile_dir(),
            cluster_id=self.cluster_id,
            engines=self.engines,
            controller=chosen_controller(controller_launcher(self.controller), self.config),
            controller_args=[
                *self.patience_args,
                *self.passed_on,
                *self.controller_args,
                *self.arguments,
            ],
            engine_args=self.all_engine_args,
            controller_ip=self.controller_ip,
            controller_location=self.controller_location,
            engine_timeout=self.engine_timeout,
            shutdown_atexit=not self.daemonize,
            log_level=self.log_level,
            **self.engine_options(),
        )
        if self.dry_run:
            from hippodrome.apps.launcherlist import show_submissions

            return show_submissions(cluster)
        cluster.tell = remark
        self._refuse_second(cluster)
        if self.clean_logs:
            for path in remove_old_logs(Path(cluster.profile_dir)):
                remark(f"removed {path}")
        engines = counted(cluster.n, "engine") if cluster.n else "engines"
        remark(f"starting a controller and {engines}; waiting until all are ready")
        with interruptible():
            cluster.start_cluster_sync()
            engines = of_these(cluster.n_ready, cluster.n or cluster.n_ready)
            say(f"the cluster is ready: {engines}; clients use {cluster.connection_file}")
            remark(STARTED)
            remark(self._how_to_go_on())
            return OK if self.daemonize else self._stay(cluster)

    def _how_to_go_on(self) -> str:
        """Say how to connect and how to stop."""
        found = [
            (name, getattr(self, name))
            for name, trait in self.traits().items()
            if name in ("profile", "profile_dir", "cluster_id")
            and getattr(self, name) != trait.default()
        ]
        client = ", ".join(f"{name}={value!r}" for name, value in found)
        options = "".join(f" --{name.replace('_', '-')}={value}" for name, value in found)
        stop = f"{self.name.replace('start', 'stop')}{options}"
        if not self.daemonize:
            stop = f"Ctrl-C, or {stop}"
        return f"connect: hippodrome.Client({client}); stop: {stop}"

    def _refuse_second(self, cluster: Cluster) -> None:
        from hippodrome.apps.controller_options import refuse_second

        path = Path(cluster.cluster_file)
        if path.exists() and not read_foreign(path) and Cluster.from_file(path).has_processes:
            raise AlreadyStarted(
                f"the cluster of {path} runs already: ipcluster stop ends it, "
                "and --cluster-id names another"
            )
        refuse_second(path.parent, self.cluster_id)

    def _stay(self, cluster: Cluster) -> int:
        """Wait until told to stop, or until the controller has ended, and stop everything."""
        assert cluster.controller is not None
        code = wait_for_end(cluster.controller)
        say("stopping the cluster" if code is None else "the controller has ended")
        cluster.stop_cluster_sync()
        return FAILED if code else OK


class IPClusterEngines(StartingProgram):
    """Options of ``ipcluster engines``."""

    joins: ClassVar[bool] = True
    name = "ipcluster engines"
    description = "Start engines for a controller that runs already."
    examples = "ipcluster engines -n 4"
    exit_codes: ClassVar[tuple[int, ...]] = (OK, FAILED, USAGE, NO_CLUSTER, INTERRUPTED)

    def start(self) -> int:
        profile_dir = self.make_profile_dir()
        self._need_controller(engine_file(profile_dir / "security", self.cluster_id))
        arguments = (f"--log-level={self.log_level}", *self.all_engine_args)
        kind, options, name = engine_launcher(self.engines), self.engine_options(), _new_name()
        n, follows, wait_s = kind.count(self.n_wanted, options), not self.daemonize, 60.0
        launcher = kind(
            LaunchOrder(profile_dir, self.cluster_id, arguments, follows, n, name, wait_s, options)
        )
        with interruptible():
            launcher.tell = remark
            try:
                launcher.start()
                launcher.wait_ready(self.engine_timeout)
            except BaseException:
                launcher.stop(STOP_TIMEOUT_S)
                raise
            n_ready = n if launcher.n_ready is None else launcher.n_ready
            engines = of_these(n_ready, launcher.n)
            say(f"{engines} {'is' if n_ready == 1 else 'are'} ready")
            remark(STARTED)
            return OK if self.daemonize else self._stay(launcher)

    def _stay(self, launcher: Launcher) -> int:
        code = wait_for_end(launcher)
        say("stopping the engines" if code is None else "the engines have ended")
        launcher.stop(STOP_TIMEOUT_S)
        return FAILED if code else OK

    def _need_controller(self, path: Path) -> None:
        """Make sure that a controller runs.

        Raises:
            NoCluster: none does for this profile and cluster id.
        """
        try:
            found = is_alive(read(path))
        except ConnectionFileError as error:
            raise NoCluster(str(error)) from error
        if not found:
            raise NoCluster(f"the controller of {path} does not run: start ipcontroller first")


def _new_name() -> str:
    return os.urandom(4).hex()


@contextmanager
def interruptible() -> Iterator[None]:
    """Make SIGTERM, and a closed terminal's SIGHUP, what SIGINT is: a `KeyboardInterrupt`."""

    def on_signal(signum: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    with handled(set(stopping_signals()) - {signal.SIGINT}, on_signal):
        yield


def wait_for_end(launcher: Launcher) -> int | None:
    """Wait until what *launcher* started has ended, and return its exit code.

    Returns None when the user wants this program to stop, and makes sure that it is not disturbed
    in stopping by a second wish.
    """
    try:
        return launcher.wait()
    except KeyboardInterrupt:
        for signum in STOPPING:
            signal.signal(signum, signal.SIG_IGN)
        return None
