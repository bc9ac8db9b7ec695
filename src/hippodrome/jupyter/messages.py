"""The JSON that goes in and out.

What comes in is checked against these records: a wrong type, a number out of range or a key that
is not here is an error that says where. What goes out is what is listed here, and so no secret.
"""

from __future__ import annotations

from typing import Annotated, TypeVar

import msgspec

MAX_ENGINES = 1024
CLASS = {"class_": "class"}  # which is no name in Python

Count = Annotated[int, msgspec.Meta(ge=1, le=MAX_ENGINES)]
# They become parts of file names, and of the key, which has a colon between them.
ProfileName = Annotated[str, msgspec.Meta(pattern=r"(?a)\A[\w.\- ]*\Z", max_length=100)]
ClusterId = Annotated[str, msgspec.Meta(pattern=r"(?a)\A[\w.\-]*\Z", max_length=100)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=3600)]


class NewCluster(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A request for a cluster; what is left out is as `hippodrome.Cluster` has it.

    Attributes:
        n: how many engines a start starts.
        profile: name of the profile.
        cluster_id: tells clusters of one profile apart; a new one if it is left out or empty.
        engines: name of the launcher of engines.
        controller: name of the launcher of the controller.
        engine_timeout: how long a start waits for engines, in seconds.
        shutdown_atexit: whether the cluster ends with the server.
    """

    n: Count | None = None
    profile: ProfileName | None = None
    cluster_id: ClusterId | None = None
    engines: str = "local"
    controller: str = "local"
    engine_timeout: Seconds = 60.0
    shutdown_atexit: bool = True


class Start(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A request to start a cluster.

    Attributes:
        n: how many engines; by default the cluster's number.
    """

    n: Count | None = None


class ProcessInfo(msgspec.Struct, frozen=True):
    """A process that runs; those that have ended are not told of.

    Attributes:
        cluster_id: of its cluster.
        pid: -1 if nobody knows.
        profile_dir: of its cluster.
        state: ``running``.
    """

    cluster_id: str
    pid: int
    profile_dir: str
    state: str = "running"


class ControllerInfo(msgspec.Struct, frozen=True, rename=CLASS):
    """A controller that runs.

    Attributes:
        class_: the name of its launcher.
        state: its process.
    """

    class_: str
    state: ProcessInfo


class SetInfo(ProcessInfo, frozen=True, kw_only=True):
    """A set of engines that runs.

    Attributes:
        n: how many engines it is.
    """

    n: int


class EnginesInfo(msgspec.Struct, frozen=True, rename=CLASS):
    """All engines.

    Attributes:
        class_: the name of the launcher that starts sets of them.
        sets: those that run, by their ids.
        n: how many engines there are in these.
    """

    class_: str
    sets: dict[str, SetInfo]
    n: int


class ClusterOptions(msgspec.Struct, frozen=True, rename=CLASS):
    """The options that a cluster was made with."""

    class_: str
    cluster_id: str
    controller_args: list[str]
    controller_ip: str
    controller_location: str
    delay: float
    n: int
    profile: str
    profile_dir: str


class ClusterInfo(msgspec.Struct, frozen=True):
    """A cluster as it is at the moment.

    Attributes:
        cluster: what it was made with.
        engines: those that run.
        id: its key, ``profile:cluster_id``.
        cluster_file: the file that tells of its processes while there are any.
        controller: left out unless it runs.
    """

    cluster: ClusterOptions
    engines: EnginesInfo
    id: str
    cluster_file: str
    controller: ControllerInfo | msgspec.UnsetType = msgspec.UNSET


class Problem(msgspec.Struct, frozen=True):
    """Why a request was refused, in a line.

    Attributes:
        message: why.
        reason: always None; Jupyter's own errors have it.
    """

    message: str
    reason: None = None


M = TypeVar("M", NewCluster, Start)


def read(body: bytes, kind: type[M]) -> M:
    """Return the request that *body* is; an empty one is the request with all defaults.

    Raises:
        msgspec.DecodeError: it is not JSON, or not such a request.
    """
    if not body.strip():
        return kind()
    try:
        return msgspec.json.decode(body, type=kind)
    except (UnicodeDecodeError, RecursionError) as error:
        raise msgspec.DecodeError(str(error)) from error
