"""A client knows its engines and its own tasks: what is waited for, aborted, and kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

from hippodrome.briefly import brief_methods
from hippodrome.client import jobs as _jobs
from hippodrome.client.hints import Truth
from hippodrome.client.history import HasHistory, History
from hippodrome.client.interruption import check_on_interrupt, tell_who_goes_on
from hippodrome.client.jobs import KnownMetadata, KnownResults
from hippodrome.client.link.core import ABORT_DONE
from hippodrome.client.link.events import AbortRequested
from hippodrome.client.link.io_thread import IOThread
from hippodrome.client.looks.words import count
from hippodrome.client.results.future import check_seconds
from hippodrome.client.results.result import AsyncResult
from hippodrome.client.submitting import Submissions
from hippodrome.client.views import targeting
from hippodrome.protocol.messages import EngineId, MsgId, PeerId


@brief_methods()
class OwnTasks(HasHistory):
    """What all parts of a `Client` stand on; each of them may be the client of results.

    Args:
        session: names the client; the ids of its tasks begin with it.
        io: its thread.
    """

    block: Truth = Truth()
    profile: str
    _on_interrupt: str
    _given_cluster: Any  # a Cluster, which is a layer above

    def __init__(self, session: PeerId, io: IOThread) -> None:
        self.block = False
        self.session: PeerId = session
        self._io = io
        self._history = History(f"{session}_")
        self._submissions = Submissions(io, f"{session}_")
        self._kept: _jobs.Kept = {}  # results that nobody has fetched yet

    @property
    def ids(self) -> list[int]:
        """The ids of the engines there are, in ascending order.

        >>> rc.ids
        [0, 1]
        """
        return sorted(self._io.engines)

    @property
    def on_interrupt(self) -> str:
        """How Ctrl-C ends the calls of a statement that waits for them; see `Client`.

        >>> rc.on_interrupt
        'abort'
        >>> rc.on_interrupt = "detach"
        """
        return self._on_interrupt

    @on_interrupt.setter
    def on_interrupt(self, value: str) -> None:
        self._on_interrupt = check_on_interrupt(value)

    @property
    def outstanding(self) -> set[MsgId]:
        """The tasks that have no result yet.

        >>> ar = lbv.apply_async(pow, 2, 5)
        >>> ar.wait() and rc.outstanding
        set()
        """
        return self._io.outstanding

    @property
    def results(self) -> KnownResults:
        """Results that have come and that nobody has fetched, by msg_id; may be emptied.

        >>> ar = lbv.apply_async(pow, 2, 5)
        >>> rc.wait()
        True
        >>> rc.results[ar.msg_ids[0]]
        32
        """
        return KnownResults(self._kept)

    @property
    def metadata(self) -> KnownMetadata:
        """The metadata that is known of tasks whose result nobody has fetched, by msg_id.

        >>> ar = lbv.apply_async(pow, 2, 5)
        >>> rc.wait()
        True
        >>> rc.metadata[ar.msg_ids[0]]["status"]
        'ok'
        """
        return KnownMetadata(self._io, self._kept)

    def wait(self, jobs: Any = None, timeout: float | None = -1) -> bool:
        """Wait for jobs.

        Args:
            jobs: indices into `history`, msg_ids, `AsyncResult` objects, other futures, or several
                of these; by default all that are outstanding.
            timeout: seconds; None or a negative number waits for as long as it takes.

        Returns:
            Whether all have ended. Tasks that are not known here count as such.

        Raises:
            IndexError: `history` has no such index.
            TypeError: *jobs* or *timeout* is of the wrong type.

        >>> ar = lbv.map_async(abs, [-1, -2])
        >>> rc.wait(ar, timeout=10)
        True
        """
        check_seconds(timeout)
        self._io.check_may_wait()
        futures = self._futures(jobs)
        limit = None if timeout is None or timeout < 0 else timeout
        with self._leaving(futures):
            return _jobs.wait_all(self._io, futures, limit)

    def wait_interactive(
        self, jobs: Any = None, interval: float = 1.0, timeout: float | None = -1.0
    ) -> None:
        """Wait for jobs, with a progress bar in a terminal or notebook; see `wait`.

        Args:
            jobs: as for `wait`.
            interval: seconds between updates.
            timeout: as for `wait`.

        Raises:
            IndexError: `history` has no such index.
            TypeError: an argument is of the wrong type.

        >>> ar = lbv.map_async(abs, [-1, -2])
        >>> rc.wait_interactive(ar, timeout=10)
        """
        from hippodrome.client.looks.progress import check_times

        check_times(interval, timeout)
        self._io.check_may_wait()
        futures = self._futures(jobs)
        with self._leaving(futures):
            _jobs.wait_for_jobs(self._io, futures, interval, timeout)

    @contextmanager
    def _leaving(self, futures: Iterable[Future[Any]]) -> Iterator[None]:
        """Let a Ctrl-C in the block say which of *futures* go on."""
        try:
            yield
        except KeyboardInterrupt as error:
            results = [one for one in futures if isinstance(one, AsyncResult)]
            tell_who_goes_on(self, results, error)
            raise

    def abort(self, jobs: Any = None, targets: Any = None, block: bool | None = None) -> Any:
        """Keep tasks from starting; these end with `TaskAborted`. Running ones go on.

        Args:
            jobs: as for `wait`, and msg_ids of tasks of other clients; by default all of this
                client that are outstanding.
            targets: of these, only the ones that were sent to these engines by name.
            block: whether to wait until it has taken effect; None is `block`.

        Returns:
            A future that ends when it has taken effect, if not blocking.

        Raises:
            IndexError: `history` has no such index, or there is no such engine.

        >>> import time
        >>> busy, idle = [rc[0].apply_async(time.sleep, 60) for _ in range(2)]
        >>> rc.abort(idle, block=True)
        >>> idle.exception()
        <TaskAborted[0]:...>
        >>> busy.interrupt()
        """
        if jobs is None and targets is None:
            n = len(self.outstanding)
            self._io.post(AbortRequested(None))
        else:
            msg_ids = list(self.outstanding if jobs is None else self._msg_ids(jobs))
            if targets is not None:
                msg_ids = _jobs.on_engines(self._find, msg_ids, self._ids_of(targets))
            n = sum(self._io.find(msg_id) is not None for msg_id in msg_ids)
            self._io.post(AbortRequested(tuple(msg_ids)))
        reply = self._io.ask(ABORT_DONE)
        reply.what = f"abort of {count(n, 'task')}"
        return self._reply(reply, block)

    def _msg_ids(self, given: Any) -> list[MsgId]:
        return _jobs.msg_ids_of(given, self.history)

    def _futures(self, given: Any) -> set[Future[Any]]:
        if given is None:
            given = self.outstanding
        return _jobs.futures_of(self._find, given, self.history)

    # ---- for views and results

    @property
    def _cluster_id(self) -> str:
        given = self._given_cluster
        return self._io.info.cluster_id if given is None else str(given.cluster_id)

    _tell_who_goes_on = tell_who_goes_on

    def _find(self, msg_id: MsgId) -> _jobs.Place | None:
        """Return where the result of a task is or will be, if it is known here."""
        # Between the two looks it may move from the one place to the other, never back.
        return self._io.find(msg_id) or self._kept.get(msg_id)

    def _forget(self, msg_ids: Iterable[MsgId]) -> None:
        """Drop what was kept for somebody to fetch."""
        for msg_id in msg_ids:
            self._kept.pop(msg_id, None)

    def _checked_targets(self, targets: Any) -> Any:
        return targeting.checked(targets, self.ids if targets == "all" else self._ids_there())

    def _ids_of(self, targets: Any) -> list[EngineId]:
        return targeting.ids_of(targets, self._ids_there())

    def _engines_of(self, targets: Any) -> list[EngineId]:
        return targeting.engines_of(targets, self._ids_there())

    def _ids_there(self) -> list[int]:
        """Return the ids of the engines; raise ControllerLost where there is nobody to ask."""
        self._io.check_there()
        return self.ids

    def _reply(self, reply: Future[Any], block: bool | None) -> Any:
        if self.block if block is None else block:
            return reply.result()
        return reply
