"""How many cores are ours, by each of those who may say it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from hippodrome.launch.allocation import Allocation, Host, Rank
from hippodrome.launch.cores import (
    THREAD_VARIABLES,
    quota_cores,
    share,
    share_of,
    thread_caps,
    usable_cores,
)

V2 = "25 30 0:22 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw"
V1 = "31 25 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct"


def quota(files: dict[str, str]) -> int:
    def read(path: str) -> str:
        if path not in files:
            raise FileNotFoundError(path)
        return files[path]

    return quota_cores(read)


def v2(group: str, limits: dict[str, str], mount: str = V2) -> int:
    limits = {f"/sys/fs/cgroup{folder}/cpu.max": text for folder, text in limits.items()}
    own = {"/proc/self/cgroup": f"0::{group}\n", "/proc/self/mountinfo": f"{mount}\n"}
    return quota(own | limits)


@pytest.mark.parametrize(
    ("group", "limits", "cores"),
    [
        ("/", {"": "200000 100000\n"}, 2),
        ("/a/b", {"/a/b": "max 100000\n", "/a": "300000 100000\n"}, 3),
        ("/a/b", {"/a/b": "100000 100000\n", "/a": "300000 100000\n"}, 1),
        ("/a", {"/a": "50000 100000\n"}, 1),
        ("/a", {"/a": "150000 100000\n"}, 2),
        ("/a", {"/a": "max 100000\n"}, 0),
        ("/a", {"/a": "nonsense"}, 0),
        ("/a", {"/a": "1 0"}, 0),
        ("/a", {}, 0),
    ],
)
def test_a_quota_counts_wherever_it_is_set(group: str, limits: dict[str, str], cores: int) -> None:
    assert v2(group, limits) == cores


def test_a_quota_counts_inside_a_container() -> None:
    mount = V2.replace(" / /sys", " /docker/1f /sys")
    assert v2("/docker/1f", {"": "200000 100000"}, mount) == 2
    assert v2("/../../x", {"/x": "200000 100000"}) == 2


def test_a_quota_counts_with_the_older_control_groups() -> None:
    folder = "/sys/fs/cgroup/cpu,cpuacct/job"
    files = {
        "/proc/self/cgroup": "4:memory:/other\n3:cpu,cpuacct:/job/task\n0::/x\n",
        "/proc/self/mountinfo": f"{V1}\n",
        f"{folder}/task/cpu.cfs_quota_us": "-1\n",
        f"{folder}/task/cpu.cfs_period_us": "100000\n",
        f"{folder}/cpu.cfs_quota_us": "250000\n",
        f"{folder}/cpu.cfs_period_us": "100000\n",
    }
    assert quota(files) == 3


@pytest.mark.parametrize("text", ["", "\0", "a b c d e f - cgroup2", ":::\n0:", "1 2 3 4 5 6 -"])
def test_odd_files_are_no_quota(text: str) -> None:
    assert quota({"/proc/self/cgroup": text, "/proc/self/mountinfo": text}) == 0
    assert quota({"/proc/self/cgroup": text, "/proc/self/mountinfo": V2}) == 0


def test_what_the_batch_system_said_counts() -> None:
    assert usable_cores(Allocation("slurm", "1", (Host("n1", 1),), 0)) == 1
    all_of_them = usable_cores(Allocation())
    assert usable_cores(Allocation("slurm", "1", (Host("n1", 9999),), 0)) == all_of_them
    assert usable_cores(Allocation("slurm", "1", (Host("n1", 1),), None)) == all_of_them


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs an affinity")
def test_the_affinity_counts_not_how_many_cores_there_are() -> None:
    one = min(os.sched_getaffinity(0))
    code = (
        f"import os; os.sched_setaffinity(0, [{one}])\n"
        "import hippodrome as ipp; print(ipp.Cluster().n, ipp.Cluster(n='auto').n)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "1"]


@pytest.mark.parametrize(
    ("local_size", "cores", "around", "mine"),
    [
        (4, 1, 4, 1),  # each bound to one
        (4, 8, 8, 2),  # bound to none
        (4, 8, 16, 4),  # two of them to each socket
        (4, 2, 2, 1),  # more processes than cores
        (1, 6, 64, 6),
        (2, 6, 0, 3),  # nobody knows about whoever started them
    ],
)
def test_ranks_share_the_cores_of_a_host(
    local_size: int, cores: int, around: int, mine: int
) -> None:
    assert share_of(Rank(0, 64, 0, local_size), cores, around) == mine


def test_ranks_share_the_engines_of_a_host() -> None:
    assert [share(6, Rank(i, 4, i, 4)) for i in range(4)] == [2, 2, 1, 1]
    assert [share(1, Rank(i, 2, i, 2)) for i in range(2)] == [1, 1]


def test_threads_are_the_cores_of_an_engine() -> None:
    assert set(thread_caps(8, 4, {}).values()) == {"2"}
    assert set(thread_caps(2, 4, {}).values()) == {"1"}
    assert set(thread_caps(2, 0, {})) == set(THREAD_VARIABLES)


def test_threads_are_what_the_user_has_said() -> None:
    assert thread_caps(8, 4, {"OMP_NUM_THREADS": "8"}) == {}
    others = thread_caps(8, 4, {"MKL_NUM_THREADS": "8"})
    assert "MKL_NUM_THREADS" not in others
    assert others["OMP_NUM_THREADS"] == "2"
    of_pbs = {"OMP_NUM_THREADS": "8", "NCPUS": "8"}
    assert thread_caps(8, 4, of_pbs)["OMP_NUM_THREADS"] == "2"
