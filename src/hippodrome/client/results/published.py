"""Values that a task has published: of each name the latest, unpickled for whoever looks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any  # Any: whatever tasks publish

from hippodrome.client.results.codec import decode_published
from hippodrome.protocol.frames import Buffer
from hippodrome.protocol.messages import Datum


class _Value:
    """One value: as it came, until somebody looks."""

    __slots__ = ("_came", "_value")

    def __init__(self, datum: Datum, buffers: Sequence[Buffer]) -> None:
        self._came: tuple[Datum, Sequence[Buffer]] | None = (datum, buffers)
        self._value: Any = None

    def get(self) -> Any:
        came = self._came
        if came is not None:  # two threads may both unpickle it, which does no harm
            datum, buffers = came
            self._value = decode_published(datum.name, datum.payload, buffers)
            self._came = None
        return self._value


class PublishedValues:
    """The values that one attempt has published. Written on the I/O thread, read on any."""

    def __init__(self) -> None:
        self._latest: tuple[int, dict[str, _Value]] = (0, {})  # attempt and values, as one

    def add(self, datum: Datum, buffers: Sequence[Buffer]) -> None:
        """Take what came; a new attempt begins anew, an old one counts no more."""
        latest, values = self._latest
        if datum.attempt == latest:
            values[datum.name] = _Value(datum, buffers)
        elif datum.attempt > latest:
            self._latest = datum.attempt, {datum.name: _Value(datum, buffers)}

    def values(self, attempt: int | None = None) -> dict[str, Any]:
        """Return the values by name.

        Args:
            attempt: which attempt the result is of; None if there is no result yet.

        Returns:
            A dict of the caller's own; in the place of a value that cannot be unpickled here is
            the error that says why.
        """
        latest, values = self._latest
        if attempt is not None and attempt != latest:
            return {}
        return {name: value.get() for name, value in values.copy().items()}
