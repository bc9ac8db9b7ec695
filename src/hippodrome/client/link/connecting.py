"""From the arguments of a `Client` to an I/O thread that the controller has accepted."""

from __future__ import annotations

import difflib
import os
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import zmq

from hippodrome import paths
from hippodrome.client.link.core import ClientCore
from hippodrome.client.link.freight import Freight
from hippodrome.client.link.io_thread import IOThread
from hippodrome.client.link.overssh import OverSSH, way_of_file
from hippodrome.client.link.seeking import Seeking, others
from hippodrome.client.results.future import check_seconds
from hippodrome.display import running_shell as running_shell  # magics ask, too
from hippodrome.errors import (
    AuthenticationError,
    ClusterError,
    ConnectionFileError,
    MissingFileError,
)
from hippodrome.process.introduction import introduction
from hippodrome.protocol.ids import new_peer_id, new_secret
from hippodrome.protocol.messages import QUESTION, PeerId
from hippodrome.protocol.stream import LOCAL_SIZES, SIZES
from hippodrome.security.connection_file import (
    ConnectionInfo,
    client_file,
    read,
    wait_for_file,
)
from hippodrome.security.from_environment import connection_told
from hippodrome.security.roles import check_role
from hippodrome.segments.files import is_here
from hippodrome.transport.connect import ROUND_S, open_dealers, wait_and_open
from hippodrome.transport.lifeline import Lifeline
from hippodrome.transport.sockets import has_descriptors, is_local, is_tunneled

if TYPE_CHECKING:
    from hippodrome.ssh.tunnel import Tunnel

_LOOK_S: Final = 0.25
# How long a file may be of no use: a controller that starts removes such a one at once.
_STALE_S: Final = 2.0
_STALE_PART: Final = 0.25  # of the time that a user gives
ROLE: Final = "client"
DESCRIPTORS: Final = 32  # for sockets and wake-ups, the copyless sending of frames, and a file


@dataclass(frozen=True, slots=True)
class AddressSource:
    """Where the controller's addresses are: a dict, a file, or a profile with such a file.

    Attributes:
        info: the dict.
        path: of the file.
        is_question: whether it is read only to ask something, or to stop the controller: then a
            file that may come, or be replaced, is not waited for, and the log is left in peace.
        ssh: by which way; None goes as the file says.
    """

    info: Mapping[str, Any] | None = None
    path: Path | None = None
    is_question: bool = False
    ssh: OverSSH | None = None

    def tunnel(
        self, timeout_s: float, look: Callable[[], None]
    ) -> tuple[ConnectionInfo, Tunnel] | None:
        """Return where the controller is, led by a tunnel, and the tunnel; None if it needs none.

        Raises:
            SSHError: there is no way.
            ConnectionFileError: there is no file, or nobody should use it.
        """
        if self.is_question:
            return None
        if self.ssh is not None and self.ssh.place is not None:
            return self.ssh.open(None, timeout_s, look)
        if self.path is not None:
            wait_for_file(self.path, time.monotonic() + timeout_s, look)
        try:
            info = read(self.path) if self.path else ConnectionInfo.from_dict(self.info or {})
        except ConnectionFileError:
            if self.ssh is None:
                return None  # another file may take its place
            raise
        way = self.ssh or way_of_file(info)
        return way.open(info, timeout_s, look) if way is not None else None

    def open(
        self, context: zmq.Context[Any], n: int, timeout_s: float, look: Callable[[], None]
    ) -> tuple[ConnectionInfo, list[zmq.Socket[bytes]]]:
        """Return where the controller is, and *n* sockets that are connected to it.

        A file that is not there yet is waited for, and for a part of the time so is one that takes
        the place of a file whose controller does not answer.

        Args:
            context: where the sockets are made.
            n: how many.
            timeout_s: how long to wait.
            look: called often meanwhile.

        Raises:
            AuthenticationError: a controller answers, but does not accept the key.
            ConnectionFileError: there is no file, nobody should use it, or nobody answers.
        """
        if self.info is not None:
            info = ConnectionInfo.from_dict(self.info)
            check_role(info.role, ROLE)
            return info, open_dealers(context, info, n, max(timeout_s, 1.0), look)
        assert self.path is not None
        if self.is_question:
            info = read(self.path)
            check_role(info.role, ROLE)
            return info, open_dealers(context, info, n, timeout_s)
        try:
            round_s = min(ROUND_S, max(timeout_s, 1.0))
            stale_s = max(min(timeout_s, _STALE_S), timeout_s * _STALE_PART)
            return wait_and_open(
                context, self.path, n, timeout_s, round_s, look, role=ROLE, stale_s=stale_s
            )
        except MissingFileError as error:
            raise MissingFileError(f"{error}{others(self.path)}") from None

    def introduction(self, *, is_tunneled: bool = False) -> dict[str, str | int]:
        """Return what the controller is told of whoever connects there."""
        purpose = {"purpose": QUESTION} if self.is_question else {}
        return {**introduction(is_tunneled=is_tunneled), **purpose}


def find_source(
    given: str | os.PathLike[str] | Mapping[str, Any] | None,
    profile: str | None = None,
    profile_dir: str | None = None,
    ipython_dir: str | None = None,
    cluster_id: str | None = None,
    ssh: OverSSH | None = None,
) -> AddressSource:
    """Return where to read how to connect.

    A program that was started for a cluster, as by ``ipcluster run``, finds that one in its
    environment, unless it names a profile.

    Args:
        given: a connection file, or what is in one; None looks into the profile.
        profile: a profile's name; None is that of the IPython this runs in, or ``default``.
        profile_dir: a profile's directory, which wins over its name.
        ipython_dir: where profiles are.
        cluster_id: which cluster of the profile; None is the one without an id.
        ssh: by which way.

    Raises:
        ValueError: *given* is an address.
        TypeError: *given* is something else.
    """
    if ssh is not None and ssh.place is not None:
        return AddressSource(ssh=ssh)
    if given is None and not any((profile, profile_dir, ipython_dir, cluster_id)):
        given = _told()
    if isinstance(given, Mapping):
        return AddressSource(info=given, ssh=ssh)
    if isinstance(given, str) and "://" in given:
        raise ValueError(f"{given!r} is an address: give the path of a connection file")
    if isinstance(given, str | os.PathLike):
        return AddressSource(path=Path(given).expanduser(), ssh=ssh)
    if given is not None:
        raise TypeError(f"connection_info must be a path or a dict, not {type(given).__name__}")
    directory, wanted_id = _meant(profile, profile_dir, ipython_dir, cluster_id)
    return AddressSource(path=client_file(directory / "security", wanted_id), ssh=ssh)


def _told() -> Mapping[str, Any] | str | None:  # Any: whatever JSON may hold
    """Return what the environment tells of a connection, unless it tells of a profile."""
    return None if os.environ.get("IPP_PROFILE_DIR") else connection_told(ROLE)


def _meant(
    profile: str | None, profile_dir: str | None, ipython_dir: str | None, cluster_id: str | None
) -> tuple[Path, str]:
    """Return the profile's directory and the cluster's id, which the environment may tell."""
    own_dir, own_id = os.environ.get("IPP_PROFILE_DIR"), os.environ.get("IPP_CLUSTER_ID", "")
    if own_dir and (profile or profile_dir or ipython_dir):
        own_dir, own_id = None, ""  # it is another profile, of which we know no id
    directory = paths.find_profile_dir(
        profile or running_profile(), profile_dir or own_dir or None, ipython_dir or None
    )
    return directory, own_id if cluster_id is None else cluster_id


def connect(
    source: AddressSource,
    context: zmq.Context[Any] | None,
    timeout_s: float,
    patience_s: float,
    debug: bool,
) -> tuple[PeerId, IOThread]:
    """Connect, and wait until the controller has accepted this client and told of its engines.

    Returns:
        This client's id, and the thread that talks to the controller.

    Raises:
        ConnectionFileError: there is no connection file, or nobody answers where it points.
        AuthenticationError: the controller does not accept the key.
        ProtocolVersionError: the controller speaks another version.
        TimeoutError: it does not answer within *timeout_s*.
        ClusterError: this process has too many files open for it.
    """
    deadline = time.monotonic() + timeout_s
    if not has_descriptors(DESCRIPTORS):
        raise ClusterError(_no_descriptors())
    path = source.path if source.ssh is None else None
    seeking = Seeking(path, 0.0 if source.is_question else timeout_s)
    peer, io = _begin(source, context, timeout_s, patience_s, debug, seeking)
    try:
        _wait_ready(io, deadline, seeking)
    except TimeoutError:
        io.close()
        info = io.info
        raise TimeoutError(
            f"the controller of {info.path or 'this connection info'} (pid {info.pid} on "
            f"{info.host}) did not answer within {timeout_s:g} s"
        ) from None
    except BaseException:
        io.close()
        raise
    return peer, io


def _begin(
    source: AddressSource,
    context: zmq.Context[Any] | None,
    timeout_s: float,
    patience_s: float,
    debug: bool,
    seeking: Seeking,
) -> tuple[PeerId, IOThread]:
    """Open sockets, and start the thread that owns them; what fails leaves nothing open."""
    own = None if context is not None else zmq.Context()
    sockets: list[zmq.Socket[bytes]] = []
    lifeline: Lifeline | None = None
    tunnel: Tunnel | None = None
    try:
        n = 2 if source.is_question else 3
        info, sockets, tunnel = _reach(source, context or own, n, timeout_s, seeking.look)  # type: ignore[arg-type]
        peer = new_peer_id()
        core = _core_over(sockets, peer, source, patience_s)
        channels = dict(zip(core.links, sockets, strict=True))
        lifeline = Lifeline(channels["control"], tunnel.probe() if tunnel is not None else None)
        io = IOThread(core, channels, own, lifeline=lifeline, debug=debug)
        io.tunnel = tunnel
        io.info = info
        io.warns_of_versions = not source.is_question
        io.start()
    except BaseException:  # also when a person wants no more
        if lifeline is not None:
            lifeline.close()
        for opened in sockets:
            opened.close(0)
        if own is not None:
            own.destroy(0)
        if tunnel is not None:
            tunnel.close()
        raise
    return peer, io


def _core_over(
    sockets: list[zmq.Socket[bytes]], peer: PeerId, source: AddressSource, patience_s: float
) -> ClientCore:
    """Return what decides for a client with these sockets, of which one may be too many."""
    is_near = is_local(sockets[0])
    if is_near:
        for unused in sockets[2:]:  # what is large lies in memory that is shared
            unused.close(0)
        del sockets[2:]
    said = source.introduction(is_tunneled=is_tunneled(sockets[0]))
    freight = Freight() if len(sockets) > 2 else None
    sizes = LOCAL_SIZES if is_near else SIZES
    core = ClientCore(peer, said, patience_s, sizes, new_secret(), freight)
    core.links["task"].maps = is_here
    return core


def _reach(
    source: AddressSource,
    context: zmq.Context[Any],
    n: int,
    timeout_s: float,
    look: Callable[[], None],
) -> tuple[ConnectionInfo, list[zmq.Socket[bytes]], Tunnel | None]:
    """Return where the controller is, *n* sockets connected to it, and what carries them."""
    deadline = time.monotonic() + timeout_s
    led = source.tunnel(timeout_s, look)
    if led is None:
        left_s = max(0.0, deadline - time.monotonic())
        return *source.open(context, n, left_s, look), None
    info, tunnel = led
    try:
        check_role(info.role, ROLE)
        return info, open_dealers(context, info, n, max(timeout_s, 1.0), look), tunnel
    except BaseException as error:
        if isinstance(error, ConnectionFileError | AuthenticationError):
            error.add_note(f"by ssh {tunnel.login.server}: {tunnel.last_said}")
        tunnel.close()
        raise


def _wait_ready(io: IOThread, deadline: float, seeking: Seeking) -> None:
    """Wait until the controller has accepted this client.

    Raises:
        TimeoutError: it does not in time.
    """
    deadline = max(deadline, time.monotonic() + 1.0)
    while True:
        try:
            io.ready.result(min(_LOOK_S, max(0.0, deadline - time.monotonic())))
        except TimeoutError:
            if time.monotonic() >= deadline:
                raise
            seeking.look()
        else:
            return


def _no_descriptors() -> str:
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return (
        f"too many open files: a client needs some {DESCRIPTORS} file descriptors, and this "
        f"process, which may have {soft}, has fewer left. Close files, sockets or clients, or "
        "raise the limit (ulimit -n)"
    )


def check_timeouts(**timeouts: object) -> None:
    """Raise TypeError if one of them is no number of seconds."""
    for name, value in timeouts.items():
        if value is None:
            raise TypeError(f"{name} must be a number of seconds, not None")
        check_seconds(value, name)


def check_no_extra(extra: Iterable[str], known: Iterable[str]) -> None:
    """Raise TypeError if there are arguments that nobody knows."""
    known = list(known)
    for name in extra:
        close = difflib.get_close_matches(name, known, 1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise TypeError(f"Client() got an unexpected keyword argument {name!r}{hint}")


def from_older_name(extra: dict[str, Any], given: Any) -> Any:
    """Return the connection file, also if *extra* has it under the name that it had long ago."""
    if "url_or_file" not in extra:
        return given
    older = extra.pop("url_or_file")
    warnings.warn(
        "url_or_file= is connection_info= now: give it as the first argument",
        DeprecationWarning,
        stacklevel=3,
    )
    return older if given is None else given


def running_profile() -> str | None:
    """Return the profile of the IPython that this process is, None if it is none."""
    profile = getattr(running_shell(), "profile", None)
    return profile if isinstance(profile, str) else None
