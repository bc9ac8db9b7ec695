"""The result of putting the parts of a sequence together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hippodrome.client.results.mapresult import AsyncMapResult
from hippodrome.client.views.partition import join
from hippodrome.protocol.messages import MsgId

if TYPE_CHECKING:
    from hippodrome.client.results.owner import Owner


class AsyncGatherResult(AsyncMapResult[Any]):
    """A sequence whose parts come from several engines."""

    def __init__(
        self,
        client: Owner,
        msg_ids: list[MsgId],
        fname: str,
        *,
        dist: str = "b",
        ordered: bool = True,
        return_exceptions: bool = False,
    ) -> None:
        self._dist = dist
        super().__init__(
            client, msg_ids, fname, ordered=ordered, return_exceptions=return_exceptions
        )
        # the function has a part of the sequences, not one item
        self._about.items, self._about.has_parts = None, True

    def _shape(self, values: list[Any]) -> Any:
        if any(isinstance(value, BaseException) for value in values):
            return values
        return join(values, self._dist)

    def _items(self, index: int, value: Any) -> Sequence[Any]:
        if isinstance(value, BaseException):
            return [value]
        items: Sequence[Any] = join([value])
        return items
