"""``ipcluster logs``: shows what controller, supervisors and engines have logged, and log now."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar, Final

from traitlets import Bool, Int

from hippodrome.apps.base import Number, Switch
from hippodrome.apps.clusterprogram import ClusterProgram, remark, show
from hippodrome.apps.commandline import FlagOption, UsageError
from hippodrome.apps.exitcodes import FAILED, INTERRUPTED, NO_CLUSTER, OK, USAGE, NoCluster
from hippodrome.apps.words import counted, ranges
from hippodrome.cluster.asking import line_to
from hippodrome.cluster.found import ClusterCondition, Found
from hippodrome.cluster.logs import (
    Follower,
    controller_logs,
    ended_logs,
    engine_logs,
    last_lines,
)
from hippodrome.errors import ClusterError

ALL: Final = -1
_LOOK_S: Final = 0.2
_MOST_LINES: Final = 5_000  # among which an engine's are looked for


class IPClusterLogs(ClusterProgram):
    """Options of ``ipcluster logs``."""

    joins: ClassVar[bool] = True
    name = "ipcluster logs"
    description = "Show what the controller and the engines of a cluster have logged."
    examples = "ipcluster logs -f\nipcluster logs --engine 3 --lines 100"
    argument_name = "CLUSTER_ID"
    exit_codes: ClassVar[tuple[int, ...]] = (OK, FAILED, USAGE, NO_CLUSTER, INTERRUPTED)

    follow: Switch = Bool(False, help="Go on with what is logged from now on, until Ctrl-C.").tag(
        config=True
    )
    engine: Number = Int(ALL, min=ALL, help="Only lines of the engine of this id.").tag(
        config=True, value="ID", default="all"
    )
    controller: Switch = Bool(False, help="Only the controller's.").tag(config=True)
    lines: Number = Int(20, min=0, help="How many of the last lines of each file.").tag(config=True)

    own_aliases: ClassVar[Mapping[str, str]] = {
        "engine": "engine",
        "lines": "lines",
        "n": "lines",
    }
    own_flags: ClassVar[Mapping[str, FlagOption]] = {
        "follow": FlagOption(
            "follow", True, "Go on with what is logged from now on, until Ctrl-C."
        ),
        "f": FlagOption("follow", True, "The same."),
        "controller": FlagOption("controller", True, "Only the controller's."),
    }

    def start(self) -> int:
        if self.engine != ALL and self.controller:
            raise UsageError("--engine and --controller exclude each other")
        try:
            meant = self.find_meant()
        except NoCluster:
            if ended := ended_logs(self.find_profile_dir(), *self._named()):
                return self._show_ended(ended)
            raise
        if len(meant) > 1:
            ids = ", ".join(repr(found.cluster_id) for found in meant)
            raise UsageError(f"there are several clusters, {ids}: name one")
        [found] = meant
        engines = self._engines_of(found)
        marks = self._marks(engines)
        if not self.controller and self._tell_elsewhere(engines):
            return FAILED
        paths = self._paths(found, engines)
        if not paths:
            remark(f"{self.name}: {self._why_none(found)}")
            return FAILED
        followers = [Follower(path) for path in paths]
        shown_last = self._show_last(paths, marks)
        if self.follow:
            with contextlib.suppress(KeyboardInterrupt):  # that is how it ends
                self._follow(followers, marks, shown_last)
        return OK

    def _named(self) -> list[str]:
        """Return the id that the user names, if there is one."""
        return self.arguments or ([self.cluster_id] if self.cluster_id else [])

    def _show_ended(self, ended: list[Path]) -> int:
        """Show what a cluster has logged that is no more."""
        of_controller = [path for path in ended if path.name.startswith("ipcontroller")]
        remark(f"{self.name}: of a cluster that has ended, with logs in {ended[0].parent}")
        marks = () if self.engine == ALL else (f"[engine {self.engine}] ",)
        self._show_last(of_controller if self.controller else ended, marks)
        return OK

    def _show_last(self, paths: list[Path], marks: tuple[str, ...]) -> Path | None:
        """Show the last lines of each file; return of which file the last one is."""
        shown_last = None
        for path in paths:
            lines = last_lines(path, _MOST_LINES if marks else self.lines)
            lines = [line for line in lines if _is_of(line, marks)][-self.lines :]
            if lines or not marks:
                shown_last = self._show(path, lines if self.lines else [], shown_last, len(paths))
        return shown_last

    def _tell_elsewhere(self, engines: Mapping[int, Mapping[str, str | int]]) -> bool:
        """Say where logs are that are not here; return whether that is all there is to say."""
        is_one = self.engine in engines
        for line in elsewhere({self.engine: engines[self.engine]} if is_one else engines):
            remark(f"{self.name}: {line}")
        return is_one and not _is_here(engines[self.engine])

    def _paths(self, found: Found, engines: Mapping[int, Mapping[str, str | int]]) -> list[Path]:
        paths = [] if self.engine != ALL else controller_logs(found)
        if not self.controller:
            pids = tuple(int(told["pid"]) for told in engines.values() if _is_here(told))
            paths += engine_logs(found, pids)
        return paths

    def _follow(
        self, followers: list[Follower], marks: tuple[str, ...], shown_last: Path | None
    ) -> None:
        while True:
            is_busy = False
            for follower in followers:
                news = follower.look()
                is_busy = is_busy or bool(news.lines)
                if news.note:
                    remark(f"{self.name}: {follower.path}: {news.note}")
                lines = [line for line in news.lines if _is_of(line, marks)]
                if lines:
                    shown_last = self._show(follower.path, lines, shown_last, len(followers))
            if not any(follower.is_there for follower in followers):
                remark(f"{self.name}: there is nothing more to follow")
                return
            if not is_busy:
                time.sleep(_LOOK_S)

    def _show(self, path: Path, lines: list[str], last: Path | None, n_files: int) -> Path:
        if n_files > 1 and path != last:
            show(f"{'' if last is None else chr(10)}==> {path} <==")
        for line in lines:
            show(line)
        return path

    def _engines_of(self, found: Found) -> Mapping[int, Mapping[str, str | int]]:
        """Return what the hub tells of the engines; nothing if it cannot be asked."""
        if found.condition is not ClusterCondition.RUNNING or found.info is None:
            return {}
        assert found.info.path is not None
        try:
            with line_to(found.info.path) as line:
                engines: Mapping[int, Mapping[str, str | int]] = line.ask("status")["engines"]
                return engines
        except ClusterError:
            return {}

    def _marks(self, engines: Mapping[int, Mapping[str, str | int]]) -> tuple[str, ...]:
        """Return with what lines of the chosen engine begin; nothing if none is chosen."""
        if self.engine == ALL:
            return ()
        marks = [f"[engine {self.engine}] "]
        if self.engine in engines:
            marks.append(f"[engine process {engines[self.engine]['pid']}] ")
        elif engines:
            n = counted(len(engines), "engine")
            remark(f"{self.name}: there is no engine {self.engine} now, of {n}")
        return tuple(marks)

    def _why_none(self, found: Found) -> str:
        if found.condition is ClusterCondition.FOREIGN:
            return found.why
        if found.is_by_hand:
            return (
                "what was started by hand logs to its terminal: start ipcontroller and ipengine "
                "with --log-to-file to have it in files"
            )
        return "its log files are gone"


def _is_here(told: Mapping[str, str | int]) -> bool:
    return told["host"] == socket.gethostname()


def elsewhere(engines: Mapping[int, Mapping[str, str | int]]) -> Iterator[str]:
    """Yield where the logs of engines are that run on other hosts, a line for each place."""
    places: dict[tuple[str, str], list[int]] = {}
    for engine, told in sorted(engines.items()):
        if not _is_here(told):
            places.setdefault((str(told["host"]), str(told.get("log", ""))), []).append(engine)
    for (host, path), found in places.items():
        is_one = len(found) == 1
        runs = f"engine {found[0]} runs" if is_one else f"engines {ranges(found)} run"
        where = f"in {path} there" if path else "in no file, but where ipengine was started there"
        yield f"{runs} on {host}, and what {'it logs' if is_one else 'they log'} is {where}"


def _is_of(line: str, marks: tuple[str, ...]) -> bool:
    return not marks or line.startswith(marks)
