"""How far the engines of several supervisors have come, and whether there are enough of them.

Pure: what the controller tells of its engines and which supervisors have ended go in, a `HowFar`
comes out. A supervisor tells how many engines it starts, so that nobody else has to know.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hippodrome.launch.hostlists import same_host

MOST_NAMED = 5
_HERE = ("ready", "busy", "silent")


class HowFar(enum.Enum):
    """What becomes of a wait for engines."""

    WAIT = "wait"
    ENOUGH = "enough"  # as many as have to be, and there may be more
    READY = "ready"  # all that there will be
    FAILED = "failed"  # there will not be as many as have to be


@dataclass(slots=True)
class Gathered:
    """The engines of one supervisor.

    Attributes:
        host: where it is.
        n_engines: how many it starts.
        n_ready, n_gone: how many are there, and have been.
        reason: why one is gone.
    """

    host: str
    n_engines: int = 0
    n_ready: int = 0
    n_gone: int = 0
    reason: str = ""

    @property
    def is_complete(self) -> bool:
        """Whether all of its engines are there, or have been."""
        return 0 < self.n_engines <= self.n_ready + self.n_gone


class Gathering:
    """One wait for the engines of several hosts.

    Args:
        hosts: whose supervisors are waited for, as far as their names are known.
        n_parts: how many supervisors there are.
        least: how many engines are enough; 0 for all.
    """

    def __init__(self, hosts: Sequence[str], n_parts: int, least: int = 0) -> None:
        self._hosts = hosts
        self._n_parts = n_parts
        self._least = least
        self._supervisors: dict[str, Gathered] = {}
        self._ended: Mapping[str, str] = {}

    @property
    def n_ready(self) -> int:
        """How many engines are ready."""
        return sum(one.n_ready for one in self._supervisors.values())

    @property
    def n_hosts(self) -> int:
        """How many hosts have engines that are ready."""
        return len({one.host for one in self._supervisors.values() if one.n_ready})

    def look(self, states: Mapping[str, Any], ended: Mapping[str, str]) -> HowFar:
        """Take what is known now.

        Args:
            states: the answer to the query ``engine_states``.
            ended: the supervisors that have ended, by host, and what there is to say of each.
        """
        self._supervisors = _supervisors(states)
        complete = [one for one in self._supervisors.values() if one.is_complete]
        self._ended = {
            host: text
            for host, text in ended.items()
            if same_host([one.host for one in complete], host) is None
        }
        is_settled = len(complete) + len(self._ended) >= self._n_parts
        if self._least:
            if self.n_ready >= self._least:
                return HowFar.READY if is_settled else HowFar.ENOUGH
            return HowFar.FAILED if is_settled else HowFar.WAIT
        if self._ended or any(one.n_gone for one in self._supervisors.values()):
            return HowFar.FAILED
        return HowFar.READY if is_settled else HowFar.WAIT

    def missing(self) -> list[str]:
        """Return the hosts of which not all engines are there, as far as names are known."""
        complete = [one.host for one in self._supervisors.values() if one.is_complete]
        return [host for host in self._hosts if same_host(complete, host) is None]

    def describe(self) -> str:
        """Say how far it is."""
        n, hosts = self.n_ready, self.n_hosts
        engines = f"{n} engine{'' if n == 1 else 's'} on {hosts} of {self._n_parts}"
        noun = "host" if self._n_parts == 1 else "hosts"
        if self._n_parts > len(self._hosts):
            noun = "supervisors"
        text = f"{engines} {noun} {'is' if n == 1 else 'are'} ready"
        missing = self.missing()
        return f"{text}; waiting for {_some(missing)}" if missing else text

    def trouble(self) -> str:
        """Say what has failed, each with the name of its host."""
        lines = [f"{host}: {text}" for host, text in self._ended.items()]
        for one in self._supervisors.values():
            if one.n_gone and one.reason not in lines:
                lines.append(one.reason)
        if self._least and self.n_ready < self._least:
            wanted = f"there are {self.n_ready} engines, and at least {self._least} have to be"
            lines.insert(0, wanted)
        return "\n".join(lines)


def _supervisors(states: Mapping[str, Any]) -> dict[str, Gathered]:
    found: dict[str, Gathered] = {}
    for engine in [*states["engines"], *states["gone"]]:
        one = found.setdefault(engine["node"], Gathered(engine["host"]))
        one.n_engines = max(one.n_engines, engine.get("beside", 0))
        if "reason" in engine:
            one.n_gone += 1
            one.reason = engine["reason"]
        elif engine["state"] in _HERE:
            one.n_ready += 1
    return found


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:MOST_NAMED])
    more = len(names) - MOST_NAMED
    return f"{shown} and {more} more" if more > 0 else shown
