"""A cluster for interactive parallel Python over ZeroMQ: the public names, loaded when used."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from hippodrome._version import __version__, version_info
from hippodrome.lazy import lister

if TYPE_CHECKING:
    from builtins import TimeoutError  # noqa: A004 - the published name
    from concurrent.futures import ALL_COMPLETED, FIRST_COMPLETED, FIRST_EXCEPTION

    from hippodrome.client.client import Client
    from hippodrome.client.dependency import Dependency
    from hippodrome.client.integrations import register_joblib_backend
    from hippodrome.client.results.hubresult import AsyncHubResult
    from hippodrome.client.results.mapresult import AsyncMapResult
    from hippodrome.client.results.result import AsyncResult
    from hippodrome.client.views.balanced import LoadBalancedView
    from hippodrome.client.views.broadcast import BroadcastView
    from hippodrome.client.views.direct import DirectView
    from hippodrome.client.views.executor import ViewExecutor
    from hippodrome.client.views.remote import ParallelFunction, RemoteFunction, parallel, remote
    from hippodrome.cluster.cluster import Cluster
    from hippodrome.cluster.manager import ClusterManager, clean_cluster_files
    from hippodrome.engine.kernel.binding import bind_kernel
    from hippodrome.error import collect_exceptions, unwrap_exception, wrap_exception
    from hippodrome.errors import (
        AlreadyDisplayedError,
        AuthenticationError,
        CaptureWarning,
        ClusterError,
        CompositeError,
        ConnectionFileError,
        ControllerLost,
        DependencyTimeout,
        DeserializationError,
        EngineError,
        ImpossibleDependency,
        InvalidDependency,
        IPythonError,
        KernelError,
        LaunchError,
        NoEnginesRegistered,
        ProtocolError,
        ProtocolVersionError,
        RemoteError,
        ResultExpired,
        SerializationError,
        TaskAborted,
        TaskRejectError,
        TaskTimeout,
        UnmetDependency,
    )
    from hippodrome.jupyter.hooks import load_jupyter_server_extension
    from hippodrome.magics.activating import load_ipython_extension
    from hippodrome.serialize.canners import can_map, uncan_map
    from hippodrome.serialize.canning import (
        PrePickled,
        can,
        deserialize_object,
        pack_apply_message,
        serialize_object,
        uncan,
        unpack_apply_message,
        use_cloudpickle,
        use_dill,
        use_pickle,
    )
    from hippodrome.serialize.dependents import depend, dependent, require
    from hippodrome.serialize.functions import interactive
    from hippodrome.serialize.reference import Reference

__all__ = [
    "ALL_COMPLETED",
    "FIRST_COMPLETED",
    "FIRST_EXCEPTION",
    "AlreadyDisplayedError",
    "AsyncHubResult",
    "AsyncMapResult",
    "AsyncResult",
    "AuthenticationError",
    "BroadcastView",
    "CaptureWarning",
    "Client",
    "Cluster",
    "ClusterError",
    "ClusterManager",
    "CompositeError",
    "ConnectionFileError",
    "ControllerLost",
    "Dependency",
    "DependencyTimeout",
    "DeserializationError",
    "DirectView",
    "EngineError",
    "IPythonError",
    "ImpossibleDependency",
    "InvalidDependency",
    "KernelError",
    "LaunchError",
    "LoadBalancedView",
    "NoEnginesRegistered",
    "ParallelFunction",
    "PrePickled",
    "ProtocolError",
    "ProtocolVersionError",
    "Reference",
    "RemoteError",
    "RemoteFunction",
    "ResultExpired",
    "SerializationError",
    "TaskAborted",
    "TaskRejectError",
    "TaskTimeout",
    "TimeoutError",
    "UnmetDependency",
    "ViewExecutor",
    "__version__",
    "bind_kernel",
    "can",
    "can_map",
    "clean_cluster_files",
    "collect_exceptions",
    "depend",
    "dependent",
    "deserialize_object",
    "interactive",
    "load_ipython_extension",
    "load_jupyter_server_extension",
    "pack_apply_message",
    "parallel",
    "register_joblib_backend",
    "remote",
    "require",
    "serialize_object",
    "uncan",
    "uncan_map",
    "unpack_apply_message",
    "unwrap_exception",
    "use_cloudpickle",
    "use_dill",
    "use_pickle",
    "version_info",
    "wrap_exception",
]

_HOMES: Final = {
    "ALL_COMPLETED": "concurrent.futures",
    "FIRST_COMPLETED": "concurrent.futures",
    "FIRST_EXCEPTION": "concurrent.futures",
    "TimeoutError": "builtins",
    "AsyncHubResult": "hippodrome.client.results.hubresult",
    "AsyncMapResult": "hippodrome.client.results.mapresult",
    "AsyncResult": "hippodrome.client.results.result",
    "LoadBalancedView": "hippodrome.client.views.balanced",
    "Client": "hippodrome.client.client",
    "Dependency": "hippodrome.client.dependency",
    "BroadcastView": "hippodrome.client.views.broadcast",
    "DirectView": "hippodrome.client.views.direct",
    "ViewExecutor": "hippodrome.client.views.executor",
    "ParallelFunction": "hippodrome.client.views.remote",
    "register_joblib_backend": "hippodrome.client.integrations",
    "RemoteFunction": "hippodrome.client.views.remote",
    "parallel": "hippodrome.client.views.remote",
    "remote": "hippodrome.client.views.remote",
    "Cluster": "hippodrome.cluster.cluster",
    "clean_cluster_files": "hippodrome.cluster.manager",
    "ClusterManager": "hippodrome.cluster.manager",
    "bind_kernel": "hippodrome.engine.kernel.binding",
    "collect_exceptions": "hippodrome.error",
    "unwrap_exception": "hippodrome.error",
    "wrap_exception": "hippodrome.error",
    "AlreadyDisplayedError": "hippodrome.errors",
    "AuthenticationError": "hippodrome.errors",
    "CaptureWarning": "hippodrome.errors",
    "ClusterError": "hippodrome.errors",
    "CompositeError": "hippodrome.errors",
    "ConnectionFileError": "hippodrome.errors",
    "ControllerLost": "hippodrome.errors",
    "DependencyTimeout": "hippodrome.errors",
    "DeserializationError": "hippodrome.errors",
    "EngineError": "hippodrome.errors",
    "IPythonError": "hippodrome.errors",
    "ImpossibleDependency": "hippodrome.errors",
    "InvalidDependency": "hippodrome.errors",
    "KernelError": "hippodrome.errors",
    "LaunchError": "hippodrome.errors",
    "NoEnginesRegistered": "hippodrome.errors",
    "ProtocolError": "hippodrome.errors",
    "ProtocolVersionError": "hippodrome.errors",
    "RemoteError": "hippodrome.errors",
    "ResultExpired": "hippodrome.errors",
    "SerializationError": "hippodrome.errors",
    "TaskAborted": "hippodrome.errors",
    "TaskRejectError": "hippodrome.errors",
    "TaskTimeout": "hippodrome.errors",
    "UnmetDependency": "hippodrome.errors",
    "load_ipython_extension": "hippodrome.magics.activating",
    "can_map": "hippodrome.serialize.canners",
    "uncan_map": "hippodrome.serialize.canners",
    "_jupyter_labextension_paths": "hippodrome.jupyter.hooks",
    "_jupyter_nbextension_paths": "hippodrome.jupyter.hooks",
    "_jupyter_server_extension_paths": "hippodrome.jupyter.hooks",
    "_jupyter_server_extension_points": "hippodrome.jupyter.hooks",
    "_load_jupyter_server_extension": "hippodrome.jupyter.hooks",
    "load_jupyter_server_extension": "hippodrome.jupyter.hooks",
    "PrePickled": "hippodrome.serialize.canning",
    "can": "hippodrome.serialize.canning",
    "deserialize_object": "hippodrome.serialize.canning",
    "pack_apply_message": "hippodrome.serialize.canning",
    "serialize_object": "hippodrome.serialize.canning",
    "uncan": "hippodrome.serialize.canning",
    "unpack_apply_message": "hippodrome.serialize.canning",
    "use_cloudpickle": "hippodrome.serialize.canning",
    "use_dill": "hippodrome.serialize.canning",
    "use_pickle": "hippodrome.serialize.canning",
    "depend": "hippodrome.serialize.dependents",
    "dependent": "hippodrome.serialize.dependents",
    "require": "hippodrome.serialize.dependents",
    "interactive": "hippodrome.serialize.functions",
    "Reference": "hippodrome.serialize.reference",
}
_SUBMODULES: Final = frozenset(
    {
        "apps",
        "client",
        "cluster",
        "controller",
        "dask",
        "engine",
        "error",
        "joblib",
        "serialize",
        "util",
    }
)


def __getattr__(name: str) -> Any:  # Any: whatever the name stands for
    """Load a public name when it is first used."""
    if name in _SUBMODULES:
        return import_module(f"{__name__}.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value  # so that this function is not asked again
    return value


__dir__: Callable[[], list[str]] = lister(__name__, *_SUBMODULES)
