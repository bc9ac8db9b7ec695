"""Waits for the cell of a user who watches: output, progress, Ctrl-C.

A short cell is shown in order when it has ended; one that takes longer is shown as it comes.
"""

from __future__ import annotations

import math
import re
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from hippodrome.client.interruption import InterruptFlag
from hippodrome.client.looks.bars import Bar, make_bar
from hippodrome.client.looks.viewer import OutputStream, display_outputs
from hippodrome.client.results.slots import tasks_of
from hippodrome.errors import AlreadyDisplayedError, ClusterError, RemoteError
from hippodrome.headings import listed

if TYPE_CHECKING:
    from hippodrome.client.client import Client
    from hippodrome.client.results.result import AsyncResult
    from hippodrome.protocol.messages import Result

SHORT_S: Final = 0.4
TELL_AFTER_S: Final = 1.0  # of errors, while other engines go on
STEP_S: Final = 0.05
STUCK_S: Final = 5.0  # after which it is said that some have ended and others have not
PROMPT_S: Final = 0.2  # after Ctrl-C, before the prompt is given back
_CELL: Final = re.compile(r"\bIn\[\d+\]")


@dataclass(slots=True)
class Watching:
    """How a user wants to look at a cell.

    Attributes:
        stream: whether to show output as it comes, unless the cell is short.
        is_live: whether to show all as it comes, tracebacks too, however short the cell.
        groupby: the order in which it is shown otherwise; see `AsyncResult.display_outputs`.
        progress_after_s: when a progress bar appears; negative: never.
        signal_on_interrupt: what Ctrl-C sends to engines; empty: nothing.
    """

    stream: bool = True
    is_live: bool = False
    groupby: str = "type"
    progress_after_s: float = 2.0
    signal_on_interrupt: str = "SIGINT"


class Interrupter:
    """Interrupts cells, and takes harder measures each time that did not help.

    First the very tasks of the cell get a KeyboardInterrupt, and nothing else does. If they do not
    end, the next Ctrl-C sends a signal to the processes that run them, and the third kills these.
    """

    def __init__(self) -> None:
        self._stuck: dict[int, tuple[AsyncResult, int]] = {}  # with how often they were asked

    def interrupt(self, client: Client, result: AsyncResult | None, signame: str) -> None:
        """Interrupt *result*, and whatever was interrupted before and has not ended."""
        self._stuck = {key: one for key, one in self._stuck.items() if not _has_ended(one[0])}
        if result is not None and not _has_ended(result):  # first, so that it does not begin now
            asked = self._stuck.pop(id(result), (result, 0))
            self._stuck = {id(result): asked, **self._stuck}
        for key, (one, n_asked) in self._stuck.items():
            self._stuck[key] = (one, n_asked + 1)
            with suppress(ClusterError):  # without a controller there is nothing to interrupt
                self._ask(client, one, n_asked, signame)

    def _ask(self, client: Client, result: AsyncResult, n_asked: int, signame: str) -> None:
        if n_asked == 0 and signame == "SIGINT":
            result.interrupt()
            return
        result._client.abort(result, block=False)
        signum = signal.SIGKILL if n_asked >= 2 else signame
        engines = sorted({one for one in _engines_left(result) if one in client.ids})
        if engines:
            name = signum.name if isinstance(signum, signal.Signals) else signum
            _say(f"sending {name} to engines [{listed(engines)}], which did not stop")
            client.send_signal(signum, engines, block=False)


class StillRunning(KeyboardInterrupt):
    """The user does not want to wait for a cell that has not ended."""

    def _render_traceback_(self) -> list[str]:
        return [f"KeyboardInterrupt: {self}"]


class CellRun:
    """One cell that engines run while its user waits.

    Args:
        client: whose engines.
        result: of the cell.
        watching: how to show it.
        interrupter: what Ctrl-C does.
        flag: notes each Ctrl-C since before the cell was submitted.
    """

    def __init__(
        self,
        client: Client,
        result: AsyncResult,
        watching: Watching,
        interrupter: Interrupter,
        flag: InterruptFlag,
    ) -> None:
        self._client = client
        self._result = result
        self._tasks = tasks_of(result)
        self._watching = watching
        self._interrupter = interrupter
        self._flag = flag
        self._began = time.monotonic()
        self._bar: Bar | None = None
        self._has_bar = watching.progress_after_s >= 0
        self._told: set[tuple[str, str]] = set()
        self._n_done = 0
        self._done_at = self._began

    def wait(self) -> None:
        """Wait, show what the cell shows, and raise its error.

        Raises:
            AlreadyDisplayedError: the cell failed, and that has been shown.
            RemoteError: the cell failed.
            StillRunning: the user does not want to wait; the engines have been told.
        """
        is_live = self._watching.is_live
        tell = self._show_error if is_live else self._tell_error
        stream = OutputStream(self._tasks, tell, shows_values=False)
        stream.listen()
        try:
            if is_live or (not self._wait(SHORT_S) and self._watching.stream):
                stream.begin()
            self._wait(None)
        except StillRunning:
            stream.abandon()
            raise
        finally:
            self._close_bar()
        if stream.has_begun:
            stream.finish()
            self._result.display_outputs(result_only=True)
        else:
            stream.abandon()
            is_named = self._watching.stream or not self._result._single
            display_outputs(self._tasks, self._watching.groupby, False, is_named)
        try:
            self._result.get()
        except RemoteError as error:
            if not is_live:
                raise
            raise AlreadyDisplayedError(error) from None

    def _wait(self, timeout_s: float | None) -> bool:
        """Wait, in steps, so that a bar goes on; return whether the cell has ended."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            if self._flag.take():
                self._interrupt()
            left_s = STEP_S if deadline is None else min(STEP_S, deadline - time.monotonic())
            if self._result.wait(max(0.0, left_s)):
                return True
            if deadline is not None and time.monotonic() >= deadline:
                return False
            self._show_progress()

    def _interrupt(self) -> None:
        """Interrupt the cell, and insist each time that is asked for; return if it ends soon.

        Raises:
            StillRunning: it does not.
        """
        signame = self._watching.signal_on_interrupt
        deadline, is_asked = time.monotonic() + PROMPT_S, True
        while not self._result.done():
            if is_asked and signame:
                self._interrupter.interrupt(self._client, self._result, signame)
            if self._result.wait(STEP_S):
                return
            is_asked = self._flag.take()
            if time.monotonic() >= deadline:
                engines = sorted(set(_engines_left(self._result)))
                text = (
                    f"engines [{listed(engines)}] have not stopped yet; interrupt again to insist"
                )
                if self._are_ranks:
                    text += ", as what waits in MPI hears no interrupt: the third kills all ranks"
                raise StillRunning(text)

    @property
    def _are_ranks(self) -> bool:
        """Whether the cell runs on engines that are ranks of MPI."""
        ranks = {int(info.engine) for info in self._client._io.engines.values() if info.ranks}
        return not ranks.isdisjoint(_engines_left(self._result))

    def _tell_stuck(self, n_done: int) -> None:
        """Say that some have ended and others have not: in a collective call they wait for all."""
        now = time.monotonic()
        if n_done != self._n_done:
            self._n_done, self._done_at = n_done, now
        elif 0 < n_done < len(self._result) and now - self._done_at >= STUCK_S:
            self._done_at = math.inf
            noun = "ranks" if self._are_ranks else "engines"
            left = f"[{listed(sorted(set(_engines_left(self._result))))}]"
            _say(f"{n_done} of {len(self._result)} {noun} have finished this cell; {left} run it")

    def _show_progress(self) -> None:
        n_done = self._result.progress
        self._tell_stuck(n_done)
        is_due = time.monotonic() - self._began >= self._watching.progress_after_s
        if self._has_bar and self._bar is None and is_due:
            self._bar = make_bar(len(self._result), "%px", "tasks", initial=n_done)
            self._has_bar = self._bar is not None
        if self._bar is not None:
            self._bar.show(n_done)

    def _close_bar(self) -> None:
        if self._bar is not None:
            self._bar.show(self._result.progress)
            self._bar.close()

    def _tell_error(self, index: int, result: Result) -> None:
        """Say at once that one engine failed while others go on; tracebacks follow in the end."""
        failure, is_early = result.failure, time.monotonic() - self._began < TELL_AFTER_S
        if failure is not None and not is_early and not self._result.done():
            _say(f"[error:{result.engine}] {failure.ename}: {failure.evalue}")

    def _show_error(self, index: int, result: Result) -> None:
        """Show how one engine failed; what another one has failed with, in a line."""
        failure = result.failure
        if failure is None:
            return
        error = self._result._details.outcome(index)[1]
        kind = (failure.ename, _CELL.sub("In[]", failure.evalue))  # each engine counts for itself
        if kind in self._told or not isinstance(error, RemoteError):
            what = f"{failure.ename}: {failure.evalue}" if failure.evalue else failure.ename
            _say(f"[error:{result.engine}] {what}, as above")
        else:
            self._told.add(kind)
            _say("\n".join(error._render_traceback_()))


def _has_ended(result: AsyncResult) -> bool:
    """Tell whether all tasks have ended; one that was cancelled may have left some."""
    return not tasks_of(result).left


def _engines_left(result: AsyncResult) -> list[int]:
    tasks = tasks_of(result)
    left = [i for i, slot in enumerate(tasks.slots) if slot is None]
    return [engine for i in left if (engine := tasks.engine_of(i)) is not None]


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
