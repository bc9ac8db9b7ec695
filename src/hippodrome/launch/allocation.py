"""What a batch system, or MPI, has given to this process, read off its environment.

Pure: the environment goes in, an `Allocation` comes out. Nothing is asked of a daemon, except of
Flux, whose environment does not name its hosts: then whoever calls this asks for them.

A process that ``mpirun`` or ``srun`` started beside others is one of several *ranks*, each of
which runs this same program on its own; any other process speaks for all hosts alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from hippodrome.errors import ClusterError
from hippodrome.launch.hostlists import columns, counted, expand, pairs, repeated, same_host

Environment = Mapping[str, str]
ReadFile = Callable[[str], str]
AskFlux = Callable[[], str]

_OWN_STEPS: Final = 0xFFFFFFF0  # Slurm's own steps, as that of the batch script, have such numbers


class AllocationError(ClusterError):
    """What the environment says of the allocation makes no sense."""

    code = "allocation"


@dataclass(frozen=True, slots=True)
class Host:
    """One host of an allocation.

    Attributes:
        name: as the batch system calls it.
        slots: how many cores are ours there; 0 if that is not said.
        first: the number of the first line in which a file of hosts names it.
    """

    name: str
    slots: int = 0
    first: int = 0


@dataclass(frozen=True, slots=True)
class Rank:
    """Which of several processes this is that were started alike.

    Attributes:
        rank: of all.
        size: how many there are.
        local_rank, local_size: the same, of those on this host.
        n_hosts: on how many hosts they are; 0 if nobody says.
        job: names them all, and no others; empty if nothing does.
    """

    rank: int
    size: int
    local_rank: int = 0
    local_size: int = 1
    n_hosts: int = 0
    job: str = ""


@dataclass(frozen=True, slots=True)
class Allocation:
    """Hosts that are ours for a while.

    Attributes:
        system: the batch system, in lower case; empty if there is none.
        job: what it calls the job.
        hosts: all of them, the first one first.
        here: which of them this is; None if it is none of them.
        ends_at: when it ends, in seconds since the epoch; None if the environment does not say.
        rank: which process of a set this is; None if it is the only one.
    """

    system: str = ""
    job: str = ""
    hosts: tuple[Host, ...] = ()
    here: int | None = None
    ends_at: float | None = None
    rank: Rank | None = None

    @property
    def slots_here(self) -> int:
        """How many cores the batch system gave us on this host; 0 if it does not say."""
        return 0 if self.here is None else self.hosts[self.here].slots

    @property
    def others(self) -> tuple[Host, ...]:
        """The hosts that are not this one."""
        return tuple(host for i, host in enumerate(self.hosts) if i != self.here)


def read_text(path: str) -> str:
    """Return what is in a file that a batch system wrote."""
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def detect(
    environ: Environment,
    hostname: str,
    read: ReadFile = read_text,
    ask_flux: AskFlux | None = None,
) -> Allocation:
    """Return what this process was given.

    Args:
        environ: its environment.
        hostname: of this host.
        read: returns the content of a file.
        ask_flux: returns the hosts of this Flux instance, as a hostlist.

    Raises:
        AllocationError: the environment is one of a batch system, but makes no sense.
    """
    rank = find_rank(environ)
    for system, (is_there, find) in _SYSTEMS.items():
        if not is_there(environ):
            continue
        try:
            found = find(environ, hostname, read)
            if system == "flux" and ask_flux is not None:
                found = _here(system, environ.get("FLUX_ENCLOSING_ID", ""),
                              dict.fromkeys(expand(ask_flux()), 0), hostname)  # fmt: skip
        except (ValueError, OSError) as error:
            why = f"{error.strerror}: {error.filename}" if isinstance(error, OSError) else error
            raise AllocationError(
                f"this is a job of {system}, but its hosts cannot be read: {why}"
            ) from error
        return _with_rank(found, rank)
    return _with_rank(Allocation(), rank)


def _with_rank(found: Allocation, rank: Rank | None) -> Allocation:
    return replace(found, rank=rank)


def _here(
    system: str,
    job: str,
    hosts: Mapping[str, int],
    hostname: str,
    ends_at: float | None = None,
) -> Allocation:
    if not hosts:
        hosts = {hostname: 0}  # an empty list of hosts: then it is the one that we are on
    here = same_host(hosts, hostname)
    named = tuple(Host(name, slots) for name, slots in hosts.items())
    return Allocation(system, job, named, here, ends_at)


# ---------------------------------------------------------------- batch systems


def _slurm(environ: Environment, hostname: str, read: ReadFile) -> Allocation:
    job = environ.get("SLURM_JOB_ID") or environ["SLURM_JOBID"]
    names = expand(environ.get("SLURM_JOB_NODELIST") or environ.get("SLURM_NODELIST", ""))
    cpus = repeated(environ.get("SLURM_JOB_CPUS_PER_NODE", ""), len(names))
    hosts = dict(zip(names, cpus or [0] * len(names), strict=True))
    if _is_slurm_task(environ) and environ.get("SLURM_STEP_NODELIST"):
        step = expand(environ["SLURM_STEP_NODELIST"])  # a part of the job
        hosts = {name: hosts.get(name, 0) for name in step}
    here = environ.get("SLURMD_NODENAME") or hostname
    if here in hosts and (on_node := _number(environ, "SLURM_CPUS_ON_NODE")):
        hosts[here] = min(hosts[here] or on_node, on_node)
    end = environ.get("SLURM_JOB_END_TIME", "")
    return _here("slurm", job, hosts, here, float(end) if end.isdecimal() else None)


def _is_slurm_task(environ: Environment) -> bool:
    """Whether this is a process that srun started, not the script of a job, nor its shell."""
    step = environ.get("SLURM_STEP_ID") or environ.get("SLURM_STEPID", "")
    is_numbered = step.isdecimal() and int(step) < _OWN_STEPS
    return is_numbered and bool(_number(environ, "SLURM_STEP_NUM_TASKS"))


def _pbs(environ: Environment, hostname: str, read: ReadFile) -> Allocation:
    path = environ.get("PBS_NODEFILE", "")
    lines = read(path).split() if path else []
    hosts = counted(lines)
    # a node file has a host once for each process of MPI, which may have several cores
    cores = _number(environ, "PBS_NUM_PPN") or _number(environ, "NCPUS")
    hosts = {name: max(n, cores) for name, n in hosts.items()} or {hostname: cores}
    version = environ.get("PBS_VERSION", "").upper()
    is_torque = version.startswith("TORQUE") or "PBS_NUM_PPN" in environ
    found = _here("torque" if is_torque else "pbs", environ["PBS_JOBID"], hosts, hostname)
    if not lines:
        return found
    firsts = {name: i for i, name in reversed([*enumerate(lines)])}
    return replace(found, hosts=tuple(replace(h, first=firsts[h.name]) for h in found.hosts))


def _lsf(environ: Environment, hostname: str, read: ReadFile) -> Allocation:
    if environ.get("LSB_MCPU_HOSTS"):
        hosts = pairs(environ["LSB_MCPU_HOSTS"])
    elif environ.get("LSB_HOSTS"):
        hosts = counted(environ["LSB_HOSTS"].split())
    else:
        path = environ.get("LSB_DJOB_HOSTFILE", "")
        hosts = counted(read(path).split()) if path else {}
    return _here("lsf", environ["LSB_JOBID"], hosts, hostname)


def _sge(environ: Environment, hostname: str, read: ReadFile) -> Allocation:
    path = environ.get("PE_HOSTFILE", "")
    slots = _number(environ, "NSLOTS")
    hosts = columns(read(path)) if path else {hostname: slots or 1}
    return _here("sge", environ["JOB_ID"], hosts, hostname)


def _oar(environ: Environment, hostname: str, read: ReadFile) -> Allocation:
    path = environ.get("OAR_NODEFILE") or environ.get("OAR_NODE_FILE", "")
    hosts = counted(read(path).split()) if path else {}
    return _here("oar", environ["OAR_JOB_ID"], hosts, hostname)


def _flux(environ: Environment, hostname: str, read: ReadFile) -> Allocation:
    return _here("flux", environ.get("FLUX_ENCLOSING_ID", ""), {}, hostname)


Find = Callable[[Environment, str, ReadFile], Allocation]
_SYSTEMS: Final[Mapping[str, tuple[Callable[[Environment], bool], Find]]] = {
    # Flux may run as a job of another system, and is then the one that gives hosts to us
    "flux": (lambda env: bool(env.get("FLUX_URI")), _flux),
    "slurm": (lambda env: bool(env.get("SLURM_JOB_ID") or env.get("SLURM_JOBID")), _slurm),
    "oar": (lambda env: bool(env.get("OAR_JOB_ID")), _oar),
    "lsf": (lambda env: bool(env.get("LSB_JOBID")), _lsf),
    "sge": (lambda env: bool(env.get("JOB_ID") and env.get("SGE_ROOT")), _sge),
    "pbs": (lambda env: bool(env.get("PBS_JOBID")), _pbs),
}


# ---------------------------------------------------------------- ranks


def find_rank(environ: Environment) -> Rank | None:
    """Return which of several processes this is; None if nobody started several alike."""
    for names in _RANKS:
        size = _number(environ, names.size)
        rank = environ.get(names.rank, "")
        if size < 1 or not _is_number(rank) or int(rank) >= size:
            continue
        if names.size == "SLURM_STEP_NUM_TASKS" and not _is_slurm_task(environ):
            continue
        local_size, n_hosts = _local_size(environ, names), _n_hosts(environ)
        local_rank = _number(environ, names.local_rank)
        if not 0 < local_size <= size:
            local_size = 1
        if local_rank >= local_size:
            local_rank = 0
        job = "-".join(environ[name] for name in names.job if environ.get(name))
        return Rank(int(rank), size, local_rank, local_size, n_hosts, job)
    return None


@dataclass(frozen=True, slots=True)
class _RankNames:
    """The variables in which one kind of MPI says it."""

    rank: str
    size: str
    local_rank: str
    local_size: str
    job: tuple[str, ...]


_RANKS: Final = (
    _RankNames("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK",
               "OMPI_COMM_WORLD_LOCAL_SIZE", ("PMIX_NAMESPACE",)),
    _RankNames("MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE", "MV2_COMM_WORLD_LOCAL_RANK",
               "MV2_COMM_WORLD_LOCAL_SIZE", ("PMI_JOBID",)),
    _RankNames("PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS", ("PMI_JOBID",)),
    _RankNames("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID", "",
               ("SLURM_JOB_ID", "SLURM_STEP_ID")),
    _RankNames("FLUX_TASK_RANK", "FLUX_JOB_SIZE", "FLUX_TASK_LOCAL_ID", "",
               ("FLUX_JOB_ID",)),
)  # fmt: skip


def _local_size(environ: Environment, names: _RankNames) -> int:
    if names.local_size:
        return _number(environ, names.local_size)
    node = _number(environ, "SLURM_NODEID")
    try:
        return repeated(environ.get("SLURM_STEP_TASKS_PER_NODE", ""), node + 1)[node]
    except (ValueError, IndexError, MemoryError):
        return 1


def _n_hosts(environ: Environment) -> int:
    for name in ("OMPI_MCA_orte_num_nodes", "SLURM_STEP_NUM_NODES", "FLUX_JOB_NNODES"):
        if n := _number(environ, name):
            return n
    return 0


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 10


def _number(environ: Environment, name: str) -> int:
    """Return the number in a variable, 0 if it is none."""
    text = environ.get(name, "").strip() if name else ""
    return int(text) if _is_number(text) else 0


def find_allocation() -> Allocation:
    """Return what this process was given; raises as `detect` does."""
    return detect(os.environ, os.uname().nodename, ask_flux=_ask_flux)


def _ask_flux() -> str:
    """Return the hosts of this Flux instance.

    Raises:
        OSError: there is no ``flux``.
        ValueError: it does not say.
    """
    import subprocess

    command = ["flux", "getattr", "hostlist"]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30
        )
    except subprocess.TimeoutExpired:
        raise ValueError("flux getattr hostlist did not answer within 30 s") from None
    if done.returncode:
        raise ValueError(f"flux getattr hostlist: {done.stderr.strip() or done.returncode}")
    return done.stdout.strip()
