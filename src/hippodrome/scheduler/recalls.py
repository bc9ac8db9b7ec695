"""Engines are asked to give tasks back here, when others have nothing to do."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator
from typing import Final

from hippodrome.protocol.messages import EngineId, MsgId
from hippodrome.scheduler.events import Recall
from hippodrome.scheduler.job import Job
from hippodrome.scheduler.placement import Placement
from hippodrome.scheduler.room import RECALL_AFTER_S, EngineState

MOST_RECALL_AFTER_S: Final = 2.0  # one that is asked and does not answer is asked ever less often


class Looks:
    """When to look next whether an engine is stuck while another is idle.

    Attributes:
        at: when, on the core's clock; infinity if nothing has happened that would call for it.
    """

    def __init__(self) -> None:
        self.at: float = math.inf

    def expect(self, now: float, due: float = 0.0) -> None:
        """Look in a while, or at *due* if that is later; earlier if that was asked before."""
        self.at = min(self.at, max(now + RECALL_AFTER_S, due))

    def is_due(self, now: float) -> bool:
        """Tell whether it is time; that it was is forgotten."""
        is_due = now >= self.at
        if is_due:
            self.at = math.inf
        return is_due


def rebalance(placement: Placement, looks: Looks, now: float) -> Iterator[Recall]:
    """Take unstarted jobs back from engines that are stuck while others have nothing to do."""
    idle = {state.engine for state in placement.idle()}
    for state in placement.engines.values() if idle else ():
        if not state.has_waiting:
            continue
        after_s = state.recall_after_s + state.trips.away_s  # before that nothing can have come
        if now >= state.quiet_since + after_s:
            # The engine knows which of these it has begun, and drops the others only.
            waiting = waiting_at(state, idle)
            if n_share := _share(state, len(waiting), len(idle)):
                yield Recall(state.engine, waiting[-n_share:])
            state.stuck = True
            state.quiet_since = now
            state.recall_after_s = min(2 * state.recall_after_s, MOST_RECALL_AFTER_S)
            state.trips.forget()
            after_s = state.recall_after_s + state.trips.away_s
            placement.note_room(state)
        looks.expect(now, state.quiet_since + after_s)


def _share(state: EngineState, n_waiting: int, n_idle: int) -> int:
    """Return how much of what waits at an engine is to be recalled, so that all have the same."""
    if state.n_named:
        return n_waiting
    # What runs is a task, and as many like it may follow.
    return -(-n_waiting * n_idle // (n_idle + 1))


def waiting_at(state: EngineState, idle: Collection[EngineId]) -> list[tuple[MsgId, int]]:
    """Return the attempts that an engine cannot have begun and one of *idle* might."""
    found: list[tuple[MsgId, int]] = []
    is_running = True  # the first, unless a call by name stands before it
    for job, place in state.held.items():
        if may_use(job, idle):
            attempts = attempts_of([job])
            found += attempts[1:] if is_running and not state.waits(place) else attempts
        is_running = False
    return found


def may_use(job: Job, engines: Collection[EngineId]) -> bool:
    """Tell whether *job* may run on one of *engines*."""
    if job.targets is None and not job.refused and not job.tried:
        return True
    here = job.targets.intersection(engines) if job.targets is not None else engines
    return any(engine not in job.refused and engine not in job.tried for engine in here)


def attempts_of(jobs: Iterable[Job]) -> list[tuple[MsgId, int]]:
    """Return the current attempts of *jobs*."""
    return [(msg_id, job.attempt) for job in jobs for msg_id in job.msg_ids]
