"""What `ipcluster launchers` tells, and what `--dry-run` and `script` show of what is submitted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import hippodrome as ipp
from hippodrome.errors import LaunchError
from support.processes import Site
from support.standin import stand_in


def test_each_launcher_is_listed_with_whether_it_is_installed(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with stand_in("lsf", tmp_path, monkeypatch):
        listed = site.run("ipcluster", "launchers", "--json")
        shown = site.run("ipcluster", "launchers")
    found = {note["name"]: note for note in json.loads(listed.stdout)}
    assert found["local"]["installed"]
    assert found["lsf"]["installed"]
    assert found["lsf"]["program"] == "bsub"
    assert not found["flux"]["installed"]
    assert {"time", "queue", "batch_template"} <= {*found["slurm"]["options"]}
    assert "no flux" in shown.stdout


@pytest.mark.parametrize(
    ("system", "command", "line"),
    [
        ("slurm", "sbatch --parsable ", "#SBATCH --time=01:00:00"),
        ("pbs", "qsub ", "#PBS -l walltime=01:00:00"),
        ("torque", "qsub ", "#PBS -l nodes=1:ppn=2"),
        ("sge", "qsub -terse ", "#$ -l h_rt=01:00:00"),
        ("lsf", "bsub < ", "#BSUB -W 60"),
        ("htcondor", "condor_submit -terse ", "allowed_execute_duration = 3600"),
        ("flux", "flux batch ", "#flux: --time-limit=3600s"),
        ("oar", "oarsub -S ", "#OAR -l /nodes=1/core=2,walltime=01:00:00"),
    ],
)
def test_a_dry_run_shows_what_would_be_submitted_and_does_nothing(
    site: Site, system: str, command: str, line: str
) -> None:
    jobs = ["--jobs=1"] if system == "sge" else []
    shown = site.run(
        "ipcluster", "start", f"--engines={system}", "-n2", "--time=1h", "--dry-run", *jobs
    )
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.startswith(f"# {command}")
    assert line in shown.stdout.splitlines()
    assert not [*(site.ipython_dir / "profile_default").glob("log/*")]


def test_what_is_shown_is_what_is_submitted(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))  # a login's files are not to be read
    with stand_in("slurm", tmp_path, monkeypatch) as batch:
        cluster = ipp.Cluster(engines="slurm", n=1, time="1h")
        script = cluster.script()
        with cluster:
            submitted = batch.last.script
    own = str(Path(batch.called("sbatch")[0][-1]).parent)
    shown = next(word for word in script.split("'") + script.split() if word.endswith("/stop"))
    assert script.replace(str(Path(shown).parent), own) == submitted


def test_a_cluster_of_this_host_has_no_script(site: Site) -> None:
    with pytest.raises(LaunchError, match="submits no script"):
        ipp.Cluster(n=1).script()
    assert ipp.Cluster(n=1).submissions() == {}
