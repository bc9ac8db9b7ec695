"""A call's tasks are described: who ran them, when, and what they printed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from hippodrome.briefly import brief_methods
from hippodrome.client import hints
from hippodrome.client.looks.words import shortened
from hippodrome.client.results.metadata import KEYS, Metadata, as_time
from hippodrome.client.results.outputs import outputs_of, value_of
from hippodrome.client.results.slots import Slot, SlotFuture
from hippodrome.protocol.messages import EngineId, Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@brief_methods()
class DescribedFuture(SlotFuture):
    """A call whose metadata can be read by index, by attribute, and as times."""

    _execute_input: str | None = None
    _flaws: Callable[[Slot], bool] | None = None  # tells that a task ended well, but not in all

    # ---- metadata

    @property
    def metadata(self) -> Metadata | list[Metadata]:
        """The metadata that is known of the task now, or a list of them."""
        found = [self._metadata(i) for i in range(len(self._slots))]
        return found[0] if self._single else found

    @property
    def data(self) -> Any:
        """The values that the task has published until now, by name, or a list for each task.

        It is complete when the result is there. A value that cannot be unpickled here is
        replaced by the error that says why.
        """
        found = [self._data_of(i) for i in range(len(self._slots))]
        return found[0] if self._single else found

    def _data_of(self, index: int) -> dict[str, Any]:
        published = self._published.get(index) if self._published is not None else None
        if published is None:
            return {}
        slot = self._slots[index]
        return published.values(None if slot is None else slot[0].attempt)

    def _ran_on(self, index: int) -> EngineId | None:
        """Return the engine that ran a task last; None if none has, or it has not ended."""
        slot = self._slots[index]
        return None if slot is None else slot[0].engine

    def _metadata(self, index: int) -> Metadata:
        options = self._options
        known: dict[str, Any] = {
            "msg_id": self.msg_ids[index],
            "submitted": as_time(self._submitted),
            "label": self._label or None,
            "after": list(options.after.msg_ids) if options and options.after else [],
            "follow": list(options.follow.msg_ids) if options and options.follow else [],
            "execute_input": self._execute_input,
            "data": self._data_of(index),
        }
        slot = self._slots[index]
        if slot is None:
            live = self._live.get(index) if self._live is not None else None
            known["engine_id"] = self.engine_of(index)
            if live is not None:
                known.update(stdout=live.text("stdout"), stderr=live.text("stderr"))
            return Metadata(known)
        result, _, received = slot
        info = {} if result.engine is None else self._client._io.describe(result.engine)
        return Metadata(
            known
            | {
                "status": result.status,
                "started": as_time(result.started),
                "completed": as_time(result.completed),
                "received": as_time(received),
                "engine_id": result.engine,
                "engine_uuid": info.get("engine_uuid"),
                "stdout": result.stdout,
                "stderr": result.stderr,
                "outputs": outputs_of(result),
                "execute_result": value_of(result),
                "error": None if result.status == "ok" else self._decoded(index)[1],
            }
        )

    def __getitem__(self, key: Any) -> Any:
        """Return metadata by its name, or results by index or slice, waiting for these."""
        if isinstance(key, str):
            if key not in KEYS:
                raise KeyError(f"no metadata {key!r}; there are {', '.join(KEYS)}")
            values = [self._metadata(i)[key] for i in range(len(self._slots))]
            return values[0] if self._single else values
        if self._single:
            raise TypeError(f"{self!r} is a single result: use get()")
        if isinstance(key, slice):
            return [self._value_of(i) for i in range(*key.indices(len(self._slots)))]
        return self._value_of(position(key, len(self._slots)))

    def __getattr__(self, name: str) -> Any:
        if name in KEYS:
            return self[name]
        own = getattr(type(self), name, None)
        if isinstance(own, property):  # its task raised an AttributeError: that is the one to show
            return own.__get__(self)
        if hints.knows(self, name):
            hints.missing(self, name)
        return super().__getattr__(name)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *KEYS})

    # ---- looks

    def _progress_word(self) -> str:
        if self.cancelled():
            return "cancelled"
        if not self.done():
            return "pending"
        return "failed" if self._n_failed or self._is_flawed() else "finished"

    def _is_flawed(self) -> bool:
        """Whether errors are among the results of tasks that ended well."""
        flaws = self._flaws
        return flaws is not None and any(flaws(slot) for slot in self._slots if slot is not None)

    def _repr_html_(self) -> str:
        from hippodrome.client.looks.panels import of_result

        return of_result(self)

    def timeline(self) -> Figure:
        """Draw which engine did what when, as far as that is known now.

        Returns:
            A figure of matplotlib with a lane for each engine and a bar for each task; if there are
            many of these, several share one.

        Raises:
            ImportError: matplotlib is not installed.
        """
        try:
            from hippodrome.client.looks import figure
        except ImportError as error:
            raise ImportError(
                f"timeline() draws with matplotlib, which cannot be imported ({error}): "
                "pip install matplotlib"
            ) from error
        from hippodrome.client.looks.panels import timeline_of

        return figure.draw(timeline_of(self), shortened(self._label or self._fname, 80))

    # ---- times

    @property
    def progress(self) -> int:
        """How many items have ended."""
        return len(self._slots) - self._left

    @property
    def elapsed(self) -> float:
        """Seconds since submission; once all is done, until the last result came."""
        return self._until_received() if self.done() else self._passed_s()

    @property
    def serial_time(self) -> float:
        """Seconds that the tasks ran, all together.

        Raises:
            TimeoutError: some have not ended.
        """
        return sum(_run_s(result) for result, _, _ in self._all_slots())

    @property
    def wall_time(self) -> float:
        """Seconds from submission until the last result came.

        Raises:
            TimeoutError: some have not ended.
        """
        self._all_slots()
        return self._until_received()

    def _until_received(self) -> float:
        """Seconds until the last result came; a call without tasks, or cancelled, takes none."""
        came = (slot[2] for slot in self._slots if slot is not None)
        # the clocks of two hosts may differ
        return max(0.0, max(came, default=self._submitted) - self._submitted)

    def _all_slots(self) -> list[Slot]:
        if not self.done():
            raise TimeoutError(f"{self!r} is not ready")
        return [slot for slot in self._slots if slot is not None]

    def timedelta(
        self,
        start: datetime | Sequence[datetime],
        end: datetime | Sequence[datetime],
        start_key: Any = min,
        end_key: Any = max,
    ) -> float:
        """Return the seconds between two sets of times, by default the longest span."""
        first = start if isinstance(start, datetime) else start_key(start)
        last = end if isinstance(end, datetime) else end_key(end)
        return cast("float", (last - first).total_seconds())


def _run_s(result: Result) -> float:
    """Return how long a task ran; 0.0 if that is not known, or makes no sense."""
    started, completed = as_time(result.started), as_time(result.completed)
    if started is None or completed is None:
        return 0.0
    return max(0.0, result.completed - result.started)


def position(key: Any, length: int) -> int:
    """Return the place in a list of results that *key* means.

    Raises:
        IndexError: there are fewer.
        TypeError: *key* is no int.
    """
    try:
        place: int = range(length)[key]
    except IndexError:
        raise IndexError(f"there is no result {key}: there are {length}") from None
    except TypeError:
        raise TypeError(
            f"use an int or a slice for results, or a str for metadata, not {key!r}"
        ) from None
    return place
