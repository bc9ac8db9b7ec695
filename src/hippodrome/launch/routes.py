"""The address of this host by which others reach it, found without sending them anything."""

from __future__ import annotations

import queue
import socket
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

ANY: Final = "*"
RESOLVE_S: Final = 2.0  # for all names together; a name server that is away takes far longer
MOST_ASKED: Final = 16
_DISCARD: Final = 9


def address_towards(hosts: Sequence[str], within_s: float = RESOLVE_S) -> str:
    """Return the address from which this host reaches *hosts*; all there are if that is not one.

    Args:
        hosts: names or addresses. Those that nobody knows are passed over; of many, some are asked.
        within_s: how long to look for names, in seconds.
    """
    asked = hosts[:: max(1, len(hosts) // MOST_ASKED)][:MOST_ASKED]
    answers: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    for host in asked:
        threading.Thread(target=_ask, args=(host, answers), daemon=True).start()
    deadline = time.monotonic() + within_s
    found: set[str] = set()
    for _ in asked:
        try:
            address = answers.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            break
        if address is not None:
            found.add(address)
    return found.pop() if len(found) == 1 else ANY


def _ask(host: str, answers: queue.SimpleQueue[str | None]) -> None:
    answers.put(source_towards(host))


def source_towards(host: str) -> str | None:
    """Return the address that packets to *host* would carry; None if that cannot be known."""
    with suppress(OSError, UnicodeError):
        for family, kind, _, _, address in socket.getaddrinfo(
            host, _DISCARD, type=socket.SOCK_DGRAM
        ):
            with suppress(OSError), socket.socket(family, kind) as probe:
                probe.connect(address)
                return str(probe.getsockname()[0])
    return None
