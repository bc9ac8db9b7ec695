"""The questions that a client may ask the hub, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from hippodrome.errors import ProtocolError
from hippodrome.hub.registry import Engine, Registry
from hippodrome.protocol import messages as m
from hippodrome.protocol.messages import EngineId, PeerId
from hippodrome.store.base import Store
from hippodrome.store.filters import understand
from hippodrome.store.record import TaskRecord

Arguments = dict[str, Any]  # as the client sent them: each query checks what it takes

BAD_ARGUMENTS: Final = (
    msgspec.MsgspecError, ArithmeticError, LookupError, RecursionError, TypeError, ValueError,
)  # fmt: skip
MOST_SIGNALS: Final = 65  # no system that we know has more


@dataclass(slots=True)
class Reply:
    """What a query comes to: a value for the client, messages for the scheduler, or the end."""

    value: Any = None  # anything msgpack can carry
    orders: list[m.Order] = field(default_factory=list)
    end: str = ""


class Queries:
    """Answers queries from the hub's registry and store."""

    def __init__(self, registry: Registry, store: Store) -> None:
        self._registry = registry
        self._store = store

    def answer(self, query: m.Query, state: bytes) -> Reply:
        """Answer one query.

        Args:
            query: its name and arguments.
            state: what the scheduler added of its own; see `m.Asked`.

        Raises:
            ProtocolError: there is no such query, or its arguments are wrong.
        """
        handler = QUERIES.get(query.name)
        if handler is None:
            raise ProtocolError(f"there is no query {query.name!r}")
        try:
            arguments = msgspec.msgpack.decode(query.arguments, type=dict[str, Any])
            return handler(self, arguments, state)
        except BAD_ARGUMENTS as error:
            raise ProtocolError(f"bad arguments of {query.name!r}: {error!r}") from error

    def _nothing(self, arguments: Arguments, state: bytes) -> Reply:
        """Answer at all; what came before it over the same connection has taken effect."""
        return Reply()

    def _shutdown(self, arguments: Arguments, state: bytes) -> Reply:
        if arguments.get("hub"):
            return Reply(end="a client shut the cluster down")
        by_node = self._by_node(arguments)
        return Reply(orders=[m.Order(node, stop=m.Stop(uuids)) for node, uuids in by_node.items()])

    def _signal(self, arguments: Arguments, state: bytes) -> Reply:
        signum = int(arguments["signum"])
        if signum not in range(1, MOST_SIGNALS):
            raise ValueError(signum)
        by_node = self._by_node(arguments)
        return Reply(
            orders=[m.Order(n, signal=m.Signal(uuids, signum)) for n, uuids in by_node.items()]
        )

    def _by_node(self, arguments: Arguments) -> dict[PeerId, list[PeerId]]:
        by_node: dict[PeerId, list[PeerId]] = {}
        for engine in self._targets(arguments):
            by_node.setdefault(engine.node, []).append(engine.uuid)
        return by_node

    def _targets(self, arguments: Arguments) -> list[Engine]:
        members = {engine.engine: engine for engine in self._registry.members()}
        named = arguments.get("targets")
        if named is None:
            return list(members.values())
        return [members[EngineId(int(n))] for n in named if int(n) in members]

    def _queue_status(self, arguments: Arguments, state: bytes) -> Reply:
        queues = msgspec.msgpack.decode(state, type=m.QueueState)
        verbose = bool(arguments.get("verbose"))
        shown: Callable[[list[m.MsgId]], Any] = list if verbose else len
        value: dict[str | int, Any] = {}
        for engine in self._targets(arguments):
            value[engine.engine] = {
                "queue": shown(queues.direct.get(engine.engine, [])),
                "completed": self._completed(engine) if verbose else engine.n_completed,
                "tasks": shown(queues.tasks.get(engine.engine, [])),
            }
        value["unassigned"] = shown(queues.unassigned)
        return Reply(value)

    def _completed(self, engine: Engine) -> list[m.MsgId]:
        found: list[TaskRecord] = []
        here = {"engine_uuid": engine.uuid, "received": {"$exists": True}}
        self._store.search(understand(here), found.extend)
        return [record.msg_id for record in found]


QUERIES: Final[dict[str, Callable[[Queries, Arguments, bytes], Reply]]] = {
    "abort_done": Queries._nothing,
    "queue_status": Queries._queue_status,
    "shutdown": Queries._shutdown,
    "signal": Queries._signal,
}
