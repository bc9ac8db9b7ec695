"""The questions about tasks: what became of them, and what it takes to run them again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeVar

from hippodrome.hub.larder.base import Got, Larder, NoLarder
from hippodrome.hub.query import (
    Arguments,
    Deliver,
    Handler,
    QueryOutcome,
    guarded,
    msg_ids_in,
    texts_in,
)
from hippodrome.hub.registry import Registry
from hippodrome.protocol import messages as m
from hippodrome.protocol.frames import Buffer, Frames
from hippodrome.protocol.messages import Digest, EngineId, MsgId
from hippodrome.protocol.reading import one_line
from hippodrome.store.base import Absent, Found, Store, Unreadable
from hippodrome.store.fields import BUFFERS, field_of, show
from hippodrome.store.filters import Filter, understand
from hippodrome.store.large import Large, inline_bytes
from hippodrome.store.record import DAMAGED, TaskRecord

State = TaskRecord | Absent

ANSWER_BYTES: Final = 64 << 20  # of buffers in one answer, unless a single task has more
QUERY_BYTES: Final = 512 << 20


class RecordQueries:
    """Answers queries from a store.

    Args:
        registry: who engines are.
        store: where the records are.
        larder: where their large buffers are.

    Attributes:
        handlers: what answers each query, by its name.
    """

    def __init__(self, registry: Registry, store: Store, larder: Larder | None = None) -> None:
        self._registry = registry
        self._store = store
        self._larder = larder or NoLarder()
        self.handlers: Mapping[str, Handler] = {
            "history": self._history,
            "record_count": self._record_count,
            "db_query": self._db_query,
            "result_status": self._result_status,
            "results": self._results,
            "purge": self._purge,
            "resubmission": self._resubmission,
            "storage": lambda _arguments, _state, deliver: deliver(QueryOutcome(self.storage())),
        }

    def _history(self, arguments: Arguments, state: bytes, deliver: Deliver) -> None:
        self._store.history(guarded(deliver, lambda msg_ids: deliver(QueryOutcome(msg_ids))))

    def _record_count(self, arguments: Arguments, state: bytes, deliver: Deliver) -> None:
        self._store.count(guarded(deliver, lambda n: deliver(QueryOutcome(n))))

    def _db_query(self, arguments: Arguments, state: bytes, deliver: Deliver) -> None:
        wanted = _understood(arguments, deliver)
        if wanted is None:
            return
        keys = arguments.get("keys")

        def tell(found: list[TaskRecord]) -> None:
            shown = [show(record, keys) for record in found]
            lists = [each[key] for each in shown for key in BUFFERS if key in each]
            self._with_buffers(lists, lambda frames: deliver(QueryOutcome(shown, frames)), deliver)

        self._store.search(wanted, guarded(deliver, tell))

    def _with_buffers(
        self, lists: list[list[Any]], then: Callable[[Frames], None], deliver: Deliver
    ) -> None:
        """Replace what is large in *lists* by its place among frames, or None if it is not here."""
        wanted = _larges(lists)
        if not wanted:
            then([])
            return
        size_bytes = sum(each.size_bytes for each in wanted)
        if size_bytes > QUERY_BYTES:
            why = f"they hold {size_bytes:,} bytes, and {QUERY_BYTES:,} are the most"
            evalue = f"ask for the buffers of fewer tasks at once: {why}"
            deliver(QueryOutcome(failure=m.Failure("ValueError", evalue)))
            return

        def place(got: Got) -> None:
            frames: Frames = []
            for one in lists:
                for i, each in enumerate(one):
                    if isinstance(each, Large):
                        buffer = got[each]
                        one[i] = None if isinstance(buffer, str) else len(frames)
                        frames += [] if isinstance(buffer, str) else [buffer]
            then(frames)

        self._larder.fetch(set(wanted), guarded(deliver, place))

    def _result_status(self, arguments: Arguments, state: bytes, deliver: Deliver) -> None:
        def tell(found: Found) -> None:
            value: dict[str, list[MsgId]] = {"pending": [], "completed": [], "expired": []}
            for msg_id, record in found.items():
                value[self._status(record)].append(msg_id)
            deliver(QueryOutcome(value))

        self._with_known(msg_ids_in(arguments), deliver, tell)

    def _results(self, arguments: Arguments, state: bytes, deliver: Deliver) -> None:
        msg_ids = msg_ids_in(arguments)

        def tell(found: Found) -> None:
            states = _first([found[msg_id] for msg_id in msg_ids], _result_buffers)

            def with_large(got: Got) -> None:
                value: list[m.Fetched] = []
                frames: Frames = []
                for msg_id, state in zip(msg_ids, states, strict=False):
                    fetched, buffers = _fetched(msg_id, state, got)
                    value.append(fetched)
                    frames += buffers
                deliver(QueryOutcome(value, frames))

            larges = _larges(map(_result_buffers, states))
            self._larder.fetch(larges, guarded(deliver, with_large))

        self._with_known(msg_ids, deliver, tell)

    def _status(self, state: State) -> str:
        if isinstance(state, Absent) or state.status == DAMAGED:
            return "expired"
        if not state.is_finished:
            return "pending"
        is_here = state.is_result_kept and not any(
            self._larder.why_not(large) for large in _larges([state.result_buffers])
        )
        return "completed" if is_here else "expired"

    def _with_known(
        self, msg_ids: Sequence[MsgId], deliver: Deliver, tell: Callable[[Found], None]
    ) -> None:
        """Look tasks up, and fail if one of them is unknown."""

        def check(found: Found) -> None:
            unknown = [msg_id for msg_id in found if found[msg_id] is Absent.UNKNOWN]
            if unknown:
                deliver(_failure("KeyError", "there is no record of", unknown))
            else:
                tell(found)

        self._store.find(msg_ids, guarded(deliver, check))

    # ------------------------------------------------------------ purge

    def _purge(self, arguments: Arguments, state: bytes, deliver: Deliver) -> None:
        if arguments.get("all"):
            n_before = self._store.condition().n_finished
            self._store.remove_finished()
            self._store.find(self._larder.owners(), self._release_absent)
            deliver(QueryOutcome(n_before))
            return
        msg_ids = msg_ids_in({"msg_ids": arguments.get("msg_ids") or []})
        targets = [EngineId(int(target)) for target in arguments.get("targets") or []]
        if not targets:
            remove = partial(self._remove, deliver=deliver)
            self._store.find(msg_ids, guarded(deliver, remove))
            return
        uuids = [self._registry.uuid_of(engine) for engine in targets]
        if not all(uuids):
            strangers = [str(n) for n, uuid in zip(targets, uuids, strict=True) if not uuid]
            deliver(_failure("KeyError", "there never was an engine", strangers))
            return
        of_engines = {"engine_uuid": {"$in": uuids}, "received": {"$exists": True}}

        def with_named(named: Found) -> None:
            remove = partial(self._remove, named, deliver=deliver)
            self._store.search(understand(of_engines), guarded(deliver, remove))

        self._store.find(msg_ids, guarded(deliver, with_named))

    def _release_absent(self, found: Found | Unreadable) -> None:
        if isinstance(found, Unreadable):
            return  # the next controller will see to it
        for msg_id, state in found.items():
            if isinstance(state, Absent):
                self._larder.release(msg_id)

    def _remove(
        self, named: Found, records: Sequence[TaskRecord] = (), *, deliver: Deliver
    ) -> None:
        unfinished = [msg_id for msg_id in named if _is_pending(named[msg_id])]
        if unfinished:
            why = "abort it, or wait, before you purge"
            deliver(_failure("RuntimeError", why, unfinished))
            return
        found = {msg_id for msg_id in named if isinstance(named[msg_id], TaskRecord)}
        found.update(record.msg_id for record in records)
        self._store.remove(found)
        for msg_id in found:
            self._larder.release(msg_id)
        deliver(QueryOutcome(len(found)))

    # ------------------------------------------------------------ resubmission

    def _resubmission(self, arguments: Arguments, state: bytes, deliver: Deliver) -> None:
        msg_ids = msg_ids_in(arguments)
        new_ids: list[MsgId] = []
        if arguments.get("new_ids") is not None:
            new_ids = msg_ids_in(arguments, "new_ids")
            if len(new_ids) != len(msg_ids):
                raise ValueError("as many new_ids are wanted as there are msg_ids")

        def tell(found: Found) -> None:
            why_not = self._why_not_again(found)
            if why_not is not None:
                deliver(why_not)
                return
            all_records = [r for each in msg_ids if isinstance(r := found[each], TaskRecord)]
            records = _first(all_records, _call_buffers)

            def with_functions(pickles: Mapping[Digest, bytes], got: Got) -> None:
                gone = [why for why in got.values() if isinstance(why, str)]
                if gone:
                    names = [r.msg_id for r in records if _missing(r.buffers, got)]
                    deliver(_failure("ResultExpired", f"the arguments: one {gone[0]}, of", names))
                    return
                self._store.resubmitted(dict(zip(msg_ids[: len(records)], new_ids, strict=False)))
                frames = [each for r in records for each in _buffers(r.buffers, got)]
                deliver(QueryOutcome([_recalled(record, pickles) for record in records], frames))

            def with_large(got: Got) -> None:
                def with_pickles(pickles: Mapping[Digest, bytes]) -> None:
                    with_functions(pickles, got)

                digests = {record.function for record in records}
                self._store.find_functions(digests, guarded(deliver, with_pickles))

            larges = _larges(map(_call_buffers, records))
            self._larder.fetch(larges, guarded(deliver, with_large))

        self._with_known(msg_ids, deliver, tell)

    # ------------------------------------------------------------ storage

    def storage(self) -> dict[str, Any]:
        """Return how what is kept of tasks fares, for people and programs."""
        condition = self._store.condition()
        return {
            "store": condition.kind,
            "state": str(condition),
            "records": condition.n_records,
            "culled": condition.n_culled,
            "lost": condition.n_lost,
            "note": condition.note,
            "large": self._large(),
        }

    def _large(self) -> dict[str, Any]:
        stock = self._larder.stock()
        return {
            "buffers": stock.n_buffers,
            "bytes": stock.size_bytes,
            "limit": stock.limit_bytes,
            "dropped": stock.n_dropped,
            "state": f"degraded ({stock.trouble})" if stock.trouble else "ok",
        }

    def _why_not_again(self, found: Found) -> QueryOutcome | None:
        """Return why not all of these can be submitted again; None if they can."""
        records = [record for record in found.values() if isinstance(record, TaskRecord)]
        running = [record.msg_id for record in records if not record.is_finished]
        if running:
            unfit = "tasks that have not ended cannot be resubmitted"
            return _failure("RuntimeError", unfit, running)
        if len(records) < len(found):
            absent = [msg_id for msg_id in found if isinstance(found[msg_id], Absent)]
            return _failure("ResultExpired", "the record was forgotten of", absent)
        # Without a function it is a record of what was refused before its arguments were looked at.
        strange = [r.msg_id for r in records if not r.function or r.n_buffers != len(r.buffers)]
        if strange:
            return _failure("ResultExpired", "the arguments were not kept of", strange)
        for record in records:
            reasons = map(self._larder.why_not, _larges([record.buffers]))
            why = next(filter(None, reasons), "")
            if why:
                why = f"the arguments of {record.msg_id} are not here: one {why}"
                return QueryOutcome(failure=m.Failure("ResultExpired", why))
        return None


def _is_pending(state: State) -> bool:
    return isinstance(state, TaskRecord) and not state.is_finished


def _call_buffers(state: State) -> tuple[bytes | Large, ...]:
    return state.buffers if isinstance(state, TaskRecord) else ()


def _result_buffers(state: State) -> tuple[bytes | Large, ...]:
    return state.result_buffers if isinstance(state, TaskRecord) else ()


def _larges(lists: Iterable[Sequence[object] | None]) -> list[Large]:
    return [each for kept in lists for each in kept or () if isinstance(each, Large)]


S = TypeVar("S", bound=State)


def _first(states: list[S], buffers_of: Callable[[State], tuple[bytes | Large, ...]]) -> list[S]:
    """Return as many of *states*, from the first on, as one answer holds the buffers of."""
    size_bytes = 0
    for n, state in enumerate(states):
        buffers = buffers_of(state)
        size_bytes += inline_bytes(buffers) + sum(each.size_bytes for each in _larges([buffers]))
        if n and size_bytes > ANSWER_BYTES:
            return states[:n]
    return states


def _buffers(kept: tuple[bytes | Large, ...], got: Got) -> list[Buffer]:
    return [got[each] if isinstance(each, Large) else each for each in kept]


def _missing(kept: tuple[bytes | Large, ...], got: Got) -> str:
    """Say why one of an item's buffers is not here; empty if all are."""
    reasons = (got[each] for each in _larges([kept]))
    return next((why for why in reasons if isinstance(why, str)), "")


def _fetched(msg_id: MsgId, state: State, got: Got) -> tuple[m.Fetched, list[Buffer]]:
    """Return what is known of a task, and the buffers of its result."""
    if isinstance(state, Absent):
        why = "was forgotten: it is too long ago"
        return m.Fetched(msg_id, result=_expired(msg_id, why)), []
    received, result = state.received, None
    buffers: list[Buffer] = []
    if received is not None:
        result = m.Result(
            msg_id, state.status, state.engine, state.attempt, state.started or 0.0,
            state.completed or 0.0, state.result, state.n_result_buffers, state.failure,
            state.stdout, state.stderr, state.shown,
        )  # fmt: skip
        why = _missing(state.result_buffers, got)
        if why or state.n_result_buffers != len(state.result_buffers):
            result = _expired(msg_id, why or "was too large to be kept", result)
        else:
            buffers = _buffers(state.result_buffers, got)
    fetched = m.Fetched(
        msg_id, state.submitted, received or 0.0, state.label, state.engine_uuid, result
    )
    return fetched, buffers


def _expired(msg_id: MsgId, why: str, like: m.Result | None = None) -> m.Result:
    failure = m.Failure("ResultExpired", f"the result of {msg_id} {why}")
    if like is None:
        return m.Result(msg_id, "expired", None, failure=failure)
    return m.Result(
        msg_id, "expired", like.engine, like.attempt, like.started, like.completed, b"", 0, failure,
        like.stdout, like.stderr, like.shown,
    )  # fmt: skip


def _recalled(record: TaskRecord, pickles: Mapping[Digest, bytes]) -> m.Recalled:
    task = m.Task(record.msg_id, record.function, record.payload, record.n_buffers, record.options)
    return m.Recalled(task, record.queue, pickles.get(record.function))


def _failure(ename: str, why: str, names: Sequence[str]) -> QueryOutcome:
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return QueryOutcome(failure=m.Failure(ename, f"{why}: {shown}"))


def _understood(arguments: Arguments, deliver: Deliver) -> Filter | None:
    """Return what is searched for; where that makes no sense, say so and return None."""
    keys, query = arguments.get("keys"), arguments["query"]
    try:
        for key in [] if keys is None else texts_in(arguments, "keys"):
            field_of(key)
        return understand(query)
    except (TypeError, ValueError) as error:  # a mistake in the question, not in its bytes
        ename = "TypeError" if isinstance(error, TypeError) else "ValueError"
        deliver(QueryOutcome(failure=m.Failure(ename, one_line(str(error)))))
        return None
