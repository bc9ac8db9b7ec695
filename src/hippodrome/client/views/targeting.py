"""Which engines a user means."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from hippodrome.errors import NoEnginesRegistered, UnknownEngineError
from hippodrome.headings import listed
from hippodrome.protocol.messages import EngineId, EngineInfo


def checked(targets: Any, ids: Sequence[int]) -> Any:
    """Return *targets* as a view keeps them: ``"all"``, one id, or a list of ids.

    Args:
        targets: ``"all"`` or None, an id, a slice, or a collection of ids. Negative ids and
            slices count in *ids*.
        ids: the engines there are, in ascending order.

    Raises:
        NoEnginesRegistered: there are no engines at all.
        UnknownEngineError: there is no such engine.
        TypeError: *targets* is none of these.
    """
    if targets is None or (isinstance(targets, str) and targets == "all"):
        return "all"
    if isinstance(targets, int) and not isinstance(targets, bool):
        return one_id(targets, ids)
    return ids_of(targets, ids)


def ids_of(targets: Any, ids: Sequence[int]) -> list[EngineId]:
    """Return *targets* as a list of ids; see `checked`."""
    if targets is None or (isinstance(targets, str) and targets == "all"):
        return [EngineId(engine) for engine in ids]
    if isinstance(targets, slice):
        _need_engines(ids)
        return [EngineId(engine) for engine in ids[targets]]
    if isinstance(targets, int) and not isinstance(targets, bool):
        return [one_id(targets, ids)]
    if isinstance(targets, str) or not isinstance(targets, Iterable):
        raise TypeError(f"targets must be 'all', an id, a slice or a list of ids, not {targets!r}")
    return [one_id(target, ids) for target in targets]


def one_id(target: Any, ids: Sequence[int]) -> EngineId:
    """Return an engine's id; a negative *target* counts from the end of *ids*."""
    if isinstance(target, bool) or not isinstance(target, int):
        raise TypeError(f"an engine id must be an int, not {target!r}")
    if target in ids:
        return EngineId(target)
    if -len(ids) <= target < 0:
        return EngineId(ids[target])
    _need_engines(ids)
    raise _no_engine(target, ids)


def named(targets: Any, present: Mapping[EngineId, EngineInfo]) -> list[EngineId] | None:
    """Return *targets* as ids, None for any engine.

    Args:
        targets: as for `checked`, where uuids may stand for ids, as text or bytes.
        present: the engines there are.

    Raises:
        UnknownEngineError: there is no such engine.
        TypeError: *targets* names no engines.
    """
    if targets is None or (isinstance(targets, str) and targets == "all"):
        return None
    ids = sorted(present)
    if isinstance(targets, str | bytes):
        targets = [targets]
    if isinstance(targets, int | slice) or not isinstance(targets, Iterable):
        return ids_of(targets, ids)
    return [_one_named(target, present, ids) for target in targets]


def _one_named(
    target: Any, present: Mapping[EngineId, EngineInfo], ids: Sequence[EngineId]
) -> EngineId:
    if not isinstance(target, str | bytes):
        return one_id(target, ids)
    uuid = target.decode("ascii", "replace") if isinstance(target, bytes) else target
    for engine, info in present.items():
        if info.uuid == uuid:
            return engine
    raise _no_engine(uuid, ids)


def engines_of(targets: Any, present: Collection[int]) -> list[EngineId]:
    """Return the engines that a call goes to now.

    Args:
        targets: as returned by `checked`.
        present: the engines there are.

    Raises:
        NoEnginesRegistered: there are no engines.
        UnknownEngineError: one of the targets is not there any more.
    """
    ids = sorted(present)
    _need_engines(ids)
    if targets == "all":
        return [EngineId(engine) for engine in ids]
    chosen: list[EngineId] = [EngineId(targets)] if isinstance(targets, int) else list(targets)
    for engine in chosen:
        if engine not in present:
            raise _no_engine(engine, ids)
    if not chosen:
        raise no_targets()
    return chosen


def no_targets() -> NoEnginesRegistered:
    """Return the error for a call that names no engine at all."""
    return NoEnginesRegistered(
        "the targets are empty, so there is no engine to call: "
        "they were given, or came to be, as a slice or list without ids"
    )


def _need_engines(ids: Sequence[int]) -> None:
    if not ids:
        raise NoEnginesRegistered(
            "there are no engines: start some with ipengine or ipcluster, and wait for them with "
            "wait_for_engines"
        )


def _no_engine(target: int | str, ids: Sequence[int]) -> UnknownEngineError:
    return UnknownEngineError(f"there is no engine {target}; there are {listed(ids)}")
