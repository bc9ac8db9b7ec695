"""Which addresses of a controller can be reached, and why others cannot; without any key."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Final

import zmq

from hippodrome.transport.place import Asking, Spot, what_speaks
from hippodrome.transport.race import Entry

_LOOK_MS: Final = 50
MUTE: Final = "something listens there, but it does not answer"


@dataclass(frozen=True, slots=True)
class Reached:
    """One address.

    Attributes:
        address: it.
        trouble: why it cannot be used; empty if a controller seems to be there.
    """

    address: str
    trouble: str = ""


def reach(addresses: Sequence[str], timeout_s: float, host: str = "") -> list[Reached]:
    """Try *addresses*, all at once, within *timeout_s* and as long again for who says nothing.

    Args:
        addresses: as in a connection file.
        timeout_s: how long to wait for each, in seconds.
        host: of whose file system sockets are; empty for this one.
    """
    with ExitStack() as stack:
        entries = [stack.enter_context(closing(Entry(one, host, None))) for one in addresses]
        deadline = time.monotonic() + timeout_s
        for entry in entries:
            entry.begin(time.monotonic())
        while not all(_is_known(entry) for entry in entries):
            now = time.monotonic()
            for entry in entries:
                entry.look(now)
            if now >= deadline:
                for entry in entries:
                    entry.give_up(timeout_s)
                break
            _wait(entries)
        greeted = _greet(entries, timeout_s)
        return [
            Reached(one.address, greeted[one.address] if _spots(one) else one.failure().text)
            for one in entries
        ]


def _is_known(entry: Entry) -> bool:
    return entry.is_over or bool(_spots(entry))


def _spots(entry: Entry) -> list[Spot]:
    return [place.spot for place in entry.places if place.is_in]


def _wait(entries: Sequence[Entry]) -> None:
    poller = zmq.Poller()
    for entry in entries:
        for source, events in entry.sources():
            poller.register(source, events)
    poller.poll(_LOOK_MS)


def _greet(entries: Sequence[Entry], timeout_s: float) -> dict[str, str]:
    """Return what is wrong with who listens at each address; nothing if it greets as we do."""
    found = {entry.address: MUTE for entry in entries}
    with ExitStack() as stack:
        asking = {}
        for entry in entries:
            for spot in _spots(entry)[:1]:
                if spot.endpoint.startswith("ipc://"):
                    found[entry.address] = ""
                    continue
                asking[entry.address] = stack.enter_context(closing(Asking(spot)))
        deadline = time.monotonic() + timeout_s
        while asking and time.monotonic() < deadline:
            poller = zmq.Poller()
            for one in asking.values():
                poller.register(*one.source)
            poller.poll(_LOOK_MS)
            for address, one in list(asking.items()):
                heard = one.look()
                if heard is not None:
                    found[address] = what_speaks(heard) or ("" if heard else MUTE)
                    del asking[address]
    return found
