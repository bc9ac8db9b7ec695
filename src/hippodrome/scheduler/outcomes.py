"""What engines say of attempts that ended, single or bundled, and what clients are told of it."""

from __future__ import annotations

from hippodrome.protocol.messages import (
    EngineId,
    Failure,
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


def damaged(outcome: Outcome | OutcomeBundle, why: str) -> list[Outcome]:
    """Return what is left of outcomes whose message made no sense."""
    if isinstance(outcome, Outcome):
        ends = [(outcome.msg_id, outcome.started, outcome.completed, outcome.run_s)]
    else:
        ends = [(msg_id, 0.0, 0.0, 0.0) for msg_id in outcome.msg_ids]
    failure = Failure("DeserializationError", f"the engine's message was malformed: {why}")
    return [
        Outcome(msg_id, outcome.attempt, "error", started, completed, run_s, failure=failure)
        for msg_id, started, completed, run_s in ends
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
