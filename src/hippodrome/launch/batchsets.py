"""Launchers of engines for the batch systems beside Slurm, which differ in their rows mostly."""

from __future__ import annotations

from hippodrome.launch.batch import BatchEngineSetLauncher


class PBSEngineSetLauncher(BatchEngineSetLauncher, name="pbs"):
    """Runs engines as jobs of PBS Pro or OpenPBS."""


class TorqueEngineSetLauncher(BatchEngineSetLauncher, name="torque"):
    """Runs engines as jobs of Torque."""


class SGEEngineSetLauncher(BatchEngineSetLauncher, name="sge"):
    """Runs engines as jobs of Grid Engine."""


class LSFEngineSetLauncher(BatchEngineSetLauncher, name="lsf"):
    """Runs engines as jobs of LSF."""


class HTCondorEngineSetLauncher(BatchEngineSetLauncher, name="htcondor"):
    """Runs engines as jobs of HTCondor."""


class FluxEngineSetLauncher(BatchEngineSetLauncher, name="flux"):
    """Runs engines as jobs of Flux."""


class OAREngineSetLauncher(BatchEngineSetLauncher, name="oar"):
    """Runs engines as jobs of OAR."""
