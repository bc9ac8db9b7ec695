"""Where all programs of the stand-ins begin, and how they are put on PATH."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path

from fakes.store import Store
from fakes.talk import Refused

PROGRAMS = {
    "pbs": ("qsub", "qstat", "qdel", "qsig"),
    "torque": ("qsub", "qstat", "qdel", "qsig"),
    "sge": ("qsub", "qstat", "qdel", "qacct", "qconf"),
    "lsf": ("bsub", "bjobs", "bkill"),
    "htcondor": ("condor_submit", "condor_q", "condor_rm", "condor_history"),
    "flux": ("flux",),
    "oar": ("oarsub", "oarstat", "oardel"),
    "kubernetes": ("kubectl",),
    "slurm": ("sbatch", "squeue", "scancel", "sacct", "scontrol", "sinfo"),
}
_MODULES = {"torque": "pbs"}


def main(system: str, program: str, root: str) -> int:
    """Be *program* of *system*."""
    store = Store(root)
    words = sys.argv[1:]
    store.note_call(program, words)
    try:
        module = import_module(f"fakes.{_MODULES.get(system, system)}")
        code: int = module.run(store, program, words, system)
    except Refused as refused:
        print(refused, file=sys.stderr)
        return refused.code
    return code


def put_on_path(system: str, folder: Path, root: Path) -> Path:
    """Make the programs of *system* in *folder*, with their state in *root*; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    home = str(Path(__file__).resolve().parents[1])
    for program in PROGRAMS[system]:
        path = folder / program
        path.write_text(
            f"#!{sys.executable} -SE\n"
            "import sys\n"
            f"sys.path.insert(0, {home!r})\n"
            "from fakes.main import main\n"
            f"sys.exit(main({system!r}, {program!r}, {os.fspath(root)!r}))\n"
        )
        path.chmod(0o755)
    return folder
