"""A client controls engines and the controller here, other than by calling functions."""

from __future__ import annotations

import signal as signals
from collections.abc import Mapping
from typing import Any

from hippodrome.briefly import brief_methods
from hippodrome.client import integrations
from hippodrome.client.owntasks import OwnTasks
from hippodrome.client.view import warn_of_spinning
from hippodrome.client.views import targeting
from hippodrome.errors import ControllerLost
from hippodrome.protocol.messages import EngineId, EngineInfo


@brief_methods(but=("spin", "spin_thread", "stop_spin_thread"))
class ClusterControl(OwnTasks):
    """The part of a `Client` that starts, stops, interrupts and inspects."""

    def send_signal(self, sig: int | str, targets: Any = None, block: bool | None = None) -> Any:
        """Deliver a signal to engine processes.

        Args:
            sig: its number, or its name such as ``"SIGINT"``.
            targets: which engines; by default all.
            block: whether to wait until it was delivered; None is `block`.

        Raises:
            ValueError: there is no such signal.
            IndexError: there is no such engine.

        >>> rc.send_signal("SIGCONT", targets=[0], block=True)
        """
        signum = _signal_number(sig)
        reply = self._io.ask("signal", targets=self._asked_targets(targets), signum=signum)
        return self._reply(reply, block)

    def spin(self) -> None:
        """Do nothing. Deprecated: results come by themselves."""
        warn_of_spinning("spin")

    def spin_thread(self, interval: float = 1) -> None:
        """Do nothing. Deprecated: results come by themselves.

        Args:
            interval: accepted.
        """
        warn_of_spinning("spin_thread")

    def stop_spin_thread(self) -> None:
        """Do nothing. Deprecated: see `spin_thread`."""
        warn_of_spinning("stop_spin_thread")

    def shutdown(
        self,
        targets: Any = "all",
        restart: bool = False,
        hub: bool = False,
        block: bool | None = None,
    ) -> Any:
        """Stop engines, and the controller if asked to.

        Args:
            targets: which engines.
            restart: not supported.
            hub: whether to stop the controller too, and with it all engines.
            block: whether to wait until engines have been told; None is `block`. Stopping the
                controller always waits until it has said good-bye.

        Raises:
            NotImplementedError: *restart* is true.
            IndexError: there is no such engine.

        >>> with ipp.Cluster(n=2) as rc:
        ...     rc.shutdown(targets=[1], block=True)
        """
        if restart:
            raise NotImplementedError("engines cannot be restarted: start new ones with ipengine")
        if hub:
            self._shut_down_controller()
            return None
        chosen = self._asked_targets(targets)
        return self._reply(self._io.ask("shutdown", targets=chosen, hub=False), block)

    def _shut_down_controller(self) -> None:
        try:
            self._io.ask("shutdown", targets=None, hub=True)
            self._io.check_may_wait()
        except ControllerLost:
            return  # it is gone already
        self._io.gone.result()

    def queue_status(self, targets: Any = "all", verbose: bool = False) -> Any:
        """Return how much engines have to do.

        Args:
            targets: which engines; a single id gives the inner dict.
            verbose: msg_ids rather than their number.

        Returns:
            ``{engine id: {"queue", "completed", "tasks"}, "unassigned": n}``.

        Raises:
            IndexError: there is no such engine.

        >>> rc.queue_status()["unassigned"]
        0
        """
        chosen = self._asked_targets(targets)
        status = self._io.ask("queue_status", targets=chosen, verbose=verbose).result()
        if isinstance(targets, int) and chosen is not None:
            return status[chosen[0]]
        return status

    def engine_states(self) -> dict[str, Any]:
        """Return how the engines are, also those that are still in their start-up.

        Returns:
            ``engines``, for each a dict with its ``engine_id``, ``host``, ``pid`` and ``state``
            (``"starting"``, ``"ready"``, ``"busy"`` or ``"silent"``), what it is ``engaged`` with
            beside tasks, and how much it has to do; ``gone``, the latest that have left, each
            with the ``reason``; and ``unassigned``, how many tasks wait for an engine.

        >>> [engine["host"] for engine in rc.engine_states()["engines"]]
        ['...', '...']
        """
        states: dict[str, Any] = self._io.ask("engine_states", targets=None).result()
        return states

    # ---- dask

    def become_dask(
        self,
        targets: Any = "all",
        port: int = 0,
        nanny: bool = False,
        scheduler_args: Mapping[str, Any] | None = None,
        **worker_args: Any,
    ) -> Any:
        """Start dask on engines, and return a `distributed.Client` of it.

        Close that yourself, or let `stop_dask` close it.

        The first of the engines runs dask's scheduler, and each of them a worker, beside the tasks
        that they are given here. Engines that run dask already keep it, and the others join them.
        On each, its worker is the variable ``dask_worker``, and ``distributed_worker``.

        dask has connections of its own. They are **neither encrypted nor authenticated** unless
        both *scheduler_args* and *worker_args* have a ``security``: whoever reaches them can run
        code as you. They are open to this host's users if all the engines are on this host, and
        otherwise to whoever reaches the engines' addresses.

        Args:
            targets: which engines.
            port: where the scheduler listens; 0 is any port that is free.
            nanny: whether the worker is a process of its own, which is started again if it dies.
            scheduler_args: for `distributed.Scheduler`: ``host``, ``security``, and
                ``dashboard_address``, without which there is no dashboard.
            **worker_args: for each `distributed.Worker`, or `distributed.Nanny`: ``nthreads``, by
                default 1 (``ncores`` is an older name of it), ``memory_limit``,
                ``local_directory``, and so on.

        Raises:
            ImportError: dask is not installed.
            NoEnginesRegistered: there are no engines.
            RemoteError: it does not start on an engine; nothing of it is left then.
            RuntimeError: some of the engines run one dask, and some another.

        >>> with rc.become_dask() as dask_client:
        ...     dask_client.submit(pow, 2, 5).result()
        32
        >>> rc.stop_dask()
        """
        chosen = targeting.engines_of(targeting.checked(targets, self.ids), self._io.engines)
        asked = {"port": port, **(scheduler_args or {})}
        return integrations.become_dask(self, self._infos(chosen), nanny, asked, worker_args)

    become_distributed = become_dask

    def stop_dask(self, targets: Any = "all") -> None:
        """Stop what of dask runs on engines, once it has ended what it computes. Idempotent.

        Clients that `become_dask` has returned are closed where their scheduler stops.

        Args:
            targets: which engines; a scheduler among them stops its workers elsewhere too.

        Raises:
            ImportError: dask is not installed.

        >>> rc.stop_dask()
        """
        integrations.stop_dask(self, self._infos(targeting.ids_of(targets, self.ids)))

    stop_distributed = stop_dask

    def _infos(self, engines: list[EngineId]) -> list[EngineInfo]:
        known = self._io.engines
        return [known[engine] for engine in engines if engine in known]

    def _asked_targets(self, targets: Any) -> list[EngineId] | None:
        if targets is None or (isinstance(targets, str) and targets == "all"):
            return None
        return targeting.ids_of(targets, self.ids)


def _signal_number(sig: int | str) -> int:
    if isinstance(sig, int):
        return int(signals.Signals(sig))
    try:
        return int(signals.Signals[sig.upper()])
    except KeyError:
        raise ValueError(f"there is no signal {sig!r}") from None
