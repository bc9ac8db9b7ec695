"""The JSON that goes in and out.

What comes in is checked against these records: a wrong type, a number out of range or a key that
is not here is an error that says where. What goes out is what is listed here, and so no secret.
"""

from __future__ import annotations

from typing import Annotated, TypeVar

import msgspec

MAX_ENGINES = 1024

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
        cluster_id: tells clusters of one profile apart; empty for the default one.
        engines: name of the launcher of engines.
        controller: name of the launcher of the controller.
        engine_timeout: how long a start waits for engines, in seconds.
        shutdown_atexit: whether the cluster ends with the server.
    """

    n: Count | None = None
    profile: ProfileName = ""
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
    """What was started by one launcher.

    Attributes:
        launcher: the launcher's name.
        state: ``running`` or ``ended``.
        exit_code: None while it runs; -1 if nobody knows.
        n: how many engines it is; 1 for a controller.
    """

    launcher: str
    state: str
    exit_code: int | None
    n: int = 1


class EnginesInfo(msgspec.Struct, frozen=True):
    """All engines.

    Attributes:
        n: how many there are in sets that run.
        sets: the sets by their ids.
    """

    n: int
    sets: dict[str, ProcessInfo]


class Options(msgspec.Struct, frozen=True):
    """What a cluster was made with."""

    profile: str
    profile_dir: str
    cluster_id: str
    cluster_file: str
    n: int


class ClusterInfo(msgspec.Struct, frozen=True):
    """A cluster as it is at the moment.

    Attributes:
        id: its key, ``profile:cluster_id``.
        cluster: what it was made with.
        controller: None if it has not been started.
        engines: the sets that have been started.
    """

    id: str
    cluster: Options
    controller: ProcessInfo | None
    engines: EnginesInfo


class Problem(msgspec.Struct, frozen=True):
    """Why a request was refused, in a line."""

    message: str


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
