"""What a batch system gave, read off an environment as each of them writes it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from hippodrome.launch.allocation import Allocation, AllocationError, Host, Rank, detect, find_rank
from hippodrome.launch.hostlists import columns, expand, pairs, repeated, same_host

FILES = {
    "/pbs": "n1\nn1\nn2\n\nn2\nn3.site\n",
    "/empty": "",
    "/pe": "n1.site 4 all.q@n1.site UNDEFINED\nn2.site 2 all.q@n2.site <NULL>\nn1.site 1 b.q@n1\n",
    "/pe2": "n1 4\nn2 3\n",
    "/bad": "n1 four all.q\n",
}


def read(path: str) -> str:
    if path not in FILES:
        raise FileNotFoundError(2, "No such file or directory", path)
    return FILES[path]


def found(environ: Mapping[str, str], hostname: str = "n1") -> Allocation:
    return detect(environ, hostname, read)


def hosts(environ: Mapping[str, str], hostname: str = "n1") -> dict[str, int]:
    return {host.name: host.slots for host in found(environ, hostname).hosts}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a", ["a"]),
        ("a[1-3,7]", ["a1", "a2", "a3", "a7"]),
        ("n[08-11]", ["n08", "n09", "n10", "n11"]),
        ("a,b[1-2]-ib,c", ["a", "b1-ib", "b2-ib", "c"]),
        ("r[0-1]n[1-2]", ["r0n1", "r0n2", "r1n1", "r1n2"]),
        (" a[1, 3] , b ", ["a1", "a3", "b"]),
        ("", []),
        ("n[3-1]", []),
    ],
)
def test_a_hostlist_names_hosts(text: str, names: list[str]) -> None:
    assert expand(text) == names


@pytest.mark.parametrize(
    "text", ["a[1-3", "a1-3]", "a[[1]]", "a[]", "a[x]", "a[1-999999999]", "a[1-300][1-300]", "a b"]
)
def test_what_is_no_hostlist_is_said(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        expand(text)


def test_numbers_of_cores_may_be_repeated() -> None:
    assert repeated("4(x2),2", 3) == [4, 4, 2]
    assert repeated("4(x3)", 2) == [4, 4]
    assert repeated("8", 3) == [8, 8, 8]
    assert repeated("4(x999999999)", 2) == [4, 4]
    assert repeated("", 2) == []
    with pytest.raises(ValueError, match="no list of numbers"):
        repeated("4(y2)", 2)


def test_hosts_come_with_their_slots() -> None:
    assert pairs("n1 4 n2 2 n1 1") == {"n1": 5, "n2": 2}
    assert columns(FILES["/pe"]) == {"n1.site": 5, "n2.site": 2}
    with pytest.raises(ValueError, match="number"):
        pairs("n1 4 n2")
    with pytest.raises(ValueError, match="number"):
        columns("n1\n")


@pytest.mark.parametrize(
    ("names", "host", "index"),
    [
        (["n1", "n2"], "n2", 1),
        (["n1.site", "n2.site"], "n2", 1),
        (["n1", "n2"], "N2.site.", 1),
        (["n1.a", "n1.b"], "n1.b", 1),
        (["n1.a", "n1.b"], "n1", None),
        (["n1.a"], "n1.b", None),
        (["n1"], "login", None),
        ([], "n1", None),
    ],
)
def test_this_host_is_found_with_or_without_its_domain(
    names: list[str], host: str, index: int | None
) -> None:
    assert same_host(names, host) == index


SLURM = {
    "SLURM_JOB_ID": "17",
    "SLURM_JOB_NODELIST": "n[1-3]",
    "SLURM_JOB_CPUS_PER_NODE": "4(x2),2",
    "SLURMD_NODENAME": "n1",
    "SLURM_CPUS_ON_NODE": "4",
    "SLURM_PROCID": "0",
}


def test_a_job_of_slurm() -> None:
    allocation = found({**SLURM, "SLURM_JOB_END_TIME": "1700000000"}, "elsewhere")
    assert allocation.system == "slurm"
    assert allocation.job == "17"
    assert allocation.hosts == (Host("n1", 4), Host("n2", 4), Host("n3", 2))
    assert allocation.here == 0
    assert allocation.slots_here == 4
    assert allocation.ends_at == 1700000000
    assert allocation.rank is None  # the script of a job has a number of a process, too


def test_a_shell_of_salloc_on_another_host() -> None:
    environ = {k: v for k, v in SLURM.items() if not k.startswith(("SLURMD", "SLURM_CPUS_ON"))}
    allocation = found(environ, "login")
    assert allocation.here is None
    assert allocation.slots_here == 0
    assert allocation.others == allocation.hosts


STEP = {
    **SLURM,
    "SLURM_STEP_ID": "0",
    "SLURM_STEP_NODELIST": "n[2-3]",
    "SLURM_STEP_NUM_TASKS": "3",
    "SLURM_STEP_NUM_NODES": "2",
    "SLURM_STEP_TASKS_PER_NODE": "2,1",
    "SLURM_PROCID": "1",
    "SLURM_LOCALID": "1",
    "SLURM_NODEID": "0",
    "SLURMD_NODENAME": "n2",
}


def test_a_process_of_srun_is_one_of_several_on_the_hosts_of_its_step() -> None:
    allocation = found(STEP)
    assert allocation.rank == Rank(1, 3, 1, 2, 2, "17-0")
    assert allocation.hosts == (Host("n2", 4), Host("n3", 2))


def test_the_shell_of_an_interactive_step_is_alone() -> None:
    assert found({**STEP, "SLURM_STEP_ID": "4294967290"}).rank is None


def test_jobs_of_pbs_and_torque() -> None:
    environ = {"PBS_JOBID": "5.head", "PBS_NODEFILE": "/pbs", "NCPUS": "1"}
    assert hosts(environ) == {"n1": 2, "n2": 2, "n3.site": 1}
    assert found(environ, "n3").here == 2
    assert found(environ).system == "pbs"
    assert [h.first for h in found(environ).hosts] == [0, 2, 4]
    assert hosts({**environ, "NCPUS": "8"}) == {"n1": 8, "n2": 8, "n3.site": 8}
    assert found({**environ, "PBS_VERSION": "TORQUE-6.1"}).system == "torque"
    assert hosts({"PBS_JOBID": "5", "PBS_NODEFILE": "/empty"}) == {"n1": 0}
    assert hosts({"PBS_JOBID": "5"}) == {"n1": 0}


def test_a_job_of_grid_engine() -> None:
    environ = {"JOB_ID": "8", "SGE_ROOT": "/sge", "NSLOTS": "7", "PE_HOSTFILE": "/pe"}
    assert hosts(environ) == {"n1.site": 5, "n2.site": 2}
    assert found(environ).here == 0
    assert hosts({**environ, "PE_HOSTFILE": "/pe2"}) == {"n1": 4, "n2": 3}
    assert hosts({"JOB_ID": "8", "SGE_ROOT": "/sge", "NSLOTS": "1"}) == {"n1": 1}
    assert found({"JOB_ID": "8"}) == Allocation()  # which others call something, too


def test_a_job_of_lsf() -> None:
    assert hosts({"LSB_JOBID": "3", "LSB_MCPU_HOSTS": "n1 4 n2 2 "}) == {"n1": 4, "n2": 2}
    assert hosts({"LSB_JOBID": "3", "LSB_HOSTS": "n1 n1 n2"}) == {"n1": 2, "n2": 1}
    assert hosts({"LSB_JOBID": "3", "LSB_DJOB_HOSTFILE": "/pbs"})["n2"] == 2


def test_a_job_of_oar() -> None:
    assert hosts({"OAR_JOB_ID": "3", "OAR_NODEFILE": "/pbs"})["n2"] == 2


def test_an_instance_of_flux_is_asked() -> None:
    environ = {"FLUX_URI": "local:///x", **SLURM}
    allocation = detect(environ, "n2", read, lambda: "n[1-2]\n")
    assert [host.name for host in allocation.hosts] == ["n1", "n2"]
    assert allocation.system == "flux"
    assert allocation.here == 1


@pytest.mark.parametrize(
    "environ",
    [
        {**SLURM, "SLURM_JOB_NODELIST": "n[1-"},
        {**SLURM, "SLURM_JOB_CPUS_PER_NODE": "many"},
        {"PBS_JOBID": "5", "PBS_NODEFILE": "/missing"},
        {"JOB_ID": "8", "SGE_ROOT": "/sge", "PE_HOSTFILE": "/bad"},
        {"LSB_JOBID": "3", "LSB_MCPU_HOSTS": "n1"},
    ],
)
def test_what_makes_no_sense_is_said_in_a_sentence(environ: dict[str, str]) -> None:
    with pytest.raises(
        AllocationError, match=r"this is a job of \w+, but its hosts cannot be read"
    ):
        found(environ)


def test_nothing_is_no_allocation() -> None:
    assert found({}) == Allocation()
    assert found({"SLURM_JOB_ID": "", "PBS_JOBID": ""}) == Allocation()


def test_ranks_of_mpi() -> None:
    open_mpi = {
        "OMPI_COMM_WORLD_RANK": "3",
        "OMPI_COMM_WORLD_SIZE": "4",
        "OMPI_COMM_WORLD_LOCAL_RANK": "1",
        "OMPI_COMM_WORLD_LOCAL_SIZE": "2",
        "OMPI_MCA_orte_num_nodes": "2",
        "PMIX_NAMESPACE": "99",
    }
    assert find_rank(open_mpi) == Rank(3, 4, 1, 2, 2, "99")
    assert found({**STEP, **open_mpi}).rank == Rank(3, 4, 1, 2, 2, "99")  # mpirun's, in a job
    assert find_rank({"PMI_RANK": "0", "PMI_SIZE": "2"}) == Rank(0, 2)
    assert find_rank({"PMI_RANK": "2", "PMI_SIZE": "2"}) is None
    assert find_rank({"PMI_RANK": "x", "PMI_SIZE": "2"}) is None
    assert find_rank({**open_mpi, "OMPI_COMM_WORLD_LOCAL_SIZE": "9"}) == Rank(3, 4, 0, 1, 2, "99")
