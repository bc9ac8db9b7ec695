"""Which engines there are, as the I/O thread was last told, and who wants to know."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

from hippodrome._version import __version__
from hippodrome.client.link.events import EnginesChanged
from hippodrome.display import write
from hippodrome.protocol.messages import EngineId, EngineInfo
from hippodrome.protocol.reading import one_line

NOTICE_AFTER_S: Final = 10.0
WAIT_S: Final = 1.0
_MOST_VERSION: Final = 40
_VERSION: Final = re.compile(r"\d+\.\d+")
OURS: Final = ".".join(map(str, sys.version_info[:2]))

EngineWatcher = Callable[[Mapping[EngineId, EngineInfo], Mapping[EngineId, str]], None]


class Presence:
    """The engines, and the notice that there are none.

    The I/O thread alone changes what is here, but for the watchers. It makes a new mapping for each
    change, so that whoever has read `engines` keeps what was true then. Watchers are a tuple, which
    is replaced under a lock, as any thread adds its own, and read without. One that comes while
    the others are told may be left out: so whoever adds one looks at `engines` afterwards, and
    sees the change, which was made before anybody was told of it.

    Args:
        n_outstanding: tells how many tasks have no result.

    Attributes:
        engines: the engines there are; replaced, never changed.
        warns_of_versions: whether to say which hosts have another Python; not of a question.
    """

    def __init__(self, n_outstanding: Callable[[], int] = int) -> None:
        self._n_outstanding = n_outstanding
        self.engines: Mapping[EngineId, EngineInfo] = {}
        self._known: dict[EngineId, EngineInfo] = {}  # those that have left too
        self._watchers: tuple[EngineWatcher, ...] = ()  # replaced, under the lock
        self._has_noticed = False
        self._changing = threading.Lock()
        self._hosts_warned_of: set[str] = set()
        self.warns_of_versions: bool = True

    def watch_engines(self, watcher: EngineWatcher) -> None:
        """Call *watcher* on the I/O thread whenever engines come or go."""
        with self._changing:
            self._watchers += (watcher,)

    def unwatch_engines(self, watcher: EngineWatcher) -> None:
        with self._changing:
            self._watchers = tuple(kept for kept in self._watchers if kept != watcher)

    def describe(self, engine: EngineId) -> dict[str, Any]:
        """Return what errors and metadata tell of an engine, also of one that has left."""
        info = self._known.get(engine)
        if info is None:
            return {"engine_id": engine}
        return {
            "engine_id": engine,
            "engine_uuid": info.uuid,
            "host": info.host,
            "pid": info.pid,
        }

    def wait_on(self, condition: threading.Condition, timeout: float | None) -> None:
        """Wait to be notified, and say so once if there is no engine to wait for."""
        if not self.may_notice(timeout):
            # A signal that comes just before a wait does not end it: begin anew now and then.
            condition.wait(WAIT_S if timeout is None else min(timeout, WAIT_S))
        elif not condition.wait(NOTICE_AFTER_S):
            self.notice()

    def may_notice(self, timeout: float | None) -> bool:
        """Whether a wait of *timeout* may be one for engines that do not come."""
        is_long = timeout is None or timeout >= NOTICE_AFTER_S
        return is_long and not self.engines and not self._has_noticed

    def notice(self) -> None:
        """Say that there are no engines, if that is so and has not been said."""
        with self._changing:  # of several threads that wait, one says it
            if self.engines or self._has_noticed:
                return
            self._has_noticed = True
        n = self._n_outstanding()
        write(
            sys.stderr,
            f"0 engines; {n} task{'s' * (n != 1)} wait{'s' * (n == 1)}; "
            "start some with ipengine or ipcluster\n",
        )

    def _warn_of_versions(self) -> None:
        """Say once of each host that its engines are of another version than this process."""
        for info in self.engines.values():
            if info.host not in self._hosts_warned_of and (told := unlike(info)):
                self._hosts_warned_of.add(info.host)
                write(sys.stderr, f"engines on {info.host} {told}\n")

    def _set_engines(self, present: Mapping[EngineId, EngineInfo]) -> None:
        self.engines = present

    def _change_engines(self, action: EnginesChanged) -> None:
        self.engines = action.present
        if self.warns_of_versions:
            self._warn_of_versions()
        self._known.update(action.present)
        self._tell_watchers(action.left)

    def _tell_watchers(self, left: Mapping[EngineId, str]) -> None:
        for watcher in self._watchers:
            watcher(self.engines, left)


def unlike(info: EngineInfo) -> str:
    """Return in what versions an engine differs from this process, and what follows."""
    told = []
    theirs = info.python.rpartition(".")[0]
    if _VERSION.fullmatch(theirs) and theirs != OURS:
        told.append(
            f"run Python {theirs}, and this is {OURS}: functions and classes that travel by value "
            "cannot be used there; load-balanced tasks that need such go to other engines, while "
            "there are others"
        )
    if info.version not in ("", __version__):
        shown = one_line(info.version, _MOST_VERSION)
        told.append(f"have hippodrome {shown}, and this is {__version__}: use one on all hosts")
    return "; they ".join(told)
