"""What is known of each task of a call: its value or error, decoded once, and its metadata."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import msgspec
from msgspec.structs import replace

from hippodrome.client.results.codec import decode
from hippodrome.client.results.metadata import Metadata, as_time
from hippodrome.client.results.outputs import outputs_of, value_of
from hippodrome.client.results.slot import Outcome
from hippodrome.client.results.slots import TaskSlots, sharing
from hippodrome.client.sources import with_sources
from hippodrome.errors import CompositeError, ControllerLost
from hippodrome.protocol.messages import EngineId, MsgId, Result
from hippodrome.serialize.executereply import ExecuteReply

if TYPE_CHECKING:
    from hippodrome.client.results.owner import Connection


class Details(msgspec.Struct, frozen=True):
    """The tasks of a call, for whoever asks.

    Attributes:
        msg_ids: one for each task.
        tasks: what has come of them.
        io: tells of engines.
    """

    msg_ids: Sequence[MsgId]
    tasks: TaskSlots
    io: Connection

    def outcome(self, index: int) -> Outcome:
        """Return value and error of a task that has ended, decoding it the first time."""
        slot = self.tasks.slots[index]
        assert slot is not None
        found = slot.outcome
        if found is None:
            result = slot.result
            if result.failure is not None:
                result = replace(result, failure=with_sources(result.failure))
            decoded = decode(result, slot.buffers, self.engine_info, index)
            if type(decoded[0]) is ExecuteReply:
                decoded[0].describe(self.metadata(index))
            with sharing:  # threads that come at the same time get the value of the first one
                found = slot.outcome = slot.outcome or decoded
        return found

    def value_or_error(self, index: int) -> Any:
        """Return the error in the place of the value, if there is one."""
        value, error = self.outcome(index)
        return value if error is None else error

    def let_go(self, index: int) -> None:
        """Do not keep the value of a task, which nobody will ask for again."""
        slot = self.tasks.slots[index]
        assert slot is not None
        slot.outcome = None

    def failure(self, is_single: bool) -> Exception:
        """Return the error of the call, of which some tasks have failed."""
        if is_single:
            return cast("Exception", self.outcome(0)[1])
        slots = self.tasks.slots
        ended = [i for i, slot in enumerate(slots) if slot is not None]
        errors = [error for i in ended if (error := self.outcome(i)[1]) is not None]
        lost = next((error for error in errors if isinstance(error, ControllerLost)), None)
        if lost is not None:
            return lost
        message = f"{len(errors)} of {len(slots)} tasks of {self.tasks.about.fname} failed"
        return CompositeError(message, errors)

    def engine_info(self, result: Result, index: int) -> dict[str, Any]:
        """Return what errors tell of a task: who ran it, and what it was of the call."""
        about = self.tasks.about
        info = {} if result.engine is None else self.io.describe(result.engine)
        info = info | {"method": about.method or about.fname}
        if about.has_parts:
            return info | {"part": index}
        at = None if result.failure is None else result.failure.item
        return info | place_in_map(about.items_at(index), at)

    def metadata(self, index: int) -> Metadata:
        """Return what is known of a task now."""
        about, options = self.tasks.about, self.tasks.about.options
        known: dict[str, Any] = {
            "msg_id": self.msg_ids[index],
            "submitted": as_time(about.submitted),
            "label": about.label or None,
            "after": list(options.after.msg_ids) if options and options.after else [],
            "follow": list(options.follow.msg_ids) if options and options.follow else [],
            "execute_input": about.execute_input,
            "data": self.tasks.data_of(index),
        }
        slot = self.tasks.slots[index]
        if slot is None:
            known |= self._whereabouts(self.tasks.engine_of(index))
            live = self.tasks.live_of(index)
            if live is not None:
                known.update(stdout=live.text("stdout"), stderr=live.text("stderr"))
            return Metadata(known)
        result = slot.result
        return Metadata(
            known
            | {
                "status": result.status,
                "started": as_time(result.started),
                "completed": as_time(result.completed),
                "received": as_time(slot.received),
                **self._whereabouts(result.engine),
                "stdout": result.stdout,
                "stderr": result.stderr,
                "outputs": outputs_of(result),
                "execute_result": value_of(result),
                "error": None if result.status == "ok" else self.outcome(index)[1],
            }
        )

    def _whereabouts(self, engine: EngineId | None) -> dict[str, Any]:
        """Return the metadata that tell of *engine*."""
        uuid = None if engine is None else self.io.describe(engine).get("engine_uuid")
        return {"engine_id": engine, "engine_uuid": uuid}


def place_in_map(items: range | None, at: int | None) -> dict[str, Any]:
    """Return what errors tell of their place in a map.

    Args:
        items: those of the task.
        at: which of them it was, as the engine says, counted from 0; None if it does not.
    """
    if not items:
        return {}
    if at is None and len(items) > 1:
        return {"items": (items[0], items[-1])}
    place = 0 if at is None else at
    return {"item": items[place]} if 0 <= place < len(items) else {}
