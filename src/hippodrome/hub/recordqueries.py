"""The questions about tasks: what became of them, and what it takes to run them again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from hippodrome.hub.asked import (
    Arguments,
    Deliver,
    Handler,
    Reply,
    guarded,
    msg_ids_in,
    texts_in,
)
from hippodrome.hub.registry import Registry
from hippodrome.protocol import messages as m
from hippodrome.protocol.messages import Digest, EngineId, MsgId
from hippodrome.store.base import Absent, Found, Store
from hippodrome.store.fields import field_of, show
from hippodrome.store.filters import understand
from hippodrome.store.record import TaskRecord

State = TaskRecord | Absent


class RecordQueries:
    """Answers queries from a store.

    Args:
        registry: who engines are.
        store: where the records are.

    Attributes:
        handlers: what answers each query, by its name.
    """

    def __init__(self, registry: Registry, store: Store) -> None:
        self._registry = registry
        self._store = store
        self.handlers: Mapping[str, Handler] = {
            "history": self._history,
            "db_query": self._db_query,
            "result_status": self._result_status,
            "results": self._results,
            "purge": self._purge,
            "resubmission": self._resubmission,
            "storage": self._storage,
        }

    def _history(self, arguments: Arguments, state: bytes, deliver: Deliver) -> None:
        self._store.history(guarded(deliver, lambda msg_ids: deliver(Reply(msg_ids))))

    def _db_query(self, arguments: Arguments, state: bytes, deliver: Deliver) -> None:
        keys = arguments.get("keys")
        for key in [] if keys is None else texts_in(arguments, "keys"):
            field_of(key)
        wanted = understand(arguments["query"])

        def tell(found: list[TaskRecord]) -> None:
            deliver(Reply([show(record, keys) for record in found]))

        self._store.search(wanted, guarded(deliver, tell))

    def _result_status(self, arguments: Arguments, state: bytes, deliver: Deliver) -> None:
        def tell(found: Found) -> None:
            value: dict[str, list[MsgId]] = {"pending": [], "completed": [], "expired": []}
            for msg_id, record in found.items():
                value[_status(record)].append(msg_id)
            deliver(Reply(value))

        self._with_known(msg_ids_in(arguments), deliver, tell)

    def _results(self, arguments: Arguments, state: bytes, deliver: Deliver) -> None:
        msg_ids = msg_ids_in(arguments)

        def tell(found: Found) -> None:
            deliver(Reply([_fetched(msg_id, found[msg_id]) for msg_id in msg_ids]))

        self._with_known(msg_ids, deliver, tell)

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
            deliver(Reply(n_before))
            return
        msg_ids = msg_ids_in({"msg_ids": arguments.get("msg_ids") or []})
        targets = [EngineId(int(target)) for target in arguments.get("targets") or []]
        if not targets:

            def remove(named: Found) -> None:
                self._remove(named, [], deliver)

            self._store.find(msg_ids, guarded(deliver, remove))
            return
        uuids = [self._registry.uuid_of(engine) for engine in targets]
        if not all(uuids):
            strangers = [str(n) for n, uuid in zip(targets, uuids, strict=True) if not uuid]
            deliver(_failure("KeyError", "there never was an engine", strangers))
            return
        of_engines = {"engine_uuid": {"$in": uuids}, "received": {"$exists": True}}

        def with_named(named: Found) -> None:
            def with_records(records: list[TaskRecord]) -> None:
                self._remove(named, records, deliver)

            self._store.search(understand(of_engines), guarded(deliver, with_records))

        self._store.find(msg_ids, guarded(deliver, with_named))

    def _remove(self, named: Found, records: list[TaskRecord], deliver: Deliver) -> None:
        unfinished = [msg_id for msg_id in named if _status(named[msg_id]) == "pending"]
        if unfinished:
            why = "abort it, or wait, before you purge"
            deliver(_failure("RuntimeError", why, unfinished))
            return
        found = {msg_id for msg_id in named if isinstance(named[msg_id], TaskRecord)}
        found.update(record.msg_id for record in records)
        self._store.remove(found)
        deliver(Reply(len(found)))

    # ------------------------------------------------------------ resubmission

    def _resubmission(self, arguments: Arguments, state: bytes, deliver: Deliver) -> None:
        msg_ids = msg_ids_in(arguments)
        new_ids: list[MsgId] = []
        if arguments.get("new_ids") is not None:
            new_ids = msg_ids_in(arguments, "new_ids")
            if len(new_ids) != len(msg_ids):
                raise ValueError("as many new_ids are wanted as there are msg_ids")

        def tell(found: Found) -> None:
            records = [record for record in found.values() if isinstance(record, TaskRecord)]
            why_not = _why_not_again(found)
            if why_not is not None:
                deliver(why_not)
                return

            def with_functions(pickles: Mapping[Digest, bytes]) -> None:
                by_id = {record.msg_id: _recalled(record, pickles) for record in records}
                self._store.resubmitted(dict(zip(msg_ids, new_ids, strict=False)))
                deliver(Reply([by_id[msg_id] for msg_id in msg_ids]))

            functions = {record.function for record in records}
            self._store.find_functions(functions, guarded(deliver, with_functions))

        self._with_known(msg_ids, deliver, tell)

    # ------------------------------------------------------------ storage

    def _storage(self, arguments: Arguments, state: bytes, deliver: Deliver) -> None:
        condition = self._store.condition()
        deliver(
            Reply(
                {
                    "store": condition.kind,
                    "state": str(condition),
                    "records": condition.n_records,
                    "culled": condition.n_culled,
                    "lost": condition.n_lost,
                    "note": condition.note,
                }
            )
        )


def _status(state: State) -> str:
    if isinstance(state, Absent) or (state.is_finished and not state.is_result_kept):
        return "expired"
    return "completed" if state.is_finished else "pending"


def _fetched(msg_id: MsgId, state: State) -> m.Fetched:
    if isinstance(state, Absent):
        return m.Fetched(msg_id, result=_expired(msg_id, "was forgotten: it is too long ago"))
    received, result = state.received, None
    if received is not None:
        result = m.Result(
            msg_id, state.status, state.engine, state.attempt, state.started or 0.0,
            state.completed or 0.0, state.result, state.n_result_buffers, state.failure,
            state.stdout, state.stderr, state.shown,
        )  # fmt: skip
        if not state.is_result_kept:
            result = _expired(msg_id, "was too large to be kept", result)
    return m.Fetched(
        msg_id, state.submitted, received or 0.0, state.label, state.engine_uuid, result,
        list(state.result_buffers),
    )  # fmt: skip


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
    return m.Recalled(task, record.queue, list(record.buffers), pickles.get(record.function))


def _why_not_again(found: Found) -> Reply | None:
    """Return why not all of these can be submitted again; None if they can."""
    records = [record for record in found.values() if isinstance(record, TaskRecord)]
    running = [record.msg_id for record in records if not record.is_finished]
    if running:
        return _failure("RuntimeError", "tasks that have not ended cannot be resubmitted", running)
    if len(records) < len(found):
        absent = [msg_id for msg_id in found if isinstance(found[msg_id], Absent)]
        return _failure("ResultExpired", "the record was forgotten of", absent)
    # Without a function it is a record of what was refused before its arguments were looked at.
    large = [r.msg_id for r in records if not (r.is_call_kept and r.function)]
    if large:
        return _failure("ResultExpired", "the arguments were not kept of", large)
    return None


def _failure(ename: str, why: str, names: Sequence[str]) -> Reply:
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return Reply(failure=m.Failure(ename, f"{why}: {shown}"))
