"""The subcommands of ``ipcluster`` share these options, steps and ways to speak."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass
from typing import ClassVar, Final, TextIO

from traitlets.config import Configurable

from hippodrome.apps.base import Program
from hippodrome.apps.commandline import UsageError
from hippodrome.apps.exitcodes import NoCluster
from hippodrome.apps.words import options_of
from hippodrome.cluster.found import Found, find_cluster, find_clusters
from hippodrome.launch.options import SECTIONS, SSH_CONTROLLER

log: logging.Logger = logging.getLogger(__name__)


SUBCOMMAND_CLASSES: Final = (
    "IPClusterClean",
    "IPClusterDoctor",
    "IPClusterEngines",
    "IPClusterLaunchers",
    "IPClusterList",
    "IPClusterLogs",
    "IPClusterRun",
    "IPClusterStart",
    "IPClusterStatus",
    "IPClusterStop",
)
# What a file says of them is for those who start engines.
_OF_ENGINES: Final = (name for names in SECTIONS.values() for name in names)
LAUNCHER_CLASSES: Final = (*_OF_ENGINES, SSH_CONTROLLER)


class ClusterProgram(Program):
    """The options and steps that all subcommands share."""

    config_name = "ipcluster"
    siblings: ClassVar[tuple[str, ...]] = (*SUBCOMMAND_CLASSES, *LAUNCHER_CLASSES)

    def find_one(self) -> Found:
        """Return the cluster that an argument or ``--cluster-id`` names.

        Raises:
            UsageError: several are named.
            NoCluster: there is none of this id.
        """
        if len(self.arguments) > 1:
            raise UsageError(f"one cluster at a time, not {len(self.arguments)}")
        [cluster_id] = self.arguments or [self.cluster_id]
        profile_dir = self.find_profile_dir()
        found = find_cluster(profile_dir, cluster_id)
        if found is None:
            command = f"{self.name.rpartition(' ')[0]} list"
            raise NoCluster(
                f"there is no cluster {cluster_id!r} in {profile_dir}: "
                f"{command} shows those that there are"
            )
        return found

    def find_meant(self) -> list[Found]:
        """Return the cluster that is named, else that without an id, else those that run.

        If none runs, those that have left something.

        Raises:
            UsageError: several are named.
            NoCluster: there is none.
        """
        if self.arguments or self.cluster_id:
            return [self.find_one()]
        profile_dir = self.find_profile_dir()
        usual = find_cluster(profile_dir, "")
        if usual is not None and usual.is_there:
            return [usual]
        every = find_clusters([profile_dir])
        there = [found for found in every if found.is_there]
        return there or ([usual] if usual is not None else every) or [self.find_one()]

    def set_up(self) -> None:
        super().set_up()
        _voice.is_quiet = self.log_level == "CRITICAL"
        _voice.is_logged = self.log_to_file

    @classmethod
    def family_classes(cls) -> tuple[type[Configurable], ...]:
        from hippodrome.apps.ipcluster import SUBCOMMANDS  # which imports this

        return tuple(SUBCOMMANDS.values())

    def options_for(self, found: Found) -> str:
        """Return the options by which a command means this cluster, to be copied into a shell."""
        return options_of(found.profile_dir, found.cluster_id, self.ipython_home)


@dataclass(slots=True)
class _Voice:
    """How much is said, and whether it is logged too."""

    is_quiet: bool = False
    is_logged: bool = False


_voice: Final = _Voice()


def show(text: str) -> None:
    """Print a line of what the program is for, at once even into a pipe."""
    print(text, flush=True)


def say(text: str) -> None:
    """Print a line that tells what was done, unless nobody wants to know."""
    _tell(text, sys.stdout)


def remark(text: str) -> None:
    """Print a line beside what was asked for, unless nobody wants to know."""
    _tell(text, sys.stderr)


def _tell(text: str, stream: TextIO) -> None:
    if _voice.is_logged:
        log.info("%s", text)
    if not _voice.is_quiet:
        try:
            print(text, file=stream, flush=True)
        except BrokenPipeError:
            raise
        except OSError:  # a full disk: what runs is worth more than words about it
            log.debug("could not print a line", exc_info=True)
