"""A client asks the hub here about tasks: its own, and those of others."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, Final

import msgspec

from hippodrome.briefly import brief_methods
from hippodrome.client.hubwatch import HubWatch, ask, ask_for_all, fetch, take
from hippodrome.client.interruption import OwnCalls
from hippodrome.client.owntasks import OwnTasks
from hippodrome.client.results.hubresult import AsyncHubResult
from hippodrome.client.results.result import AsyncResult
from hippodrome.client.results.slots import pass_on, ran_on
from hippodrome.client.submitting import Dispatch
from hippodrome.client.views.flags import TaskFlags, no_flag
from hippodrome.errors import ProtocolError, ResultExpired
from hippodrome.protocol.frames import Buffer, take_all
from hippodrome.protocol.messages import (
    MsgId,
    Options,
    Recalled,
)
from hippodrome.serialize import Function, Pickled

_OPTIONS: Final = {"timeout": "timeout_s"}  # where a flag has another name than its option
_BUFFERS: Final = frozenset({"buffers", "result_buffers"})
_Found = tuple[Recalled, tuple[Buffer, ...]]
_FLAGS: Final = frozenset({"after", "follow", "label", "retries", "targets", "timeout"})


@brief_methods()
class HubRecords(OwnTasks):
    """The part of a `Client` that knows of tasks which have left it."""

    _watch: HubWatch

    # ---- what there is

    def hub_history(self) -> list[MsgId]:
        """Return the msg_ids of all tasks that the hub has a record of, as they were submitted.

        >>> ar = lbv.apply_async(abs, -2)
        >>> ar.wait() and ar.msg_ids[0] in rc.hub_history()
        True
        """
        history: list[MsgId] = ask(self._io, "history")
        return history

    def db_query(
        self, query: Mapping[str, Any], keys: str | Iterable[str] | None = None
    ) -> list[dict[str, Any]]:
        """Return the hub's records of the tasks that fit a query.

        Args:
            query: maps keys of records to values, or to maps of operators, as in MongoDB:
                ``{"completed": {"$gt": yesterday}, "engine_id": {"$in": [0, 2]}}``. Datetimes
                without a time zone, and dates, are local time.
            keys: which keys to return; by default all but the buffers. ``msg_id`` always is.

        Returns:
            A dict for each task. Times are datetimes in UTC. ``buffers`` and ``result_buffers``
            are lists of bytes, with None in place of large ones that are not kept.

        Raises:
            TypeError: *query* is no mapping.
            ValueError: there is no such key or operator, or it does not go with this value; or the
                buffers hold too much for one answer.

        >>> lbv.set_flags(label="night").map_sync(abs, [-1, -2])
        [1, 2]
        >>> [task["label"] for task in rc.db_query({"label": "night"}, keys="label")]
        ['night', 'night']
        """
        if not isinstance(query, Mapping):
            raise TypeError(f"a query is a dict, not {query!r}")
        wanted = [keys] if isinstance(keys, str) else None if keys is None else list(keys)
        asked = {"query": _aware(query), "keys": wanted}
        answer, buffers = ask_for_all(self._io, "db_query", **asked)
        found: list[dict[str, Any]] = answer
        for record in found:
            for key in _BUFFERS & record.keys():
                record[key] = [bytes(buffers[b]) if isinstance(b, int) else b for b in record[key]]
            if record.get("execute_result") is not None:
                record["execute_result"] = json.loads(record["execute_result"])
        return found

    def result_status(self, msg_ids: Any, status_only: bool = True) -> dict[str, Any]:
        """Return which tasks have ended.

        Args:
            msg_ids: msg_ids, indices into `history`, `AsyncResult` objects, or several of these.
            status_only: leave the results out.

        Returns:
            ``"pending"``, ``"completed"`` and ``"expired"`` (ended, but not kept by the hub), each
            with a list of msg_ids; and the result, or the error, of each that is completed.

        Raises:
            KeyError: there is no such task (any more).

        >>> ar = lbv.apply_async(abs, -2)
        >>> ar.wait() and rc.result_status(ar)["pending"]
        []
        """
        asked = self._msg_ids(msg_ids)
        status: dict[str, Any] = ask(self._io, "result_status", msg_ids=asked)
        if not status_only:
            results = self._wrap(status["completed"], single=False, owner=True)
            results.wait()
            for index, msg_id in enumerate(status["completed"]):
                status[msg_id] = results._details.value_or_error(index)
        return status

    def get_result(
        self, indices_or_msg_ids: Any = None, block: bool | None = None, owner: bool = True
    ) -> AsyncResult:
        """Return the result, now or later, of tasks that were submitted before, by anybody.

        Args:
            indices_or_msg_ids: msg_ids, indices into `history`, `AsyncResult` objects, or several
                of these; by default the last task.
            block: whether to wait for it; None is `block`.
            owner: whether fetching the result drops it from this client's `results`. If not, it
                is there until they are cleared or purged, also if the hub had to be asked.

        Returns:
            An `AsyncHubResult` if the hub has to be asked for some of it.

        Raises:
            KeyError: there is no such task (any more).

        >>> msg_id = lbv.apply_async(pow, 2, 5).msg_ids[0]
        >>> rc.get_result(msg_id).get()
        32
        """
        wanted = -1 if indices_or_msg_ids is None else indices_or_msg_ids
        single = isinstance(wanted, int | str)
        if isinstance(wanted, AsyncResult):
            single = wanted._single
        result = self._wrap(self._msg_ids(wanted), single, owner)
        if self.block if block is None else block:
            result.wait()
        return result

    def _wrap(self, msg_ids: list[MsgId], single: bool, owner: bool) -> AsyncResult:
        found = enumerate(map(self._find, msg_ids))
        places = {number: place for number, place in found if place is not None}
        known = [whole._about for whole, _ in places.values()]
        name = known[0].fname if known else "get_result"
        absent = [number for number in range(len(msg_ids)) if number not in places]
        # Asked first, so that a task which there is not is an error here.
        fetched = fetch(self._io, [msg_ids[number] for number in absent]) if absent else []
        kind = AsyncHubResult if absent else AsyncResult
        result = kind(self, msg_ids, name, single=single)
        result.owner = owner
        result._about.begin_with(known)
        for number, (whole, index) in places.items():
            pass_on(whole, index, result, number)
        if isinstance(result, AsyncHubResult):
            result._about.is_dated = len(absent) < len(msg_ids)
            pairs = zip(absent, fetched, strict=True)
            waiting = [(result, number) for number, one in pairs if not take(result, number, one)]
            if waiting:
                self._watch.add(waiting)
        return result

    # ---- once more

    def resubmit(
        self,
        indices_or_msg_ids: Any = None,
        metadata: Mapping[str, Any] | None = None,
        block: bool | None = None,
    ) -> AsyncResult:
        """Submit tasks that have ended again, as they were, under new msg_ids.

        Args:
            indices_or_msg_ids: as for `get_result`; tasks of any client.
            metadata: flags in place of those that the tasks had: ``retries``, ``timeout``,
                ``after``, ``follow``, ``targets``, ``label``.
            block: whether to wait for the results; None is `block`.

        Raises:
            KeyError: there is no such task (any more), or no such flag.
            RuntimeError: one has not ended.
            ResultExpired: what it takes to run one again was not kept.

        >>> lbv.apply_sync(pow, 2, 5)
        32
        >>> rc.resubmit(-1).get()
        32
        """
        changes = self._changes(metadata or {})
        wanted = -1 if indices_or_msg_ids is None else indices_or_msg_ids
        msg_ids = self._msg_ids(wanted)
        new_ids = self._submissions.new_ids(len(msg_ids))
        recalled = zip(msg_ids, self._recall(msg_ids, new_ids), strict=True)
        tasks = [_again(msg_id, *one, changes) for msg_id, one in recalled]
        single = isinstance(wanted, int | str)
        result = AsyncResult(self, new_ids, "resubmit", single=single)
        waits = self.block if block is None else block
        with OwnCalls(self, waits) as calls:
            self._submissions.again(result, tasks, (self._history,), calls)
            if waits:
                result.wait()
        return result

    def _recall(self, msg_ids: list[MsgId], new_ids: list[MsgId]) -> list[_Found]:
        """Return what it takes to submit tasks again."""
        recalled: list[_Found] = []
        while len(recalled) < len(msg_ids):  # the answer holds as many as fit into it
            n = len(recalled)
            answer, buffers = ask_for_all(
                self._io, "resubmission", msg_ids=msg_ids[n:], new_ids=new_ids[n:]
            )
            items = msgspec.convert(answer, list[Recalled])
            if not 0 < len(items) <= len(msg_ids) - n:
                raise ProtocolError(f"{len(items)} tasks came, {len(msg_ids) - n} were asked for")
            counts = [item.task.n_buffers for item in items]
            recalled += zip(items, take_all(counts, buffers), strict=True)
        return recalled

    def _changes(self, metadata: Mapping[str, Any]) -> dict[str, Any]:
        """Return the options that *metadata* asks for."""
        unknown = sorted(metadata.keys() - _FLAGS)
        if unknown:
            raise no_flag(unknown[0], _FLAGS)
        flags = dict(metadata)
        if flags.get("targets") is not None:
            flags["targets"] = self._ids_of(flags["targets"])
        options = TaskFlags(**flags).options(self._io.scheme) or Options()
        names = [_OPTIONS.get(name, name) for name in metadata]
        return {name: getattr(options, name) for name in names}

    # ---- forgetting

    def purge_local_results(self, jobs: Any = (), targets: Any = ()) -> None:
        """Drop results from this client's cache.

        Args:
            jobs: ``"all"``, or as for `get_result`.
            targets: those of tasks that ran on these engines, too.

        Raises:
            RuntimeError: one of the tasks is outstanding.

        >>> ar = lbv.apply_async(abs, -2)
        >>> ar.wait()
        True
        >>> rc.purge_local_results(ar)
        """
        chosen = list(self._kept) if _is_all(jobs) else self._msg_ids(jobs)
        asked = self.outstanding if _is_all(jobs) else self.outstanding.intersection(chosen)
        if asked:
            raise RuntimeError(f"{len(asked)} of the tasks are outstanding: abort or wait for them")
        if not _is_nothing(targets):
            engines = set(self._ids_of(targets))
            chosen += [m for m, (r, i) in list(self._kept.items()) if ran_on(r, i) in engines]
        self._forget(chosen)

    def purge_hub_results(self, jobs: Any = (), targets: Any = ()) -> None:
        """Let the hub forget tasks; nobody can fetch their results any more.

        Tasks that it does not know, or has forgotten already, are passed over.

        Args:
            jobs: ``"all"``: of everybody; or as for `get_result`.
            targets: those that ran on these engines, too.

        Raises:
            KeyError: there never was such an engine.
            RuntimeError: one of the tasks has not ended.
            ValueError: neither is given.

        >>> lbv.apply_sync(abs, -2)
        2
        >>> rc.purge_hub_results(-1)
        """
        if _is_nothing(jobs) and _is_nothing(targets):
            raise ValueError("give jobs, or targets, or both")
        everything = _is_all(jobs)
        msg_ids = None if everything or _is_nothing(jobs) else self._msg_ids(jobs)
        engines = None if _is_nothing(targets) else list(self._ids_of(targets))
        ask(self._io, "purge", msg_ids=msg_ids, targets=engines, all=everything)

    def purge_results(self, jobs: Any = (), targets: Any = ()) -> None:
        """Forget tasks, here and in the hub; see `purge_local_results`, `purge_hub_results`.

        >>> lbv.apply_sync(abs, -2)
        2
        >>> rc.purge_results(-1)
        """
        self.purge_local_results(jobs, targets)
        self.purge_hub_results(jobs, targets)

    def purge_everything(self) -> None:
        """Forget all tasks that have ended, here and in the hub, and the history.

        >>> rc.purge_everything()
        >>> rc.history
        []
        """
        self.purge_results("all")
        self._history.clear()


def _again(
    msg_id: MsgId, item: Recalled, buffers: tuple[Buffer, ...], changes: Mapping[str, Any]
) -> Dispatch:
    """Return what is submitted in the place of *msg_id*.

    Raises:
        ResultExpired: not all that it takes was kept.
    """
    task = item.task
    if item.pickle is None:
        raise ResultExpired(f"the function of {msg_id} was not kept")
    options = msgspec.structs.replace(task.options or Options(), **changes)
    function = Function(task.function, item.pickle, "resubmit")
    engines = options.targets[:1] if item.queue == "mux" and options.targets else None
    return Dispatch(function, Pickled(task.payload, buffers), options, engines)


def _aware(query: Any) -> Any:
    """Return *query* with the time zone of this machine in times that have none."""
    if isinstance(query, Mapping):
        return {key: _aware(value) for key, value in query.items()}
    if isinstance(query, list | tuple | set | frozenset):
        return [_aware(value) for value in query]
    if isinstance(query, datetime):
        return _plain(query)
    if isinstance(query, date):
        return _plain(datetime(query.year, query.month, query.day))  # as it begins here
    return query


def _plain(when: datetime) -> datetime:
    """Return what can be sent for a datetime, which may be of a class of its own."""
    parts = when.timetuple()[:6]
    plain = datetime(*parts, when.microsecond, when.tzinfo, fold=when.fold)
    if plain.tzinfo is not None:
        return plain
    try:
        return plain.astimezone()
    except (OverflowError, ValueError):  # so early, or so late, that no zone knows of it
        return plain.replace(tzinfo=UTC)


def _is_all(given: Any) -> bool:
    return isinstance(given, str) and given == "all"


def _is_nothing(given: Any) -> bool:
    return given is None or (isinstance(given, Sequence) and not given)
