"""Launchers of engines for the batch systems beside Slurm, which differ in their rows mostly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hippodrome.launch.batch import BatchEngineSetLauncher
from hippodrome.launch.oldtraits import has_template


class PBSEngineSetLauncher(BatchEngineSetLauncher, name="pbs"):
    """Runs engines as jobs of PBS Pro or OpenPBS."""


class TorqueEngineSetLauncher(BatchEngineSetLauncher, name="torque"):
    """Runs engines as jobs of Torque."""


class SGEEngineSetLauncher(BatchEngineSetLauncher, name="sge"):
    """Runs engines as jobs of Grid Engine.

    There is one in each job, unless it is said how many, or a parallel environment is named.
    """

    @classmethod
    def share(cls, n: int, options: Mapping[str, Any]) -> tuple[int, int | str]:
        is_split = not {"jobs", "per_host", "parallel_environment"} & options.keys()
        if n and is_split and not has_template(options):
            return n, 1
        return super().share(n, options)


class LSFEngineSetLauncher(BatchEngineSetLauncher, name="lsf"):
    """Runs engines as jobs of LSF."""


class HTCondorEngineSetLauncher(BatchEngineSetLauncher, name="htcondor"):
    """Runs engines as jobs of HTCondor."""


class FluxEngineSetLauncher(BatchEngineSetLauncher, name="flux"):
    """Runs engines as jobs of Flux."""


class OAREngineSetLauncher(BatchEngineSetLauncher, name="oar"):
    """Runs engines as jobs of OAR."""
