"""``ipcluster doctor``: says what would keep a cluster from working, and whether anything."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import ClassVar, Final

from traitlets import Bool, Int, Unicode

from hippodrome.apps.base import Listed, Number, Switch, Text
from hippodrome.apps.clusterprogram import ClusterProgram, show
from hippodrome.apps.commandline import FlagOption
from hippodrome.apps.exitcodes import FAILED, OK, USAGE
from hippodrome.apps.launchers import ENGINE_LAUNCHERS

_PROGRAMS: Final[Mapping[str, tuple[str, ...]]] = {
    "ssh": ("ssh",),
    "slurm": ("sbatch", "squeue", "scancel"),
    "sge": ("qsub", "qstat", "qdel"),
    "pbs": ("qsub", "qstat", "qdel"),
    "torque": ("qsub", "qstat", "qdel"),
    "lsf": ("bsub", "bjobs", "bkill"),
    "htcondor": ("condor_submit", "condor_q", "condor_rm"),
    "flux": ("flux",),
    "oar": ("oarsub", "oarstat", "oardel"),
    "kubernetes": ("kubectl",),
    "mpi": ("mpiexec",),
}


class IPClusterDoctor(ClusterProgram):
    """Options of ``ipcluster doctor``."""

    name = "ipcluster doctor"
    description = (
        "Look at all that a cluster needs: files, ports, versions, limits and room, here and on "
        "other hosts, by ssh. Says first whether anything would fail."
    )
    examples = "ipcluster doctor\nipcluster doctor --hosts=gpu01,me@gpu02:2222 --port=5555"
    exit_codes: ClassVar[tuple[int, ...]] = (OK, FAILED, USAGE)

    engines: Text = Unicode(
        "local", help="How engines are to be started: whether the commands for that are there:"
    ).tag(config=True, value="LAUNCHER", completes="engine launcher", choices=ENGINE_LAUNCHERS)
    hosts: Text = Listed(help="Further hosts to look at, as ssh knows them, with commas.").tag(
        config=True, value="HOST", adds=True
    )
    python: Text = Unicode(help="The Python there.").tag(
        config=True, value="PROGRAM", default="the one here, else python3"
    )
    ip: Text = Listed(
        "auto", help="Where to listen for a moment, if no controller runs and there are --hosts."
    ).tag(config=True, value="ADDRESS", adds=True)
    port: Number = Int(0, min=0, max=65535, help="At which port.").tag(
        config=True, value="PORT", default="any that is free"
    )
    json: Switch = Bool(False, help="Say it as JSON, for programs.").tag(config=True)

    own_aliases: ClassVar[Mapping[str, str]] = {
        "engines": "engines",
        "hosts": "hosts",
        "python": "python",
        "ip": "ip",
        "port": "port",
    }
    own_flags: ClassVar[Mapping[str, FlagOption]] = {
        "json": FlagOption("json", True, "Say it as JSON, for programs."),
    }

    def start(self) -> int:
        from hippodrome.cluster.checkup import CheckOrder, as_json, check
        from hippodrome.cluster.findings import Level, verdict

        order = CheckOrder(
            self.find_profile_dir(),
            self.cluster_id,
            tuple(dict.fromkeys(filter(None, map(str.strip, self.hosts.split(","))))),
            self._programs(),
            self.python,
            self.port,
            self.ip,
        )
        made = check(order)
        if self.json:
            show(json.dumps(as_json(made), indent=2))
        else:
            show(verdict(made.findings))
            ranks = list(Level)
            for one in sorted(made.findings, key=lambda one: ranks.index(one.level)):
                show(f"{one.level.value:<5} {one.where:<8} {one.what}: {one.text}")
        return FAILED if any(one.level is Level.BAD for one in made.findings) else OK

    def _programs(self) -> tuple[str, ...]:
        needed = _PROGRAMS.get(self.engines.lower(), ())
        return tuple(dict.fromkeys([*needed, *(["ssh"] if self.hosts else [])]))
