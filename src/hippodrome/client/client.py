"""The client: where a user's program meets the cluster."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Self, Unpack

from hippodrome.briefly import brief_methods, ending_here
from hippodrome.client import integrations
from hippodrome.client.control import ClusterControl
from hippodrome.client.hints import Hinting
from hippodrome.client.hubwatch import HubWatch
from hippodrome.client.interruption import ABORT, check_on_interrupt
from hippodrome.client.link import connecting
from hippodrome.client.link.overssh import way_by_ssh
from hippodrome.client.looks.words import count
from hippodrome.client.owntasks import OwnTasks
from hippodrome.client.records import HubRecords
from hippodrome.client.requests import Requests
from hippodrome.client.results.engine_wait import EngineWait
from hippodrome.client.results.future import check_seconds
from hippodrome.client.results.metadata import Metadata as Metadata  # programs import it from here
from hippodrome.client.results.result import AsyncResult
from hippodrome.client.uploads import Uploads, pack, sender
from hippodrome.client.views.balanced import LoadBalancedView
from hippodrome.client.views.broadcast import BroadcastView
from hippodrome.client.views.direct import DirectView
from hippodrome.live import Live
from hippodrome.protocol.silence import PATIENCE_S
from hippodrome.serialize.executereply import ExecuteReply as ExecuteReply  # the same

if TYPE_CHECKING:
    import os
    from types import ModuleType

    import zmq

    from hippodrome.client.views.executor import ViewExecutor
    from hippodrome.client.views.flags import FlagValues, TaskFlagValues


@brief_methods()
class Client(Hinting, Live, ClusterControl, HubRecords, Requests):
    """A connection to a cluster: its engines, and views to run functions on them.

    Any number of threads may use it. Works as a context manager, which closes it.

    Args:
        connection_info: the path of a connection file, a dict of what is in one, or the host of a
            cluster that ssh leads to, as ``ssh://user@host:port/profile?cluster_id=x``. By default
            the file is looked for in the profile.
        profile: a profile's name.
        profile_dir: a profile's directory, which wins over its name.
        ipython_dir: where profiles are.
        context: a ZeroMQ context to use rather than an own one.
        debug: log every message.
        sshserver: ``user@host:port``: tunnel through this host, by the system's ssh. By default
            none, or if a key or a password is given, the controller's.
        sshkey: a file with the private key for that.
        password: for that login. Without it, ssh asks at the terminal, if it has to.
        paramiko: changes nothing.
        timeout: how long to wait for the connection file and for the controller, in seconds; after
            one it is said on standard error what is waited for. A file whose controller does
            not answer may be replaced meanwhile.
        cluster_id: which cluster of the profile.
        url_file: another name of *connection_info*.
        cluster: the `Cluster` that this is a client of.
        controller_timeout: an earlier name of *patience*.
        patience: how many seconds of the controller's silence are waited out before it is given
            up. That it has ended is noticed at once, and not waited out.
        on_interrupt: see the attribute.

    Attributes:
        block: whether views that are made from now on wait for results by default.
        profile: the profile's name.
        session: names this client; its msg_ids begin with it.
        on_interrupt: what Ctrl-C does to the calls of a statement that waits for them, such as
            `map_sync`. By default, ``"abort"``: those that have not begun are aborted, and those
            that run get a KeyboardInterrupt, too. With ``"detach"`` they go on, and a note on the
            exception says how to get at them. Calls of earlier statements always go on.

    Raises:
        ConnectionFileError: there is no connection file, or nobody answers where it points.
        AuthenticationError: the controller does not accept the key.
        ProtocolVersionError: the controller speaks another version of the protocol.
        TimeoutError: the controller does not answer in time.
        SSHError: ssh does not lead there; the text ends with what it said.
        TypeError: an argument is of the wrong type.
        ValueError: *on_interrupt* is neither of the two, or *sshserver* no host.

    >>> with ipp.Client() as rc:
    ...     rc[:].apply_sync(pow, 2, 5)
    [32, 32]
    """

    def __init__(
        self,
        connection_info: str | Mapping[str, Any] | None = None,
        profile: str | None = None,
        profile_dir: str | None = None,
        ipython_dir: str | None = None,
        context: zmq.Context[Any] | None = None,
        debug: bool = False,
        sshserver: str | None = None,
        sshkey: str | None = None,
        password: str | None = None,
        paramiko: bool | None = None,
        timeout: float = 10,
        cluster_id: str | None = None,
        *,
        url_file: str | None = None,
        cluster: Any = None,  # a Cluster, which is a layer above
        controller_timeout: float | None = None,
        patience: float = PATIENCE_S,
        on_interrupt: str = ABORT,
        **extra_args: Any,
    ) -> None:
        with ending_here():
            url_file = connecting.from_older_name(extra_args, url_file)
            connecting.check_no_extra(extra_args, _ARGUMENTS)
            given = url_file if connection_info is None else connection_info
            ssh = way_by_ssh(given, sshserver, sshkey, password, paramiko)
            if controller_timeout is not None:
                connecting.check_timeouts(controller_timeout=controller_timeout)
                patience = controller_timeout
            connecting.check_timeouts(timeout=timeout, patience=patience)
            self._on_interrupt = check_on_interrupt(on_interrupt)
            source = connecting.find_source(
                given, profile, profile_dir, ipython_dir, cluster_id, ssh
            )
        self.profile: str = profile or connecting.running_profile() or "default"
        self._given_cluster = cluster
        self._found_cluster: Any = None
        self.debug = debug
        self._path = source.path
        with ending_here():
            session, io = connecting.connect(source, context, timeout, patience, debug)
        OwnTasks.__init__(self, session, io)
        self._watch = HubWatch(io)
        self._uploads = Uploads()
        self._finalizer = weakref.finalize(self, io.leave, "the client is gone")
        self._finalizer.atexit = False  # the I/O thread sees to that itself
        self._is_made = True
        if not integrations.has_magics():
            self.activate()

    def __repr__(self) -> str:
        io = self._io
        state = io.state if io.is_lost else count(len(self), "engine")
        return f"<Client {self.session[:8]}: {state}>"

    def _repr_html_(self) -> str:
        from hippodrome.client.looks.panels import of_client

        return of_client(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self, linger: float | None = None) -> None:
        """Leave the cluster. What is outstanding fails. Idempotent.

        Args:
            linger: accepted for compatibility; leaving takes as long as saying good-bye does.

        >>> rc = ipp.Client()
        >>> rc.close()
        """
        self._finalizer.detach()
        self._io.close()

    def _instead(self) -> str:
        if self._path is None:
            return "call it there"
        return f"call it there, or make a client in the task, as by ipp.Client({str(self._path)!r})"

    # ---- engines

    def __len__(self) -> int:
        return len(self._io.engines)

    def __bool__(self) -> bool:
        return True  # also without engines

    def __iter__(self) -> Iterator[DirectView]:
        for engine in self.ids:
            yield self.direct_view(engine)

    def __getitem__(self, key: Any) -> DirectView:
        """Return a view of one engine, or of several.

        Args:
            key: an engine id; or a slice, or a collection of ids. Negative ids and slices count in
                the list of ids.

        Raises:
            IndexError: there is no such engine.
            TypeError: *key* is none of these.
        """
        if not isinstance(key, int | slice | tuple | list | range):
            raise TypeError(f"use an engine id, a slice or a list of ids, not {key!r}")
        return self.direct_view(key)

    def direct_view(self, targets: Any = "all", **flags: Unpack[FlagValues]) -> DirectView:
        """Return a view of named engines.

        Args:
            targets: as for indexing, or ``"all"``: the engines that there are at each call.
            **flags: ``block``, ``label``, ``track``: as for `DirectView.set_flags`.

        Raises:
            IndexError: there is no such engine.
            TypeError: *targets* are none, or a flag is of the wrong type.

        >>> rc.direct_view([0, 1], block=True).apply(pow, 2, 5)
        [32, 32]
        """
        return DirectView(self, targets, **flags)

    def activate(self, targets: Any = "all", suffix: str = "") -> DirectView:
        """Let ``%px`` and its family run cells on engines; in IPython the first client does.

        Args:
            targets: which engines.
            suffix: ends the names of the magics, as in ``%px_even``.

        Returns:
            The view that they use, which blocks.
        """
        view = self.direct_view(targets, block=True)
        view.activate(suffix)
        return view

    def broadcast_view(
        self, targets: Any = "all", is_coalescing: bool = False, **flags: Unpack[FlagValues]
    ) -> BroadcastView:
        """Return a view of the engines that there are now; see `BroadcastView`.

        Args:
            targets: as for `direct_view`, looked up once.
            is_coalescing: accepted.
            **flags: ``block``, ``label``, ``track``: as for `DirectView.set_flags`.

        Raises:
            NoEnginesRegistered: there are no engines; the others as from `direct_view`.

        >>> rc.broadcast_view().apply_sync(pow, 2, 5)
        [32, 32]
        """
        return BroadcastView(self, targets, is_coalescing, **flags)

    def load_balanced_view(
        self, targets: Any = None, **flags: Unpack[TaskFlagValues]
    ) -> LoadBalancedView:
        """Return a view whose tasks go to whichever engine is free.

        Args:
            targets: the engines that may be chosen; by default any.
            **flags: all others of `LoadBalancedView.set_flags`.

        Raises:
            IndexError: there is no such engine.
            KeyError: there is no such flag.
            TypeError: a flag is of the wrong type.
            ValueError: a flag is out of range.

        >>> rc.load_balanced_view(retries=2).apply_sync(pow, 2, 5)
        32
        """
        return LoadBalancedView(self, targets=targets, **flags)

    def clear(self, targets: Any = None, block: bool | None = None) -> Any:
        """Forget the variables of engines.

        Args:
            targets: which; by default all.
            block: whether to wait until it is done; None is `block`.

        Raises:
            IndexError: there is no such engine.

        >>> rc[:]["a"] = 7
        >>> rc.clear(block=True)
        """
        view = self.direct_view("all" if targets is None else targets)
        return view.clear(block=self.block if block is None else block)

    def upload(self, what: str | os.PathLike[str] | ModuleType) -> None:
        """Send a module or a package to all engines, so that tasks can import it there.

        It is written to a folder of each engine's own, which goes with the engine, and takes the
        place of what was uploaded under its name before, and of what has been imported of that.
        Engines that join later get it too, for as long as this client is there. Variables of
        engines that hold the former module keep it.

        Args:
            what: a module, or the path of a ``.py`` file, of a package's folder, of a ZIP file or
                of a wheel of Python files.

        Raises:
            FileNotFoundError: there is nothing at that path.
            TypeError: it is none of these.
            ValueError: it is too large, or has a name that cannot be imported, or a name that
                engines need for a module of their own.
            RemoteError: an engine cannot take it.

        >>> from pathlib import Path
        >>> n = Path("helpers.py").write_text("def double(x): return 2 * x")
        >>> rc.upload("helpers.py")
        >>> view.execute("from helpers import double", block=True)
        <AsyncResult(execute): finished>
        >>> lbv.apply_sync(ipp.Reference("double"), 21)
        42
        """
        name, archive = pack(what)
        if self._uploads.keep(name, archive):
            send = weakref.WeakMethod(self._send_upload)
            self._io.watch_engines(sender(self._uploads, send, set(self._io.engines)))
        if self._io.engines:
            view = self.direct_view("all", block=True)
            view._act(view._flags, "take_upload", name, archive)

    def _send_upload(self, targets: Any, name: str, archive: bytes) -> AsyncResult[Any]:
        view = self.direct_view(targets)
        return view._named(view._flags, "take_upload", name, archive)

    def executor(self, targets: Any = None) -> ViewExecutor:
        """Return a `concurrent.futures.Executor` that runs functions on whichever engine is free.

        Args:
            targets: the engines that may be chosen; by default any.

        Raises:
            IndexError: there is no such engine.

        >>> with rc.executor() as executor:
        ...     list(executor.map(pow, [2, 3], [5, 2]))
        [32, 9]
        """
        return self.load_balanced_view(targets).executor

    def wait_for_engines(
        self,
        n: int | None = None,
        *,
        timeout: float | None = -1,
        block: bool = True,
        interactive: bool | None = None,
        widget: bool | None = None,
    ) -> Future[None] | None:
        """Wait until there are engines.

        Args:
            n: how many; by default as many as the `Cluster` that made this client was started
                with, or one.
            timeout: seconds; None or a negative number waits for as long as it takes.
            block: whether to wait here.
            interactive: whether to show a progress bar; None shows one where somebody can see it.
            widget: whether that is a notebook's widget, if ipywidgets is installed; None finds out.

        Returns:
            A future that ends when there are enough, if not blocking.

        Raises:
            TimeoutError: there are fewer after *timeout* seconds.
            EngineError: an engine left in the meantime.

        >>> rc.wait_for_engines(2, timeout=10)
        """
        if n is None:
            n = getattr(self._given_cluster, "n", None) or 1
        check_seconds(timeout)
        waiting = EngineWait(self._io, n, lambda: getattr(self.cluster, "launched", ""))
        if not block:
            return waiting
        waiting.wait_showing(timeout, interactive, widget)
        return None

    @property
    def cluster(self) -> Any:
        """The `Cluster` that this is a client of; None if its controller was started by hand.

        >>> with ipp.Cluster(n=2) as rc:
        ...     rc.cluster.n
        2
        """
        if self._given_cluster is None and self._found_cluster is None:
            self._found_cluster = integrations.cluster_of(self._io.info)
        return self._given_cluster or self._found_cluster

    @cluster.setter
    def cluster(self, value: Any) -> None:
        self._given_cluster = value


_ARGUMENTS = [name for name in Client.__init__.__annotations__ if name not in {"return"}]
