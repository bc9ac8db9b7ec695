"""Whether there is room for one more connection, of which each takes a descriptor."""

from __future__ import annotations

import math
import os
import sys
import time
from typing import Final

from hippodrome.transport.sockets import raise_descriptor_limit

_KEPT_DESCRIPTORS: Final = 64
_DESCRIPTORS: Final = "/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"
_COUNT_AGAIN_S: Final = 1.0
_SCARCE: Final = 0.7  # of all


class Doorman:
    """Tells whether this process can take more connections, and keeps some room for itself.

    ZeroMQ ends the process when it cannot accept one for want of descriptors. The limit is first
    raised as far as that is allowed. To count thousands of descriptors takes a while, and is not
    done for each connection: who has come since is added.
    """

    def __init__(self) -> None:
        raise_descriptor_limit()
        self._n_open: float = math.inf
        self._n_come = 0
        self._counted = -math.inf
        self._has_warned = False

    def come(self, n: int) -> None:
        """So many more connections have been accepted."""
        self._n_come += n

    def is_full(self) -> bool:
        """Return whether there is room for a few more connections only: refuse them."""
        limit = descriptor_limit()
        if limit is None:
            return False
        most = limit - _kept(limit)
        return self._at_least(most) > most

    def scarcity(self) -> str:
        """Return, once, that descriptors get scarce, while there is time to do something."""
        limit = descriptor_limit()
        if limit is None or self._has_warned or self._at_least(_SCARCE * limit) <= _SCARCE * limit:
            return ""
        self._has_warned = True
        left = int(limit - _kept(limit) - self._n_open)
        return (
            f"of {limit} descriptors of the controller there are {max(left, 0)} left, and an "
            "engine takes two: for more, start it with a higher ulimit -n"
        )

    def n_strangers(self) -> int:
        """Return how many connections may be open that have not introduced themselves."""
        limit = descriptor_limit()
        if limit is None:
            return sys.maxsize
        most = limit - _kept(limit) // 2
        return 0 if self._at_least(most) > most else limit // 4

    def _at_least(self, n: float) -> float:
        """Return how many descriptors are open: exactly, if they may be more than *n*."""
        now = time.monotonic()
        if self._n_open + self._n_come > n or now - self._counted >= _COUNT_AGAIN_S:
            self._n_open, self._n_come, self._counted = _n_open(), 0, now
        return self._n_open + self._n_come

    def __str__(self) -> str:
        limit = descriptor_limit() or 0
        return (
            f"the controller has no room for more connections: of {limit} descriptors fewer than "
            f"{_kept(limit)} are left; end some, or start it with a higher ulimit -n"
        )


def descriptor_limit() -> int | None:
    """Return how many descriptors this process may have; None if that has no limit."""
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft


def _kept(limit: int) -> int:
    return min(_KEPT_DESCRIPTORS, limit // 4)


def _n_open() -> float:
    try:
        return len(os.listdir(_DESCRIPTORS))
    except OSError:  # there is none left to look with, or no such folder
        return math.inf if os.path.isdir(_DESCRIPTORS) else 0
