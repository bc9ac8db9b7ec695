"""A batch goes into a store at once: a submission, or ends of tasks, as they travelled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hippodrome.protocol import messages as m
from hippodrome.store.large import Kept


@dataclass(frozen=True, slots=True)
class Submission:
    """Tasks that were accepted.

    Attributes:
        client: who submitted them.
        wall: when, in seconds since the epoch.
        message: what it said.
        buffers: those of each of its items that has any, by the item's place in it; the one
            call of a `SubmitDirect` is at 0.
        size_bytes: about how much it holds.
    """

    client: m.PeerId
    wall: float
    message: m.Submit | m.SubmitDirect
    buffers: Mapping[int, Kept] = field(default_factory=dict)
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Ending:
    """Tasks that ended.

    Attributes:
        client: whose they were.
        wall: when the hub heard of it, in seconds since the epoch.
        results: how they ended.
        uuids: who the engines are that are named in the results.
        buffers: as in `Submission`.
        size_bytes: as in `Submission`.
    """

    client: m.PeerId
    wall: float
    results: list[m.Result | m.ResultBundle]
    uuids: Mapping[m.EngineId, m.PeerId] = field(default_factory=dict)
    buffers: Mapping[int, Kept] = field(default_factory=dict)
    size_bytes: int = 0
