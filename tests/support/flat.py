"""Tasks, attempts, outcomes and results one by one, however they travelled."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import NamedTuple

from hippodrome.protocol.messages import (
    Attempt,
    AttemptBundle,
    EngineId,
    MsgId,
    Outcome,
    OutcomeBundle,
    Result,
    ResultBundle,
)
from hippodrome.scheduler.events import AssignAttempts


class Sent(NamedTuple):
    """One attempt that the scheduler sent to an engine."""

    engine: EngineId
    serial: int
    msg_id: MsgId
    attempt: int


def attempts_of(sent: AssignAttempts) -> list[Sent]:
    return [
        Sent(sent.engine, serial, msg_id, sent.attempt)
        for serial, msg_id in enumerate(sent.msg_ids, sent.serial)
    ]


def singles_of(attempt: Attempt | AttemptBundle) -> list[Attempt]:
    """Return the attempts of a message to an engine one by one."""
    if isinstance(attempt, Attempt):
        return [attempt]
    return [
        Attempt(msg_id, attempt.attempt, attempt.function, payload)
        for msg_id, payload in zip(attempt.msg_ids, attempt.payloads, strict=True)
    ]


def outcomes_of(outcome: Outcome | OutcomeBundle) -> list[tuple[MsgId, int, str]]:
    """Return task, attempt and status of each."""
    if isinstance(outcome, Outcome):
        return [(outcome.msg_id, outcome.attempt, outcome.status)]
    return [(msg_id, outcome.attempt, "ok") for msg_id in outcome.msg_ids]


def results_of(result: Result | ResultBundle) -> list[Result]:
    if isinstance(result, Result):
        return [result]
    columns = zip(result.msg_ids, result.started, result.run_s, result.payloads, strict=True)
    return [
        Result(msg_id, "ok", result.engine, result.attempt, started, started + run_s, payload)
        for msg_id, started, run_s, payload in columns
    ]


def bundled(outcomes: Sequence[Outcome]) -> list[Outcome | OutcomeBundle]:
    """Bundle those that follow each other and may be bundled, as an engine might."""
    items: list[Outcome | OutcomeBundle] = []
    for (attempt, ok), group in groupby(outcomes, lambda one: (one.attempt, one.status == "ok")):
        same = list(group)
        items += [_bundle(attempt, same)] if ok else same
    return items


def _bundle(attempt: int, outcomes: Iterable[Outcome]) -> OutcomeBundle:
    bundle = OutcomeBundle([], attempt, [], [], [])
    for one in outcomes:
        bundle.msg_ids.append(one.msg_id)
        bundle.started.append(one.started)
        bundle.run_s.append(one.run_s)
        bundle.payloads.append(one.payload)
    return bundle
