"""Data that a task publishes while it runs: of each name the latest value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any  # Any: whatever users publish

from hippodrome.engine.attempts import Value
from hippodrome.engine.captured import encodable
from hippodrome.serialize.pickling import dumps

if TYPE_CHECKING:
    from hippodrome.engine.output import OutputCapture

_output: OutputCapture | None = None


def set_output(output: OutputCapture) -> None:
    """Say what knows the tasks of this process."""
    global _output
    _output = output


def publish_data(data: Mapping[str, Any]) -> None:
    """Let the client see *data* in `AsyncResult.data` while this task runs.

    What is published under the same name later takes the place of what was before. The client
    gets the latest values about ten times a second, as long as it keeps up with them, and those
    of the end with the result.

    Args:
        data: values by name. They are pickled at once: what changes afterwards is not seen.

    Raises:
        RuntimeError: this is no task on an engine, or a thread whose task has ended.
        TypeError: *data* is no mapping, or a name in it is no str.
        SerializationError: a value cannot be pickled; nothing has been published.
    """
    if not isinstance(data, Mapping):
        raise TypeError(f"publish a dict, not {type(data).__name__}")
    for name in data:
        if not isinstance(name, str):
            raise TypeError(f"names of published data are str, not {name!r}")
    owner = _output.owner() if _output is not None else None
    if owner is None:
        raise RuntimeError("publish_data is for tasks on engines, while they run")
    owner.publish([_pickled(encodable(name), value) for name, value in data.items()])


def _pickled(name: str, value: object) -> Value:
    pickled = dumps(value, f"published {name!r}")
    # Copied, as the task may change an array at any time from now on.
    return name, pickled.payload, tuple(bytes(buffer) for buffer in pickled.buffers)
