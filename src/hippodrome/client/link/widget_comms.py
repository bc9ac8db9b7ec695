"""Widgets of engines in the user's notebook: what they say is passed on, in both directions.

A widget lives in a Python process and is seen in a browser; the two exchange messages over a comm,
which belongs to a kernel. For a widget on an engine the kernel gets a comm with the same id, so
that displays that refer to it are right. In a process that is no kernel nothing happens.
"""

from __future__ import annotations

import functools
import json
import logging
import sys
import threading
import weakref
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final  # Any: what widgets say

from hippodrome.client.looks.bars import is_kernel
from hippodrome.client.results.codec import engine_function
from hippodrome.client.results.result import AsyncResult
from hippodrome.errors import ClusterError
from hippodrome.protocol.messages import (
    CommMessage,
    EngineId,
    MsgId,
    Piece,
    Result,
)
from hippodrome.serialize import dumps_call

if TYPE_CHECKING:
    from hippodrome.client.results.owner import Owner

_Place = tuple[MsgId, int, int]  # the task, which attempt, which of its messages

log: Final = logging.getLogger(__name__)


class CommRelay:
    """Passes on what the widgets of engines say, each message once.

    That is done when it arrives, on the I/O thread, and before anybody is told of the displays that
    come with it: a browser must know a widget before it is to show it.
    """

    def __init__(self) -> None:
        self._live: weakref.WeakKeyDictionary[AsyncResult, set[_Place]]
        self._live = weakref.WeakKeyDictionary()  # what has been passed on of tasks that run

    def show(self, waiter: AsyncResult, piece: Piece) -> None:
        """Pass on what a widget of a running task says."""
        manager, message = _manager(), piece.comm
        if manager is None or message is None:
            return
        if _pass_on(waiter._client, manager, message):
            place = piece.msg_id, piece.attempt, message.at
            self._live.setdefault(waiter, set()).add(place)

    def end(self, waiter: AsyncResult, result: Result) -> None:
        """Pass on what is left of a task that has ended."""
        manager = _manager()
        if manager is None or result.shown is None:
            return
        passed_on = self._live.get(waiter, ())
        for message in result.shown.comms:
            if (result.msg_id, result.attempt, message.at) not in passed_on:
                _pass_on(waiter._client, manager, message)


def repeat(client: Owner, result: Result) -> None:
    """Make the widgets again that a task of long ago has made, but for those that are there."""
    manager = _manager()
    if manager is None or result.shown is None:
        return
    before = set(manager.comms)
    for message in result.shown.comms:
        if json.loads(message.content)["comm_id"] not in before:
            _pass_on(client, manager, message)


def _manager() -> Any:
    """Return what knows the comms of this kernel; None if this process is none."""
    find = getattr(sys.modules.get("comm"), "get_comm_manager", None)
    return find() if find is not None and is_kernel() else None


def _pass_on(client: Owner, manager: Any, message: CommMessage) -> bool:
    """Pass on a message of an engine to the frontends; return whether there is such a comm."""
    try:
        return _deliver(client, manager, message)
    except Exception:  # whatever the kernel does about it, tasks and their results go on
        log.warning("a widget's message was dropped", exc_info=True)
        return False


def _deliver(client: Owner, manager: Any, message: CommMessage) -> bool:
    content = json.loads(message.content)
    comm_id = content["comm_id"]
    parts = {"data": content["data"], "metadata": content["metadata"], "buffers": message.buffers}
    proxy = manager.comms.get(comm_id)
    if message.kind == "comm_open":
        if proxy is None:
            _open(client, content, parts)
        return True
    if proxy is not None:
        (proxy.close if message.kind == "comm_close" else proxy.send)(**parts)
    return proxy is not None


def _open(client: Owner, content: Mapping[str, Any], parts: Mapping[str, Any]) -> None:
    """Open a comm in this kernel that stands for one of an engine."""
    names = {name: content.get(name) for name in ("comm_id", "target_name", "target_module")}
    proxy = sys.modules["comm"].create_comm(primary=False, **names)  # with which nothing is sent
    send = functools.partial(_send, weakref.ref(client), content["engine"])
    proxy.on_msg(functools.partial(send, "comm_msg"))
    proxy.on_close(functools.partial(send, "comm_close"))
    proxy.open(**parts)


def _send(
    client_ref: weakref.ref[Owner], engine: EngineId, kind: str, message: Mapping[str, Any]
) -> None:
    """Pass on a message of a frontend to an engine, for when that has time, and do not wait.

    It is no task of the user's: the client's history does not have it.
    """
    client = client_ref()
    if client is None:
        return
    content = {"comm_id": message["content"]["comm_id"], "data": message["content"].get("data", {})}
    buffers = [bytes(buffer) for buffer in message.get("buffers") or ()]
    function, call = engine_function("take_comm_message"), dumps_call((kind, content, buffers), {})
    result = AsyncResult(client, client._submissions.new_ids(1), function.name, single=True)
    result.add_done_callback(_show)
    with suppress(ClusterError):  # without a controller there is nobody to tell
        client._submissions.to_named(result, function, [(call, [engine])], "", ())


def _show(done: Any) -> None:
    """Show what the widget's callbacks have shown, on a thread that may wait for the kernel."""
    result: AsyncResult = done
    result._client._forget(result.msg_ids)
    outcome = result._tasks.result_of(0)
    if outcome is not None and (outcome.stdout or outcome.stderr or outcome.shown):
        from hippodrome.client.looks.viewer import display_outputs

        show = functools.partial(display_outputs, result._tasks, "type", False)
        threading.Thread(target=show, name="hippodrome-view", daemon=True).start()
