"""Jupyter frontends of engines, made of the client that real frontends are made of."""

from __future__ import annotations

import asyncio
import json
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import hippodrome as ipp

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from jupyter_client.blocking.client import BlockingKernelClient
    from jupyter_core.utils import ensure_event_loop

TIMEOUT_S: Final = 20
WAIT: Final = "print('waiting'); import threading; threading.Event().wait(60)"


@contextmanager
def event_loop() -> Iterator[None]:
    """Have the loop that the blocking client opens when first used, and never closes."""
    loop = ensure_event_loop()
    yield
    loop.close()
    asyncio.set_event_loop(None)


@contextmanager
def attaching(view: Any) -> Iterator[Callable[..., Any]]:
    """Attach frontends to an engine, or to whatever a connection file tells; they are closed."""
    frontends: list[Any] = []

    def attach(path: str | None = None, **changes: Any) -> Any:
        path = path or view.apply_sync(ipp.bind_kernel)
        frontend = BlockingKernelClient()
        frontend.load_connection_info(json.loads(Path(path).read_text()) | changes)
        frontend.start_channels()
        frontends.append(frontend)
        return frontend

    try:
        yield attach
    finally:
        for frontend in frontends:
            frontend.stop_channels()
            frontend.context.term()


class Cell:
    """What came of a cell."""

    def __init__(self, frontend: Any, code: str, **options: Any) -> None:
        self.frontend = frontend
        self.messages: list[tuple[str, dict[str, Any]]] = []
        self.msg_id = frontend.execute(code, **options)

    def finish(self) -> Cell:
        """Wait until the cell is over."""
        while self.messages[-1:] != [("status", {"execution_state": "idle"})]:
            self.next()
        self.reply = self.frontend.get_shell_msg(timeout=TIMEOUT_S)["content"]
        return self

    def next(self) -> tuple[str, dict[str, Any]]:
        """Wait for one thing more that it shows."""
        message = self.frontend.get_iopub_msg(timeout=TIMEOUT_S)
        assert message["parent_header"]["msg_id"] == self.msg_id, message
        self.messages.append((message["msg_type"], message["content"]))
        return self.messages[-1]

    def text(self, name: str = "stdout") -> str:
        """Return what it has printed."""
        found = [content for kind, content in self.messages if kind == "stream"]
        return "".join(content["text"] for content in found if content["name"] == name)

    def contents(self, kind: str) -> list[dict[str, Any]]:
        """Return the contents of all messages of one kind."""
        return [content for found, content in self.messages if found == kind]

    def wait_for_text(self, text: str) -> None:
        while text not in self.text():
            self.next()


def run(frontend: Any, code: str, **options: Any) -> Cell:
    return Cell(frontend, code, **options).finish()


def value_of(cell: Cell) -> Any:
    (content,) = cell.contents("execute_result")
    return content["data"]["text/plain"]
