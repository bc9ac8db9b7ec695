"""Scripts and configuration files written for ipyparallel's batch launchers do what they say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import hippodrome as ipp
from hippodrome.errors import LaunchError
from support.processes import Site
from support.standin import StandIn, emptied_stand_in

# As users have them: an array of engines, or several started by another program.
TEMPLATES = {
    "pbs": "#!/bin/sh\n#PBS -N ipython\n#PBS -J 1-{n}\ncd $PBS_O_WORKDIR\n{program_and_args}\n",
    "torque": """
        #!/bin/sh
        #PBS -N ipython
        #PBS -t 1-{n}
        export PATH=$HOME/usr/local/bin:$PATH
        {program_and_args}
        """,
    "sge": "#$ -V\n#$ -S /bin/sh\n#$ -t 1-{n}\n{program_and_args}\n",
    "lsf": "#!/bin/sh\n#BSUB -J ipengine[1-{n}]\n{program_and_args} --log-level=DEBUG\n",
    "htcondor": "universe = vanilla\nexecutable = {program}\narguments = {program_args}\n"
    "queue {n}\n",
    "slurm": "#!/bin/sh\n#SBATCH --ntasks={n//1}\nfor i in $(seq {n}); do {program_and_args} &\n"
    "done\nwait\n",
    "oar": "#!/bin/sh\n{program_and_args}\n",
    "flux": "#!/bin/sh\n#flux: -n1\n{program_and_args}\n",
}


@pytest.fixture
def batch(
    request: pytest.FixtureRequest, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[StandIn]:
    with emptied_stand_in(request.param, tmp_path, monkeypatch) as store:
        yield store


@pytest.mark.parametrize("batch", sorted(TEMPLATES), indirect=True)
def test_a_template_starts_as_many_engines_as_are_wanted(batch: StandIn) -> None:
    template = TEMPLATES[batch.system]
    cluster = ipp.Cluster(engines=batch.system, n=2, batch_template=template, time="2h")
    with cluster as rc:
        assert len(rc.ids) == 2
        assert rc[:].map_sync(abs, [-1, -2]) == [1, 2]
    assert len(batch.jobs()) == 1
    if batch.system != "htcondor":
        assert batch.last.limit_s == 7200  # it is not in the template, and not lost


CONFIG = """
c.IPClusterStart.engine_launcher_class = "{launcher}"
c.IPClusterStart.n = 2
c.{section}.queue = "{queue}"
c.BatchSystemLauncher.namespace = {{"greeting": "hello"}}
c.{section}.batch_template = '''{template}'''
"""


@pytest.mark.parametrize(
    ("batch", "launcher", "queue", "line"),
    [
        ("pbs", "PBSEngineSetLauncher", "gpu", "#PBS -q gpu"),
        (
            "slurm",
            "ipyparallel.cluster.launcher.SlurmEngineSetLauncher",
            "long",
            "--partition=long",
        ),
        ("sge", "IPython.parallel.apps.launcher.SGEEngineSetLauncher", "short.q", "#$ -q short.q"),
        ("lsf", "LSF", "short", "#BSUB -q short"),
    ],
    indirect=["batch"],
)
def test_a_configuration_file_for_ipyparallel_is_heeded(
    batch: StandIn, site: Site, launcher: str, queue: str, line: str
) -> None:
    profile = site.ipython_dir / "profile_default"
    profile.mkdir(parents=True, exist_ok=True)
    section = {"pbs": "PBS", "slurm": "Slurm", "sge": "SGE", "lsf": "LSF"}[batch.system]
    text = CONFIG.format(
        launcher=launcher,
        section=f"{section}EngineSetLauncher",
        queue=queue,
        template=TEMPLATES[batch.system] + "\n# {greeting}, {cluster_id}\n",
    )
    (profile / "ipcluster_config.py").write_text(text)
    started = site.run("ipcluster", "start", "--daemonize", "--cluster-id=x")
    assert started.returncode == 0, started.stderr
    with ipp.Client(cluster_id="x") as rc:
        assert rc[:].apply_sync(abs, -1) == [1, 1]
    assert line in batch.last.script
    assert "# hello, x" in batch.last.script
    stopped = site.run("ipcluster", "stop", "--cluster-id=x")
    assert stopped.returncode == 0, stopped.stderr
    assert not batch.unfinished()


@pytest.mark.parametrize("batch", ["slurm"], indirect=True)
def test_options_of_slurm_have_an_effect(batch: StandIn) -> None:
    with ipp.Cluster(
        engines="slurm", n=1, options="--mem=3G --constraint=rome", timelimit="1:00:00", qos="high"
    ) as rc:
        assert len(rc.ids) == 1
    lines = batch.last.script.splitlines()
    assert "#SBATCH --mem=3G --constraint=rome" in lines
    assert "#SBATCH --qos=high" in lines
    assert batch.last.limit_s == 3600


@pytest.mark.parametrize("batch", ["sge"], indirect=True)
def test_scripts_for_grid_engine_have_lines_for_it_only(batch: StandIn) -> None:
    with ipp.Cluster(engines="sge", n=2) as rc:
        assert len(rc.ids) == 2
    assert "#PBS" not in batch.last.script
    assert [job.extra["slots"] for job in batch.jobs()] == [1, 1]


@pytest.mark.parametrize("batch", ["slurm"], indirect=True)
def test_two_clusters_have_scripts_of_their_own(batch: StandIn) -> None:
    options = {"engines": "slurm", "n": 1, "batch_file_name": "mine.sbatch"}
    with ipp.Cluster(**options), ipp.Cluster(**options):
        scripts = [argv[-1] for argv in batch.called("sbatch")]
    assert len({*scripts}) == 2
    assert {Path(script).name for script in scripts} == {"0-mine.sbatch"}


@pytest.mark.parametrize("batch", ["pbs"], indirect=True)
def test_commands_and_the_environment_are_the_users(batch: StandIn, tmp_path: Path) -> None:
    def variable(name: str) -> str | None:
        import os

        return os.environ.get(name)

    wrapper = tmp_path / "mysub"
    wrapper.write_text('#!/bin/sh\necho submitted: $(qsub "$@")\n')
    wrapper.chmod(0o755)
    with ipp.Cluster(
        engines="PBS",
        n=1,
        submit_command=[str(wrapper), "-q", "gpu"],
        job_id_regexp=r"submitted: (\S+)",
        job_id_regexp_group=1,
        environment={"OMP_NUM_THREADS": "3"},
    ) as rc:
        assert rc[:].apply_sync(variable, "OMP_NUM_THREADS") == ["3"]
    assert batch.last.queue == "gpu"


@pytest.mark.parametrize("batch", ["pbs"], indirect=True)
def test_a_template_that_cannot_be_filled_is_said_with_its_line(
    batch: StandIn, tmp_path: Path
) -> None:
    file = tmp_path / "mine.tpl"
    file.write_text("#!/bin/sh\n#PBS -l walltime={walltime}\n{program_and_args}\n")
    with pytest.raises(LaunchError, match="line 2: name 'walltime' is not defined"):
        ipp.Cluster(engines="pbs", n=1, batch_template_file=str(file)).start_cluster_sync()
    assert not batch.jobs()


def test_a_controller_is_no_job() -> None:
    with pytest.raises(LaunchError, match="there is no launcher 'slurm'; there are: "):
        ipp.Cluster(controller="slurm")
