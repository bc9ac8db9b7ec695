"""An environment may be anything: an allocation, a sentence about what is wrong, or nothing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hippodrome.launch.allocation import Allocation, AllocationError, detect
from hippodrome.launch.cores import quota_cores
from hippodrome.launch.hostlists import MOST_HOSTS, expand, repeated

NAMES = [
    "FLUX_URI",
    "FLUX_TASK_RANK",
    "FLUX_JOB_SIZE",
    "SLURM_JOB_ID",
    "SLURM_JOB_NODELIST",
    "SLURM_STEP_NODELIST",
    "SLURM_JOB_CPUS_PER_NODE",
    "SLURM_STEP_ID",
    "SLURM_STEP_NUM_TASKS",
    "SLURM_STEP_TASKS_PER_NODE",
    "SLURM_NODEID",
    "SLURM_LOCALID",
    "SLURM_PROCID",
    "SLURMD_NODENAME",
    "SLURM_CPUS_ON_NODE",
    "SLURM_JOB_END_TIME",
    "PBS_JOBID",
    "PBS_NODEFILE",
    "NCPUS",
    "PBS_NUM_PPN",
    "LSB_JOBID",
    "LSB_MCPU_HOSTS",
    "LSB_HOSTS",
    "LSB_DJOB_HOSTFILE",
    "JOB_ID",
    "SGE_ROOT",
    "NSLOTS",
    "PE_HOSTFILE",
    "OAR_JOB_ID",
    "OAR_NODEFILE",
    "OMPI_COMM_WORLD_RANK",
    "OMPI_COMM_WORLD_SIZE",
    "OMPI_COMM_WORLD_LOCAL_SIZE",
    "PMI_RANK",
    "PMI_SIZE",
]
PIECES = [
    "a",
    "n1",
    "[1-3,7]",
    "[01-12]",
    "[",
    "]",
    "-",
    ",",
    "4(x2)",
    "(x",
    " ",
    "\n",
    "²",
    "1",
    "2",
]
odd = st.one_of(
    st.text(max_size=20), st.lists(st.sampled_from(PIECES), max_size=8).map("".join), st.just("")
)


@given(st.dictionaries(st.sampled_from(NAMES), odd), odd, odd)
def test_an_environment_is_understood_or_refused(
    environ: dict[str, str], hostname: str, text: str
) -> None:
    try:
        found = detect(environ, hostname, lambda path: text, lambda: text)
    except AllocationError as error:
        assert_says_something(str(error))
        return
    assert isinstance(found, Allocation)
    assert found.here is None or 0 <= found.here < len(found.hosts)
    assert bool(found.hosts) is bool(found.system)
    if found.rank is not None:
        assert 0 <= found.rank.rank < found.rank.size
        assert 0 <= found.rank.local_rank < found.rank.local_size <= found.rank.size


def assert_says_something(text: str) -> None:
    assert text.strip()


@given(odd)
def test_hostlists_and_numbers_are_understood_or_refused(text: str) -> None:
    for understand in (expand, lambda text: repeated(text, 3)):
        try:
            assert len(understand(text)) <= MOST_HOSTS
        except ValueError as error:
            refused = str(error)
            assert_says_something(refused)


@given(st.lists(st.text("abn", min_size=1, max_size=3), min_size=1, max_size=6))
def test_plain_names_are_a_hostlist(names: list[str]) -> None:
    assert expand(",".join(names)) == names


@given(st.integers(0, 50), st.integers(0, 50), st.integers(1, 4))
def test_a_range_counts_up(first: int, more: int, width: int) -> None:
    numbers = range(first, first + more + 1)
    written = f"n[{str(first).zfill(width)}-{first + more}]"
    assert expand(written) == [f"n{str(i).zfill(max(width, len(str(first))))}" for i in numbers]


@given(odd, odd, odd)
def test_files_of_control_groups_may_be_anything(cgroup: str, mounts: str, text: str) -> None:
    files = {"/proc/self/cgroup": f"0::/{cgroup}", "/proc/self/mountinfo": mounts}
    assert quota_cores(lambda path: files.get(path, text)) >= 0
