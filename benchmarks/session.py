"""A peer's client process, seen from outside: JSON lines in and out, and an end in any case."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from benchmarks import processes

ROOT: Final = Path(__file__).resolve().parents[1]
STOP_TIMEOUT_S: Final = 20.0
LINES_SHOWN: Final = 3


class PeerError(Exception):
    """A peer did not do what it was asked; the text says what it said."""


class Session:
    """One life of one peer.

    Args:
        peer: name of its adapter.
        python: interpreter of its environment.
        source: a directory of modules that go before those of the environment.
        wrap: makes of a command the one that runs it elsewhere.
        variables: what else is in its environment, its mark included.

    Attributes:
        mark: in the environment of each of its processes.
        spawned_at: when its client process was started, in seconds of the monotonic clock.
    """

    def __init__(
        self,
        peer: str,
        python: Path,
        source: Path | None = None,
        wrap: Callable[[list[str | Path]], list[str]] | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        variables = variables or {}
        self.peer = peer
        self.mark = variables.get(processes.MARK) or uuid.uuid4().hex
        self._is_part = processes.MARK in variables  # of what ends by itself
        self._said = tempfile.TemporaryFile()  # noqa: SIM115, closed by `__exit__`
        self._rest = b""
        environment = os.environ | {
            processes.MARK: self.mark,
            "PYTHONPATH": os.pathsep.join(map(str, [source, ROOT] if source else [ROOT])),
            "PATH": os.pathsep.join([str(python.parent), os.environ.get("PATH", os.defpath)]),
        }
        environment |= variables
        command: list[str | Path] = [python, "-m", "benchmarks.child", peer]
        self.spawned_at = time.monotonic()
        self._process = subprocess.Popen(
            wrap(command) if wrap else command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            with contextlib.suppress(PeerError):
                self.ask("stop", timeout_s=STOP_TIMEOUT_S)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(STOP_TIMEOUT_S)
        if not self._is_part:
            processes.end(self.mark)
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._said):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()

    def ask(self, do: str, timeout_s: float = 180.0, **arguments: Any) -> Any:
        """Have something done.

        Raises:
            PeerError: it failed, ended, or did not answer in time.
        """
        line = json.dumps({"do": do, **arguments}).encode() + b"\n"
        try:
            self._process.stdin.write(line)
            self._process.stdin.flush()
        except BrokenPipeError:
            raise PeerError(f"its client ended: {self._last_words()}") from None
        answer = json.loads(self._read_line(do, timeout_s))
        if not answer["ok"]:
            raise PeerError(f"{do}: {answer['error']}")
        return answer["value"]

    def _read_line(self, do: str, timeout_s: float) -> bytes:
        deadline = time.monotonic() + timeout_s
        while b"\n" not in self._rest:
            left_s = deadline - time.monotonic()
            if left_s <= 0 or not select.select([self._process.stdout], [], [], left_s)[0]:
                raise PeerError(f"{do}: no answer within {timeout_s:g} s: {self._last_words()}")
            some = os.read(self._process.stdout.fileno(), 65536)
            if not some:
                raise PeerError(f"{do}: its client ended: {self._last_words()}")
            self._rest += some
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def _last_words(self) -> str:
        self._said.seek(0)
        lines = self._said.read().decode(errors="replace").split("\n")
        return " / ".join([line.strip() for line in lines if line.strip()][-LINES_SHOWN:])
