"""A notebook's kernel: a real process, talked to as a notebook does."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from queue import Empty
from types import TracebackType
from typing import Any

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager, start_new_kernel

PATIENCE_S = 60.0


@dataclass
class Ran:
    """What came of a cell.

    Attributes:
        text: of both streams.
        data: of all that was displayed, by mime type.
        error: name of the error it ended with; empty if with none.
        traceback: what the notebook shows of it.
    """

    text: str = ""
    data: list[dict[str, Any]] = field(default_factory=list)
    error: str = ""
    traceback: str = ""


class Kernel:
    """A kernel and its client."""

    def __enter__(self) -> Kernel:
        self.manager: KernelManager
        self.client: BlockingKernelClient
        self.manager, self.client = start_new_kernel(startup_timeout=PATIENCE_S)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)
        self.manager.context.term()

    def send(self, code: str) -> str:
        """Run a cell, and do not wait; return the message's id.

        Kernels drop what comes a moment after an error, as the rest of a notebook is to be.
        """
        msg_id: str = self.client.execute(code, stop_on_error=False)
        return msg_id

    def wait_for_text(self, text: str) -> None:
        """Wait until a cell that runs has printed *text*."""
        deadline = time.monotonic() + PATIENCE_S
        seen = ""
        while text not in seen:
            assert time.monotonic() < deadline, seen
            try:
                message = self.client.get_iopub_msg(timeout=0.5)
            except Empty:
                continue
            if message["msg_type"] == "stream":
                seen += message["content"]["text"]
            assert message["msg_type"] != "error", message["content"]

    def finish(self, msg_id: str, timeout_s: float = PATIENCE_S) -> Ran:
        """Wait until the cell has ended, and return what came of it."""
        ran, deadline = Ran(), time.monotonic() + timeout_s
        while True:
            message = self.client.get_iopub_msg(timeout=max(0.0, deadline - time.monotonic()))
            if message["parent_header"].get("msg_id") != msg_id:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "stream":
                ran.text += content["text"]
            elif kind in {"display_data", "execute_result", "update_display_data"}:
                ran.data.append(content["data"])
            elif kind == "error":
                ran.error = content["ename"]
                ran.traceback = "\n".join(content["traceback"])
            elif kind == "status" and content["execution_state"] == "idle":
                return ran

    def run(self, code: str) -> Ran:
        """Run a cell that must not fail."""
        ran = self.finish(self.send(code))
        assert not ran.error, ran.traceback
        return ran

    def interrupt(self) -> None:
        """Do what the stop button does."""
        self.manager.interrupt_kernel()
