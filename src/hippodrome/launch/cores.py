"""How many cores are ours: by affinity, by quota of control groups, by what a batch system said.

Never how many there are: a container of two cores on a machine of 64 has two.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import PurePosixPath
from typing import Final

from hippodrome.launch.allocation import Allocation, AllocationError, Rank, find_allocation

# Of libraries that compute with threads of their own, as many as there are cores unless told.
THREAD_VARIABLES: Final = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "RAYON_NUM_THREADS",
)
ReadText = Callable[[str], str]


def usable_cores(allocation: Allocation | None = None) -> int:
    """Return how many cores this process, and the engines that it starts here, may use.

    Args:
        allocation: what a batch system gave us; by default it is looked for.
    """
    if allocation is None:
        try:
            allocation = find_allocation()
        except AllocationError:  # whoever needs its hosts will say so
            allocation = Allocation()
    limits = [_affinity(0), quota_cores(_read), allocation.slots_here]
    cores = min(limit for limit in limits if limit)
    return cores if allocation.rank is None else share_of(allocation.rank, cores, _around())


def share_of(rank: Rank, cores: int, cores_around: int) -> int:
    """Return how many cores are one rank's own.

    Args:
        rank: which one.
        cores: how many it may use, with others or alone.
        cores_around: how many whoever started the ranks of this host may use.
    """
    together = max(cores, cores_around) if cores_around else cores
    return max(1, min(cores, together // rank.local_size))


def share(n: int, rank: Rank) -> int:
    """Return how many of a host's *n* engines this rank starts: each of them one at least."""
    each, rest = divmod(n, rank.local_size)
    return max(1, each + (rank.local_rank < rest))


def thread_caps(cores: int, n: int, environ: Mapping[str, str]) -> dict[str, str]:
    """Return what lets each of *n* engines on *cores* use no more threads than its share.

    Args:
        cores: how many there are.
        n: how many engines share them.
        environ: what is set already. The first of the variables counts for all libraries, and a
            user who has set it has decided; some batch systems set it to all cores of the job.
    """
    general = THREAD_VARIABLES[0]
    given = environ.get(general)
    is_systems = given is not None and given == environ.get("NCPUS")
    if given is not None and not is_systems:
        return {}
    cap = str(max(1, cores // max(n, 1)))
    return {
        name: cap
        for name in THREAD_VARIABLES
        if name not in environ or (is_systems and environ[name] == given)
    }


def _affinity(pid: int) -> int:
    """Return how many cores a process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(pid))
    return os.cpu_count() or 1


def _around() -> int:
    with suppress(OSError):
        return _affinity(os.getppid())
    return 0


def quota_cores(read: ReadText) -> int:
    """Return how many cores the quota of this process's control groups allows; 0 for no limit.

    Args:
        read: returns the content of a file.
    """
    quotas = [quota for quota in _quotas(read) if quota > 0]
    return max(1, math.ceil(min(quotas))) if quotas else 0


def _quotas(read: ReadText) -> Iterator[float]:
    """Yield the quotas of this process's control groups, and of those around them."""
    with suppress(OSError):
        groups = [line.split(":", 2) for line in read("/proc/self/cgroup").splitlines()]
        for mount, root, is_v1 in _mounts(read("/proc/self/mountinfo")):
            quota = _quota_v1 if is_v1 else _quota_v2
            for fields in groups:
                if len(fields) == 3 and _is_of_cpu(fields, is_v1=is_v1):
                    for folder in _folders(mount, root, fields[2]):
                        yield quota(read, folder)


def _mounts(text: str) -> Iterator[tuple[str, str, bool]]:
    """Yield where control groups are mounted, which one is there, and whether by the older way."""
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        where, what = before.split(), after.split()
        if len(where) < 6 or len(what) < 3 or what[0] not in ("cgroup", "cgroup2"):
            continue
        is_v1 = what[0] == "cgroup"
        if not is_v1 or "cpu" in what[2].split(","):
            yield where[4], where[3], is_v1


def _is_of_cpu(fields: list[str], *, is_v1: bool) -> bool:
    return "cpu" in fields[1].split(",") if is_v1 else fields[0] == "0"


def _folders(mount: str, root: str, group: str) -> Iterator[PurePosixPath]:
    """Yield the folder of a control group, then of those around it, as far as they are mounted."""
    try:
        inner = PurePosixPath(group).relative_to(root)
    except ValueError:  # it is seen from inside a container
        inner = PurePosixPath(group.lstrip("/") if root == "/" else "")
    parts = [part for part in inner.parts if part != ".."]
    for n in range(len(parts), -1, -1):
        yield PurePosixPath(mount, *parts[:n])


def _quota_v2(read: ReadText, folder: PurePosixPath) -> float:
    with suppress(OSError, ValueError, ZeroDivisionError):
        most, period = read(f"{folder}/cpu.max").split()
        return 0.0 if most == "max" else int(most) / int(period)
    return 0.0


def _quota_v1(read: ReadText, folder: PurePosixPath) -> float:
    with suppress(OSError, ValueError, ZeroDivisionError):
        most = int(read(f"{folder}/cpu.cfs_quota_us"))
        return max(0.0, most / int(read(f"{folder}/cpu.cfs_period_us")))
    return 0.0


def _read(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read(1 << 20)
