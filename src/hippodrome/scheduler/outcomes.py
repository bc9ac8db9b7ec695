"""Outcomes of attempts come in from engines, single or bundled, and results go to clients."""

from __future__ import annotations

from collections.abc import Iterable

from hippodrome.protocol import messages as m
from hippodrome.protocol.messages import EngineId, MsgId


def one_by_one(outcome: m.Outcome | m.OutcomeBundle) -> list[m.Outcome]:
    """Return the outcomes of a bundle as single ones."""
    if isinstance(outcome, m.Outcome):
        return [outcome]
    columns = zip(outcome.msg_ids, outcome.started, outcome.run_s, outcome.payloads, strict=True)
    return [
        m.Outcome(msg_id, outcome.attempt, "ok", started, started + run_s, run_s, payload)
        for msg_id, started, run_s, payload in columns
    ]


def damaged(attempts: Iterable[tuple[MsgId, int]], why: str) -> list[m.Outcome]:
    """Return what is left of the outcomes of attempts whose message made no sense."""
    failure = m.Failure("DeserializationError", f"the engine's message was malformed: {why}")
    return [
        m.Outcome(msg_id, attempt, "error", 0.0, 0.0, 0.0, failure=failure)
        for msg_id, attempt in attempts
    ]


def unloaded(msg_id: MsgId, attempt: int, why: str) -> m.Outcome:
    """Return how an attempt ends whose arguments do not come."""
    text = f"its arguments did not reach the engine: {why}"
    failure = m.Failure("TaskRejectError", text)
    return m.Outcome(msg_id, attempt, "error", 0.0, 0.0, 0.0, failure=failure)


def unfetched(result: m.Result, why: str) -> m.Result:
    """Return how a task ended whose result does not come."""
    failure = m.Failure("ResultExpired", f"the result was lost on its way: {why}")
    return dropped(result, failure)[0]


def as_result(outcome: m.Outcome, status: str, engine: EngineId) -> m.Result:
    """Return what the client is told of *outcome*."""
    return m.Result(
        outcome.msg_id,
        status,
        engine,
        outcome.attempt,
        outcome.started,
        outcome.completed,
        outcome.payload,
        outcome.n_buffers,
        outcome.failure,
        outcome.stdout,
        outcome.stderr,
        outcome.shown,
    )


def as_results(outcome: m.OutcomeBundle, engine: EngineId) -> m.ResultBundle:
    """Return what the client is told of tasks that ended together, and well."""
    return m.ResultBundle(
        outcome.msg_ids, engine, outcome.attempt, outcome.started, outcome.run_s, outcome.payloads
    )


def dropped(result: m.Result | m.ResultBundle, failure: m.Failure) -> list[m.Result]:
    """Return what is told of results for which there is no room: how each ended, and no more."""
    if isinstance(result, m.ResultBundle):
        attempt, engine = result.attempt, result.engine
        columns = zip(result.msg_ids, result.started, result.run_s, strict=True)
        return [
            m.Result(msg_id, "error", engine, attempt, started, started + run_s, failure=failure)
            for msg_id, started, run_s in columns
        ]
    status = "error" if result.failure is None else result.status
    return [
        m.Result(
            result.msg_id, status, result.engine, result.attempt, result.started, result.completed,
            failure=result.failure or failure,
        )
    ]  # fmt: skip
