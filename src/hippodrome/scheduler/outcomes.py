"""Outcomes of attempts come in from engines, single or bundled, and results go to clients."""

from __future__ import annotations

from collections.abc import Iterable

from hippodrome.protocol.messages import (
    EngineId,
    Failure,
    MsgId,
    Outcome,
    OutcomeBundle,
    Result,
    ResultBundle,
)


def one_by_one(outcome: Outcome | OutcomeBundle) -> list[Outcome]:
    """Return the outcomes of a bundle as single ones."""
    if isinstance(outcome, Outcome):
        return [outcome]
    columns = zip(outcome.msg_ids, outcome.started, outcome.run_s, outcome.payloads, strict=True)
    return [
        Outcome(msg_id, outcome.attempt, "ok", started, started + run_s, run_s, payload)
        for msg_id, started, run_s, payload in columns
    ]


def damaged(attempts: Iterable[tuple[MsgId, int]], why: str) -> list[Outcome]:
    """Return what is left of the outcomes of attempts whose message made no sense."""
    failure = Failure("DeserializationError", f"the engine's message was malformed: {why}")
    return [
        Outcome(msg_id, attempt, "error", 0.0, 0.0, 0.0, failure=failure)
        for msg_id, attempt in attempts
    ]


def as_result(outcome: Outcome, status: str, engine: EngineId) -> Result:
    """Return what the client is told of *outcome*."""
    return Result(
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


def as_results(outcome: OutcomeBundle, engine: EngineId) -> ResultBundle:
    """Return what the client is told of tasks that ended together, and well."""
    return ResultBundle(
        outcome.msg_ids, engine, outcome.attempt, outcome.started, outcome.run_s, outcome.payloads
    )


def dropped(result: Result | ResultBundle, failure: Failure) -> list[Result]:
    """Return what is told of results for which there is no room: how each ended, and no more."""
    if isinstance(result, ResultBundle):
        attempt, engine = result.attempt, result.engine
        columns = zip(result.msg_ids, result.started, result.run_s, strict=True)
        return [
            Result(msg_id, "error", engine, attempt, started, started + run_s, failure=failure)
            for msg_id, started, run_s in columns
        ]
    status = "error" if result.failure is None else result.status
    return [
        Result(
            result.msg_id, status, result.engine, result.attempt, result.started, result.completed,
            failure=result.failure or failure,
        )
    ]  # fmt: skip
