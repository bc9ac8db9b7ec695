"""Ways from other packages to a cluster; those packages are imported when they are asked for."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hippodrome.errors import ClusterError

if TYPE_CHECKING:
    from hippodrome.client.views.balanced import LoadBalancedView
    from hippodrome.client.views.direct import DirectView
    from hippodrome.protocol.messages import EngineInfo
    from hippodrome.security.connection_file import ConnectionInfo


def register_joblib_backend(
    name: str = "ipyparallel",
    make_default: bool = False,
    view: LoadBalancedView | None = None,
) -> None:
    """Let joblib run calls on the engines of a cluster.

    Args:
        name: for ``joblib.parallel_config``.
        make_default: whether joblib uses it from now on where no other is named.
        view: where calls go; by default to the profile's cluster, which is started at the first
            call if it is not running.

    Raises:
        ImportError: joblib is not installed.

    >>> import joblib
    >>> ipp.register_joblib_backend("engines", view=lbv)
    >>> with joblib.parallel_config("engines"):
    ...     joblib.Parallel()(joblib.delayed(abs)(n) for n in (-1, -2))
    [1, 2]
    """
    from hippodrome.joblib import register

    register(name, make_default, view)


def activate(view: DirectView, suffix: str) -> None:
    """Let the magics of IPython run cells on *view*; see `DirectView.activate`."""
    from hippodrome.magics.activating import activate

    activate(view, suffix)


def has_magics() -> bool:
    """Whether there are magics with a view already, or no IPython that could have any."""
    if "IPython" not in sys.modules:
        return True
    from hippodrome.magics.activating import has_magics

    return has_magics()


def cluster_of(info: ConnectionInfo) -> Any:  # Any: a Cluster, which is a layer above
    """Return the `Cluster` whose controller *info* leads to; None if there is no file of it."""
    if info.path is None:
        return None
    from hippodrome.cluster import Cluster
    from hippodrome.cluster.files import cluster_file

    try:
        found = Cluster.from_file(cluster_file(info.path.parent, info.cluster_id))
    except ClusterError:
        return None
    return found if found.is_running else None


def become_dask(
    client: Any,  # the Client, a layer above
    engines: Sequence[EngineInfo],
    nanny: bool,
    scheduler_args: Mapping[str, Any],
    worker_args: Mapping[str, Any],
) -> Any:  # Any: a distributed.Client, a class of a package that may not be there
    """Start dask on *engines*; see `Client.become_dask`.

    Raises:
        ImportError: dask is not installed.
    """
    from hippodrome.dask import become

    return become(client, engines, nanny, scheduler_args, worker_args)


def stop_dask(client: Any, engines: Sequence[EngineInfo]) -> None:
    """Stop what of dask runs on *engines*.

    Raises:
        ImportError: dask is not installed.
    """
    from hippodrome.dask import stop

    stop(client, engines)
