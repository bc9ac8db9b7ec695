"""``ipcluster run``: a cluster on all hosts that there are, for as long as one program runs."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from typing import ClassVar, Final

from traitlets import Bool, Int, List, Unicode

from hippodrome.apps.base import Duration, EngineCount, Number, Switch, Text
from hippodrome.apps.clusterprogram import ClusterProgram, remark, show
from hippodrome.apps.commandline import FlagOption, UsageError
from hippodrome.apps.exitcodes import FAILED, INTERRUPTED, NOT_EXECUTABLE, NOT_FOUND, OK, USAGE
from hippodrome.apps.scripts import (
    BY_SIGNAL,
    CannotRun,
    GroupGuard,
    Signals,
    find_program,
    run_program,
)
from hippodrome.apps.startup import IGNORE_STARTUP_ERRORS
from hippodrome.apps.streams import complain
from hippodrome.apps.words import counted
from hippodrome.cluster.here import HereCluster
from hippodrome.launch.inside import InsideEngineSetLauncher
from hippodrome.protocol.silence import PATIENCE_S

_LINES: Final = 20


class IPClusterRun(ClusterProgram):
    """Options of ``ipcluster run``."""

    name = "ipcluster run"
    description = (
        "Run a program with a cluster on all hosts of the job, or on this one, and end with it."
    )
    examples = "ipcluster run -- python script.py\nsrun -N 3 ipcluster run -n 4 -- python script.py"
    rest_name = "program and its arguments"
    takes_command = True
    exit_codes: ClassVar[tuple[int, ...]] = (
        OK, FAILED, USAGE, NOT_EXECUTABLE, NOT_FOUND, INTERRUPTED,
    )  # fmt: skip

    n: EngineCount = EngineCount(0, min=0, help="How many engines on each host.").tag(
        config=True, value="N|auto", default="auto: one for each core that is ours there"
    )
    least: Number = Int(0, min=0, help="How many engines are enough to begin with.").tag(
        config=True, default="all"
    )
    engine_timeout: Duration = Duration(
        60.0, min=0.1, help="How long to wait for engines, in seconds."
    ).tag(config=True, value="SECONDS")
    patience: Duration = Duration(
        PATIENCE_S, min=1.0, help="How long controller and engines wait out silence, in seconds."
    ).tag(config=True, value="SECONDS")
    ignore_startup_errors: Switch = Bool(
        False, help="Whether engines serve even if what they execute first fails."
    ).tag(config=True)
    engine_args: List[str] = List(Unicode(), help="Further options for ipengine.").tag(
        config=True, value="OPTION"
    )
    controller_args: List[str] = List(Unicode(), help="Further options for ipcontroller.").tag(
        config=True, value="OPTION"
    )
    controller_ip: Text = Unicode(
        help="Address for the controller to listen on for other hosts; '*' for all."
    ).tag(config=True, value="ADDRESS", default="the one from which this host reaches the others")
    dry_run: Switch = Bool(False, help="Show what would be started where, and end.").tag(
        config=True
    )

    own_aliases: ClassVar[Mapping[str, str]] = {
        "n": "n",
        "min": "least",
        "ip": "controller_ip",
        "engine-timeout": "engine_timeout",
        "patience": "patience",
    }
    own_flags: ClassVar[Mapping[str, FlagOption]] = {
        "dry-run": FlagOption("dry_run", True, "Show what would be started where, and end."),
        "ignore-startup-errors": IGNORE_STARTUP_ERRORS,
    }

    def start(self) -> int:
        if not self.arguments and not self.dry_run:
            raise UsageError("it needs a program to run, as in ipcluster run -- python script.py")
        if self.dry_run:
            return self._show(self._make())
        guard, signals = GroupGuard(), Signals()
        try:
            with signals.taken():
                return self._run(signals, guard)
        except KeyboardInterrupt:
            return BY_SIGNAL + signals.stopped_by
        except CannotRun as error:
            return complain(self.name, str(error), error.exit_code)
        finally:
            guard.close()

    def _make(self) -> HereCluster:
        patience = [] if self.patience == PATIENCE_S else [f"--patience={self.patience:g}"]
        ignoring = ["--ignore-startup-errors"] if self.ignore_startup_errors else []
        listening = {"controller_ip": self.controller_ip} if self.controller_ip else {}
        cluster = HereCluster(
            n=self.n or "auto",
            least=self.least,
            profile_dir=self.make_profile_dir(),
            cluster_id=self.cluster_id or None,
            controller_args=[*patience, *self.controller_args],
            engine_args=[*patience, *ignoring, *self.engine_args],
            engine_timeout=self.engine_timeout,
            log_level=self.log_level,
            **listening,
        )
        cluster.tell = remark
        return cluster

    def _run(self, signals: Signals, guard: GroupGuard) -> int:
        cluster = self._make()
        if cluster.serves:
            return cluster.serve()
        find_program(self.arguments, os.environ)  # before anything is started in vain
        cluster.start_cluster_sync()
        try:
            n_hosts = len(cluster.allocation.hosts) or 1
            engines = counted(cluster.n_ready, "engine")
            remark(f"the cluster is ready: {engines} on {counted(n_hosts, 'host')}")
            watch = _Watch(cluster)
            environ = {**os.environ, **cluster.environment}
            return run_program(self.arguments, environ, signals, guard, watch.look)
        finally:
            signals.is_early = False
            cluster.stop_cluster_sync()

    def _show(self, cluster: HereCluster) -> int:
        """Show what was found, and what would be run."""
        allocation = cluster.allocation
        job = f"{allocation.system} job {allocation.job}" if allocation.system else "no batch job"
        where = f"on {cluster.controller_ip}" if cluster.controller_ip else "on this host only"
        show(f"# {job}; the controller listens {where}")
        launcher = cluster.launcher()
        for host, command in launcher.commands().items():
            show(f"# {host}\n{shlex.join(command)}")
        if self.arguments:
            variables = shlex.join(f"{k}={v}" for k, v in cluster.environment.items())
            show(f"# here\n{variables} {shlex.join(self.arguments)}")
        return OK


class _Watch:
    """Says of what ends while the program runs, once each."""

    def __init__(self, cluster: HereCluster) -> None:
        self._cluster = cluster
        self._said: set[str] = set()

    def look(self) -> None:
        controller = self._cluster.controller
        if controller is not None and (code := controller.poll()) is not None:
            self._say("controller", f"the controller has ended with exit code {code}")
            return
        for launcher in self._cluster.engines.values():
            assert isinstance(launcher, InsideEngineSetLauncher)
            for part in launcher.parts:
                if (code := part.process.poll()) is not None:
                    said = part.process.output(_LINES)
                    text = f"the engines on {part.host} have ended with exit code {code}"
                    self._say(part.host, f"{text}:\n{said}" if said else text)

    def _say(self, what: str, text: str) -> None:
        if what not in self._said:
            self._said.add(what)
            remark(text)
