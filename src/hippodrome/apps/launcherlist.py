"""``ipcluster launchers``: shows which launchers there are, and which can be used here."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

from traitlets import Bool

from hippodrome.apps.base import Switch
from hippodrome.apps.clusterprogram import ClusterProgram, remark, show
from hippodrome.apps.commandline import FlagOption
from hippodrome.apps.exitcodes import OK
from hippodrome.apps.words import table
from hippodrome.cluster.cluster import Cluster
from hippodrome.errors import LaunchError
from hippodrome.launch.base import EngineSetLauncher
from hippodrome.launch.find import CONTROLLERS, ENGINE_SETS, engine_launcher, launcher_names

_COLUMNS = ("LAUNCHER", "STARTS", "INSTALLED", "WHAT IT DOES")


@dataclass(frozen=True, slots=True)
class LauncherNote:
    """One launcher.

    Attributes:
        name: what ``--engines`` calls it.
        starts: engines, or engines and controller.
        installed: whether its programs are here; None if it does not say what it needs.
        program: the program that it needs first; empty if none.
        what: what it does, in a sentence.
        options: which options of launchers it takes.
        why: why it cannot be used, if that is so.
    """

    name: str
    starts: str
    installed: bool | None
    program: str
    what: str
    options: tuple[str, ...] = ()
    why: str = ""


class IPClusterLaunchers(ClusterProgram):
    """Options of ``ipcluster launchers``."""

    name = "ipcluster launchers"
    description = "List the launchers, and which of them can be used here."
    examples = "ipcluster launchers\nipcluster launchers --json"

    json: Switch = Bool(False, help="Show JSON, for programs.").tag(config=True)
    own_flags: ClassVar[dict[str, FlagOption]] = {
        "json": FlagOption("json", True, "Show JSON, for programs.")
    }

    def start(self) -> int:
        notes = launcher_notes()
        if self.json:
            show(json.dumps([asdict(note) for note in notes], indent=2))
            return OK
        for line in table([_COLUMNS, *map(_row, notes)]):
            show(line)
        for note in notes:
            if note.why:
                remark(f"{note.name}: {note.why}")
        return OK


def launcher_notes() -> list[LauncherNote]:
    """Return what there is to say of each launcher of engines."""
    controllers = set(launcher_names(CONTROLLERS))
    return [_note(name, name in controllers) for name in launcher_names(ENGINE_SETS)]


def _note(name: str, has_controller: bool) -> LauncherNote:
    starts = "engines, controller" if has_controller else "engines"
    try:
        kind = engine_launcher(name)
    except LaunchError as error:
        return LauncherNote(name, starts, False, "", "", why=str(error))
    what = (kind.__doc__ or "").strip().partition("\n")[0]
    program = _program(kind)
    installed = None if program is None else not program or _is_here(name, program)
    options = tuple(option.name for option in kind.OPTIONS)
    return LauncherNote(name, starts, installed, program or "", what, options)


def _program(kind: type[EngineSetLauncher]) -> str | None:
    """Return the program that a launcher needs first; None if nobody knows."""
    if kind.name == "local":
        return ""
    system = getattr(kind, "system", None)
    return {"ssh": "ssh", "mpi": "mpiexec"}.get(kind.name) if system is None else system.submit[0]


def _is_here(name: str, program: str) -> bool:
    """Whether a program is installed; Grid Engine's and the two PBS' are called alike."""
    path = shutil.which(program)
    if path is None or program != "qsub":
        return path is not None
    is_grid_engine = (Path(path).parent / "qconf").exists()
    return is_grid_engine == (name == "sge")


def _row(note: LauncherNote) -> tuple[str, ...]:
    installed = "?" if note.installed is None else "yes" if note.installed else "no"
    if note.program and not note.installed:
        installed = f"no {note.program}"
    return note.name, note.starts, installed, note.what


def show_submissions(cluster: Cluster) -> int:
    """Print what a cluster would submit, and return the exit code."""
    found = cluster.submissions()
    if not found:
        name = cluster.engine_launcher_class.name
        show(f"nothing is submitted: --engines={name} starts engines itself")
    for command, text in found.items():
        show(f"# {command}\n{text}")
    return OK
