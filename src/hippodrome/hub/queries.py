"""The questions that a client may ask the hub, by name; those about records are `RecordQueries`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from hippodrome.errors import ProtocolError
from hippodrome.hub.larder.base import Larder
from hippodrome.hub.query import (
    BAD_ARGUMENTS,
    Arguments,
    Deliver,
    Handler,
    QueryOutcome,
    guarded,
    members,
    present,
)
from hippodrome.hub.recorder import Recorder
from hippodrome.hub.recordqueries import RecordQueries
from hippodrome.hub.registry import Engine, EngineStatus, Registry
from hippodrome.protocol import messages as m
from hippodrome.protocol.messages import EngineId, MsgId, PeerId
from hippodrome.protocol.ranges import SIGNALS
from hippodrome.protocol.reading import one_line, read
from hippodrome.store.base import Store
from hippodrome.store.filters import understand
from hippodrome.store.record import TaskRecord

MOST_NAME: Final = 40
MOST_GONE_TOLD: Final = 20

_arguments: Final = msgspec.msgpack.Decoder(Arguments).decode


class Queries:
    """Answers queries from the hub's registry and store."""

    def __init__(
        self,
        registry: Registry,
        store: Store,
        larder: Larder | None = None,
        recorder: Recorder | None = None,
    ) -> None:
        self._registry = registry
        self._store = store
        self._recorder = recorder or Recorder(store, registry.uuid_of, larder)
        self._records = RecordQueries(registry, store, larder)
        self._handlers: Mapping[str, Handler] = {
            "abort_done": self._nothing,
            "engine_states": self._engine_states,
            "queue_status": self._queue_status,
            "shutdown": self._shutdown,
            "signal": self._signal,
            "status": self._status,
            **self._records.handlers,
        }

    @property
    def names(self) -> list[str]:
        return list(self._handlers)

    def answer(self, query: m.Query, state: bytes, deliver: Deliver) -> None:
        """Answer one query, now or later.

        Args:
            query: its name and arguments.
            state: what the scheduler added of its own; see `m.Asked`.
            deliver: takes the answer.

        Raises:
            ProtocolError: there is no such query, or its arguments are wrong.
        """
        handler = self._handlers.get(query.name)
        if handler is None:
            raise ProtocolError(f"there is no query {one_line(query.name, MOST_NAME)!r}")
        try:
            handler(read(_arguments, query.arguments, "a map by name"), state, deliver)
        except (ProtocolError, *BAD_ARGUMENTS) as error:
            raise ProtocolError(
                f"bad arguments of {query.name!r}: {one_line(repr(error))}"
            ) from error

    def _nothing(self, arguments: Arguments, state: bytes, deliver: Deliver) -> None:
        """Answer at all; what came before it over the same connection has taken effect."""
        deliver(QueryOutcome())

    def _shutdown(self, arguments: Arguments, state: bytes, deliver: Deliver) -> None:
        if arguments.get("hub"):
            deliver(QueryOutcome(end="a client shut the cluster down"))
            return
        by_node = self._by_node(arguments).items()
        deliver(QueryOutcome(orders=[m.Order(node, stop=m.Stop(uuids)) for node, uuids in by_node]))

    def _signal(self, arguments: Arguments, state: bytes, deliver: Deliver) -> None:
        signum = int(arguments["signum"])
        if signum not in SIGNALS:
            raise ValueError(signum)
        by_node = self._by_node(arguments).items()
        orders = [m.Order(node, signal=m.Signal(uuids, signum)) for node, uuids in by_node]
        deliver(QueryOutcome(orders=orders))

    def _by_node(self, arguments: Arguments) -> dict[PeerId, list[PeerId]]:
        by_node: dict[PeerId, list[PeerId]] = {}
        for engine in present(self._registry, arguments):
            by_node.setdefault(engine.node, []).append(engine.uuid)
        return by_node

    def _engine_states(self, arguments: Arguments, state: bytes, deliver: Deliver) -> None:
        """Tell how each engine is, and of the latest that are gone, why."""
        queues = msgspec.msgpack.decode(state, type=m.QueueState)
        engines = [state_of(engine, queues) for engine in present(self._registry, arguments)]
        gone = [
            {"engine_id": engine.engine, "host": engine.host, "node": engine.node,
             "pid": engine.pid,
             "state": engine.status.value, "reason": engine.why_gone}
            for engine in list(self._registry.gone())[-MOST_GONE_TOLD:]
        ]  # fmt: skip
        deliver(
            QueryOutcome({"engines": engines, "gone": gone, "unassigned": len(queues.unassigned)})
        )

    def _queue_status(self, arguments: Arguments, state: bytes, deliver: Deliver) -> None:
        queues = msgspec.msgpack.decode(state, type=m.QueueState)
        is_verbose = bool(arguments.get("verbose"))
        shown: Callable[[list[MsgId]], Any] = list if is_verbose else len
        value: dict[str | int, Any] = {}
        uuids: dict[PeerId, EngineId] = {}
        for engine in members(self._registry, arguments):
            uuids[engine.uuid] = engine.engine
            value[engine.engine] = {
                "queue": shown(queues.direct.get(engine.engine, [])),
                "completed": [] if is_verbose else engine.n_completed,
                "tasks": shown(queues.tasks.get(engine.engine, [])),
            }
        value["unassigned"] = shown(queues.unassigned)
        if not is_verbose:
            deliver(QueryOutcome(value))
            return

        def add_completed(records: list[TaskRecord]) -> None:
            for record in records:
                value[uuids[record.engine_uuid]]["completed"].append(record.msg_id)
            deliver(QueryOutcome(value))

        here = {"engine_uuid": {"$in": list(uuids)}, "received": {"$exists": True}}
        self._store.search(understand(here), guarded(deliver, add_completed))

    def _status(self, arguments: Arguments, state: bytes, deliver: Deliver) -> None:
        """Tell how the cluster is, at a cost that does not depend on how much it has to do."""
        load = msgspec.msgpack.decode(state, type=m.Workload)
        engines, n_running, n_held = {}, 0, 0
        for engine in self._registry.here():
            held = load.direct.get(engine.engine, 0) + load.tasks.get(engine.engine, 0)
            n_running += held > 0
            n_held += held
            engines[engine.engine] = {
                "host": engine.host,
                "pid": engine.pid,
                "python": engine.python,
                "log": engine.log,
                "state": _state_of(engine, held),
                "held": held,
                "completed": engine.n_completed,
            }
        tasks = {
            "waiting": load.unassigned + n_held - n_running,
            "running": n_running,
            "done": self._recorder.n_done,
            "failed": self._recorder.n_failed,
        }
        storage = self._records.storage()
        value = {"engines": engines, "tasks": tasks, "clients": load.clients, "storage": storage}
        deliver(QueryOutcome(value))


def _state_of(engine: Engine, held: int) -> str:
    """Return the word for how an engine is."""
    if engine.status is EngineStatus.SUSPECT:
        return "closing" if engine.is_closing else "silent"
    if engine.is_starting:
        return m.STARTING
    return "busy" if held or engine.engaged else "ready"


def state_of(engine: Engine, queues: m.QueueState) -> dict[str, Any]:
    """Return how an engine is, in a word (`_state_of`), and its load."""
    n_direct = len(queues.direct.get(engine.engine, ()))
    n_tasks = len(queues.tasks.get(engine.engine, ()))
    return {
        "engine_id": engine.engine,
        "host": engine.host,
        "node": engine.node,
        "beside": engine.n_beside,
        "pid": engine.pid,
        "state": _state_of(engine, n_direct + n_tasks),
        "engaged": engine.engaged,
        "queue": n_direct,
        "tasks": n_tasks,
        "completed": engine.n_completed,
    }
