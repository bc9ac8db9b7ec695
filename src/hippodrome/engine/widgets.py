"""Comms of the widgets on an engine: what they say goes to the task that runs.

Imports the package ``comm``, and is therefore imported right after somebody else has imported that.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final  # Any: what widgets say

import comm
from comm.base_comm import BaseComm, CommManager

Publish = Callable[[str, Mapping[str, Any], Sequence[bytes]], None]

_manager: Final[Any] = CommManager()


class EngineComm(BaseComm):
    """The engine's end of a comm.

    Args:
        publish: takes the kind, the content and the buffers of each message.
    """

    def __init__(self, publish: Publish, *args: Any, **kwargs: Any) -> None:
        self._publish = publish
        super().__init__(*args, **kwargs)

    def publish_msg(
        self,
        msg_type: str,
        data: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        buffers: Sequence[Any] | None = None,
        **keys: Any,
    ) -> None:
        """Send a message to the other end."""
        content = {"comm_id": self.comm_id, "data": data or {}, "metadata": metadata or {}, **keys}
        self._publish(msg_type, content, [bytes(buffer) for buffer in buffers or ()])


def install(publish: Publish) -> None:
    """Let whoever makes a comm in this process make one of ours; see `EngineComm`."""
    comm.create_comm = functools.partial(EngineComm, publish)
    comm.get_comm_manager = lambda: _manager


def receive(kind: str, content: Mapping[str, Any], buffers: Sequence[bytes]) -> None:
    """Take a ``comm_msg`` or a ``comm_close`` of the other end; of unknown comms it is nothing."""
    if content["comm_id"] in _manager.comms:
        take = _manager.comm_close if kind == "comm_close" else _manager.comm_msg
        header = {"msg_type": kind}
        message = {"header": header, "metadata": {}, "content": content, "buffers": buffers}
        take(None, "", message)
