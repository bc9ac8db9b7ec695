"""Items of a message share this, single or bundled: ids, buffers, lists of one length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hippodrome.errors import ProtocolError
from hippodrome.protocol import messages as m
from hippodrome.protocol.frames import Buffer, take_all

Single = m.Task | m.Attempt | m.Outcome | m.Result | m.Datum
Bundle = m.TaskBundle | m.AttemptBundle | m.OutcomeBundle | m.ResultBundle
Item = Single | Bundle


def ids_of(item: Item) -> list[m.MsgId]:
    """Return the tasks that *item* is about."""
    return [item.msg_id] if isinstance(item, Single) else item.msg_ids


def n_buffers(item: Item) -> int:
    """Return how many buffer frames belong to *item*; a bundle has none."""
    return item.n_buffers if isinstance(item, Single) else 0


def check_all(items: Sequence[Item]) -> None:
    """Raise ProtocolError if one of *items* is a bundle that does not fit together."""
    for item in items:
        check(item)


def check(item: Item) -> None:
    """Raise ProtocolError if *item* is a bundle that is empty, or whose lists do not fit."""
    if isinstance(item, Single):
        return
    columns: list[Sequence[object]] = [item.payloads]
    if isinstance(item, m.OutcomeBundle | m.ResultBundle):
        columns += [item.started, item.run_s]
    n = len(item.msg_ids)
    if not n or any(len(column) != n for column in columns):
        sizes = ", ".join(str(len(column)) for column in columns)
        raise ProtocolError(f"a bundle of {n} tasks with lists of {sizes}")


def deal(items: Sequence[Item], buffers: Sequence[Buffer]) -> Iterator[tuple[Buffer, ...]]:
    """Return the buffers of each of *items*.

    Raises:
        ProtocolError: the parts of the message do not fit together; raised at once.
    """
    check_all(items)
    return take_all([n_buffers(item) for item in items], buffers)
