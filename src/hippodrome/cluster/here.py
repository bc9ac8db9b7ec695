"""A cluster on all hosts that are ours: of a job of a batch system, of MPI, or this one alone.

Of several processes that ``mpirun`` or ``srun`` started alike, the first has the cluster; the
others serve it with engines until it ends.
"""

from __future__ import annotations

import os
import re
import time
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from hippodrome.cluster.asking import line_to
from hippodrome.cluster.cluster import Cluster
from hippodrome.cluster.gathering import Gathering, HowFar
from hippodrome.errors import LaunchError
from hippodrome.launch.allocation import Allocation, AllocationError, Rank, find_allocation
from hippodrome.launch.inside import InsideEngineSetLauncher
from hippodrome.launch.options import AUTO
from hippodrome.launch.routes import ANY, address_towards
from hippodrome.launch.waiting import TELL_AFTER_S

if TYPE_CHECKING:
    from hippodrome.client.client import Client

PROFILE_DIR: Final = "IPP_PROFILE_DIR"
CLUSTER_ID: Final = "IPP_CLUSTER_ID"
GRACE_S: Final = 5.0  # for further engines, once there are enough
_LOOK_S: Final = 0.05
_LINES: Final = 20


class HereCluster(Cluster):
    """The cluster of an allocation.

    Args:
        n: how many engines there are on each host; ``"auto"`` is one for each core that is ours.
        least: how many engines are enough to begin, whatever becomes of the others; 0 for all.
        options: as for `Cluster`.

    Attributes:
        allocation: what was found.
    """

    def __init__(self, *, n: int | str = AUTO, least: int = 0, **options: Any) -> None:
        self.allocation: Allocation = find_allocation()
        self.least = least
        self.per_host: int = 0 if n == AUTO else int(n)
        is_own_id = options.get("cluster_id") is None
        if self.rank is not None and is_own_id:
            options["cluster_id"] = common_id(self.rank)
        if "controller_ip" not in options and not self.serves:
            options["controller_ip"] = self._address()
        super().__init__(n=n, **options)
        self.has_own_id = is_own_id

    @property
    def rank(self) -> Rank | None:
        """Which of several processes this is; None if it is alone."""
        return self.allocation.rank

    @property
    def serves(self) -> bool:
        """Whether this process is one of those that only have engines."""
        return self.rank is not None and self.rank.rank > 0

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which a program finds this cluster, and no other."""
        return {PROFILE_DIR: str(self.profile_dir), CLUSTER_ID: self.cluster_id}

    def _address(self) -> str:
        """Return where the controller listens: nowhere, if no other host has to reach it."""
        rank = self.rank
        if rank is not None:
            if rank.n_hosts == 1 or rank.local_size == rank.size:
                return ""
            others = self.allocation.others
            return address_towards([host.name for host in others]) if others else ANY
        others = self.allocation.others
        return address_towards([host.name for host in others]) if others else ""

    def launcher(self, engine_set: str = "0") -> InsideEngineSetLauncher:
        """Return what starts the engines."""
        arguments = (*self._log_options(), *self.engine_args)
        order = self._order(arguments, self.per_host, engine_set)
        return InsideEngineSetLauncher(order, self.allocation)

    def serve(self) -> int:
        """Have engines for the cluster of the first process until it ends; return an exit code.

        Raises:
            LaunchError: they cannot be started.
        """
        self._prepare()
        launcher = self.launcher()
        launcher.start()
        try:
            code = launcher.wait() or 0
        finally:
            launcher.stop(5.0)
        if code:
            self.tell(f"engines of {os.uname().nodename} have ended with exit code {code}:\n"
                      f"{launcher.output(_LINES)}")  # fmt: skip
        elif self.has_own_id:
            launcher.forget_output()
        return 0 if self.least else code

    def _spawn_engines(self, n: int | None, engine_set_id: str | None) -> str:
        name = engine_set_id or next(str(i) for i in count() if str(i) not in self.engines)
        self._prepare()
        launcher = self.launcher(name)
        self.engines[name] = launcher
        launcher.start()
        self.write_cluster_file()
        return name

    def _wait_engines(self, engine_set: str) -> None:
        launcher = self.engines[engine_set]
        assert isinstance(launcher, InsideEngineSetLauncher)
        n_parts = self.rank.size if self.rank is not None else len(launcher.parts)
        hosts = [part.host for part in launcher.parts]
        gathering = Gathering(hosts, n_parts, self.least)
        with line_to(self.connection_file, self.engine_timeout) as line:
            _gather(self, launcher, gathering, line)
        launcher.n_ready = gathering.n_ready

    def __enter__(self) -> Client:
        if running := running_here():
            self._client = running
            return running
        if self.serves:
            raise SystemExit(self.serve())
        return super().__enter__()


def _gather(
    cluster: HereCluster, launcher: InsideEngineSetLauncher, gathering: Gathering, line: Any
) -> None:
    """Wait until there are engines enough.

    Raises:
        LaunchError: there will not be, or not in time.
    """
    began = time.monotonic()
    told_at, pause_s, enough_at = began, TELL_AFTER_S, None
    while True:
        states = line.ask("engine_states", targets=None)
        verdict = gathering.look(states, _ended(launcher))
        now = time.monotonic()
        if verdict is HowFar.ENOUGH:
            enough_at = enough_at or now
            if now >= min(enough_at + GRACE_S, began + cluster.engine_timeout):
                verdict = HowFar.READY
        if verdict is HowFar.READY:
            if trouble := gathering.trouble():
                cluster.tell(f"{gathering.describe()}\n{trouble}")
            return
        if verdict is HowFar.FAILED:
            raise LaunchError(f"not all engines could be started: {gathering.trouble()}")
        if now >= began + cluster.engine_timeout:
            raise LaunchError(
                f"not all engines were ready within {cluster.engine_timeout:g} s: "
                f"{_late(launcher, gathering)}"
            )
        if now >= told_at + pause_s:
            told_at, pause_s = now, 2 * pause_s
            cluster.tell(gathering.describe())
        time.sleep(_LOOK_S)


def _ended(launcher: InsideEngineSetLauncher) -> dict[str, str]:
    """Return what there is to say of the supervisors that have ended."""
    found = {}
    for part in launcher.parts:
        code = part.process.poll()
        if code is not None:
            said = part.process.output(_LINES)
            found[part.host] = f"{part.process.title} ended with exit code {code}" + (
                f"; the last that it wrote, in {part.process.log_file}:\n{said}" if said else ""
            )
    return found


def _late(launcher: InsideEngineSetLauncher, gathering: Gathering) -> str:
    text = gathering.describe()
    missing = gathering.missing()
    for part in launcher.parts:
        if part.host in missing and (said := part.process.output(_LINES)):
            text += f"\n{part.host}, in {part.process.log_file}:\n{said}"
    return text


def common_id(rank: Rank) -> str:
    """Return the cluster id of all processes that were started alike.

    Raises:
        AllocationError: nothing tells them from others.
    """
    if rank.job:
        return "mpi-" + re.sub(r"[^\w.-]", "_", rank.job)[:150]
    if rank.local_size == rank.size:
        return f"mpi-{os.uname().nodename}-{os.getppid()}"
    raise AllocationError(
        "nothing in the environment tells these processes from those of another run: "
        "name the cluster, as with --cluster-id=NAME"
    )


def running_here() -> Client | None:
    """Return a client of the cluster that this process was started for; None if there is none."""
    cluster_id, directory = os.environ.get("IPP_CLUSTER_ID"), os.environ.get("IPP_PROFILE_DIR")
    if not cluster_id or not directory:
        return None
    from hippodrome.client.client import Client

    return Client(profile_dir=directory, cluster_id=cluster_id)
