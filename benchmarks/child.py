"""``python -m benchmarks.child PEER``: a client of one peer, told what to do line by line.

Commands and answers are JSON, one object in a line: ``{"do": NAME, ...arguments}`` is answered by
``{"ok": true, "value": ...}`` or by ``{"ok": false, "error": text}``. This runs in the environment
of the peer, so that only the standard library is at hand; what the peer prints goes to standard
error.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any, TextIO

from benchmarks import calls, peers

if TYPE_CHECKING:
    from benchmarks.procedures import Pile


def main() -> None:
    answers = private_stdout()
    client = Client(sys.argv[1])
    for line in sys.stdin:
        command = json.loads(line)
        try:
            answer = {"ok": True, "value": client.do(**command)}
        except Exception as error:
            answer = {"ok": False, "error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
        if command["do"] == "stop":
            break


def private_stdout() -> TextIO:
    """Return the standard output for answers alone; what others write goes to standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return answers


class Client:
    """Holds the adapter between commands."""

    def __init__(self, name: str) -> None:
        self.adapter = peers.adapter(name)()
        self._pile: Pile | None = None

    def do(self, do: str, **arguments: Any) -> Any:
        return getattr(self, f"do_{do}")(**arguments)

    def do_start(self, n: int) -> float:
        """Start and compute one task; return when that was, on the clock of this host."""
        self.adapter.start(n)
        assert self.adapter.wait(self.adapter.submit(calls.noop, 1)) == 1
        return time.monotonic()

    def do_ready(self) -> dict[str, Any]:
        """Wait for every worker; return when they had answered, and their processes."""
        pids = self.adapter.worker_pids()
        return {"at": time.monotonic(), "workers": sorted(pids), "client": os.getpid()}

    def do_run(self, procedure: str, arguments: dict[str, int]) -> dict[str, float]:
        from benchmarks import procedures

        function = getattr(procedures, procedure)
        figures: dict[str, float] = function(self.adapter, **arguments)
        return figures

    def do_pile(self, n: int) -> None:
        """Make the workers wait, and put *n* tasks behind that."""
        from benchmarks.procedures import Pile

        self._pile = Pile(self.adapter, n)

    def do_take(self) -> None:
        """Let the workers go on, and take all results."""
        assert self._pile is not None
        self._pile.take()
        self._pile = None

    def do_stop(self) -> None:
        self.adapter.stop()


if __name__ == "__main__":
    main()
