"""What whoever waits for a set of hosts is told, and what is written down of it."""

from __future__ import annotations

import contextlib
import json
import logging
import os
from pathlib import Path
from typing import Any, Final

from hippodrome.launch.hostset import HostSet
from hippodrome.security.connection_file import write_private

log: logging.Logger = logging.getLogger(__name__)

_MOST_SAID: Final = 10


class SetNews:
    """Says each thing once.

    Args:
        state_file: where it is written how far all are.
        ready_fd: to whom waits; -1 for nobody.
    """

    def __init__(self, state_file: Path, ready_fd: int) -> None:
        self._state_file = state_file
        self._ready_fd = ready_fd
        self._said: set[str] = set()
        self._told = ""
        self._written = ""

    def tell(self, hosts: HostSet) -> None:
        """Say what is new, and write it down."""
        self._write(hosts)
        for host in hosts.hosts:
            if host.reason and (host.is_over or host.engines is not None):
                self._remark(f"{host.host.server}: {host.reason}")
        if self._ready_fd < 0:
            return
        if not hosts.is_settled:
            text = "state {} {} {}".format(*hosts.progress())
            if text != self._told:
                self._told = text
                self._say(text)
            return
        if engines := hosts.engines:
            self._say(f"ready {' '.join(map(str, engines))}")
        else:
            self._say(f"failed {json.dumps(_failures(hosts))}")
        os.close(self._ready_fd)
        self._ready_fd = -1

    def _remark(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            log.warning("%s", text)
            self._say(f"say {json.dumps(text)}")

    def _say(self, line: str) -> None:
        if self._ready_fd >= 0:
            with contextlib.suppress(OSError):  # nobody waits any more
                os.write(self._ready_fd, f"{line}\n".encode())

    def _write(self, hosts: HostSet) -> None:
        state = hosts.state()
        told: dict[str, Any] = {  # Any: whatever JSON may hold
            "parts": {phase.value: n for phase, n in state.parts.items()},
            "reasons": {phase.value: list(texts) for phase, texts in state.reasons.items()},
            "engines": state.engines,
        }
        text = json.dumps(told)
        if text != self._written:
            self._written = text
            with contextlib.suppress(OSError):
                write_private(self._state_file, text)


def _failures(hosts: HostSet) -> str:
    texts = [f"{host.host.server}: {host.reason}" for host in hosts.hosts if host.reason]
    more = f"\nand {len(texts) - _MOST_SAID} more" if len(texts) > _MOST_SAID else ""
    return "no engines were started:\n" + "\n".join(texts[:_MOST_SAID]) + more
