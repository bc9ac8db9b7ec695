"""The errors and warnings under the name that users of this model import, ``hippodrome.error``.

Beside them, functions that turn exceptions into plain records and back.
"""

from __future__ import annotations

import sys
import traceback
from builtins import TimeoutError  # noqa: A004 - one of the published names
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from hippodrome import errors
from hippodrome.errors import (
    AlreadyDisplayedError,
    AuthenticationError,
    CaptureWarning,
    ClusterError,
    ClusterRunningError,
    CompositeError,
    ConnectionFileError,
    ControllerLost,
    DependencyTimeout,
    DeserializationError,
    EngineError,
    ForeignFileError,
    ImpossibleDependency,
    InvalidDependency,
    IPythonError,
    KernelError,
    LargeCaptureWarning,
    LaunchError,
    LeftBehindError,
    MissingFileError,
    NoEnginesRegistered,
    ProtocolError,
    ProtocolVersionError,
    RandomCaptureWarning,
    RemoteError,
    ResultExpired,
    SerializationError,
    TaskAborted,
    TaskOutcomeError,
    TaskRejectError,
    TaskTimeout,
    UnknownEngineError,
    UnknownNameError,
    UnmetDependency,
    VersionMismatch,
)

__all__ = [
    "AlreadyDisplayedError",
    "AuthenticationError",
    "CaptureWarning",
    "ClusterError",
    "ClusterRunningError",
    "CompositeError",
    "ConnectionFileError",
    "ControllerLost",
    "DependencyTimeout",
    "DeserializationError",
    "EngineError",
    "ForeignFileError",
    "IPythonError",
    "ImpossibleDependency",
    "InvalidDependency",
    "KernelError",
    "LargeCaptureWarning",
    "LaunchError",
    "LeftBehindError",
    "MissingFileError",
    "NoEnginesRegistered",
    "ProtocolError",
    "ProtocolVersionError",
    "RandomCaptureWarning",
    "RemoteError",
    "ResultExpired",
    "SerializationError",
    "TaskAborted",
    "TaskOutcomeError",
    "TaskRejectError",
    "TaskTimeout",
    "TimeoutError",
    "UnknownEngineError",
    "UnknownNameError",
    "UnmetDependency",
    "VersionMismatch",
    "collect_exceptions",
    "unwrap_exception",
    "wrap_exception",
]

Results = TypeVar("Results", bound="Mapping[Any, Any] | Sequence[Any]")


def wrap_exception(engine_info: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the exception that is being handled as a plain record.

    Args:
        engine_info: where it was raised.

    Returns:
        ``status``, ``ename``, ``evalue``, ``traceback`` (a list of lines) and ``engine_info``.

    >>> try:
    ...     int("two")
    ... except ValueError:
    ...     ipp.wrap_exception({"engine_id": 0})["evalue"]
    "invalid literal for int() with base 10: 'two'"
    """
    kind, error, trace = sys.exc_info()
    return {
        "status": "error",
        "ename": "" if kind is None else kind.__name__,
        "evalue": str(error or ""),
        "traceback": traceback.format_exception(kind, error, trace),
        "engine_info": dict(engine_info or {}),
    }


def unwrap_exception(content: Mapping[str, Any]) -> RemoteError:
    """Return the error that a record of `wrap_exception` describes.

    Args:
        content: the record.

    Returns:
        One of the cluster's own errors if it was one, otherwise a `RemoteError`.

    >>> ipp.unwrap_exception({"ename": "ValueError", "evalue": "too large"})
    <RemoteError[ ]:ValueError(too large)>
    """
    name, value = str(content["ename"]), str(content["evalue"])
    trace = content.get("traceback") or ""
    text = trace if isinstance(trace, str) else "".join(trace)
    info = dict(content.get("engine_info") or {})
    outcome = getattr(errors, name, None)
    if isinstance(outcome, type) and issubclass(outcome, TaskOutcomeError):
        return outcome(value, text, info)
    return RemoteError(name, value, text, info)


def collect_exceptions(results: Results, method: str = "unspecified") -> Results:
    """Return *results* if there are no errors among them.

    Args:
        results: a list of results, or a dict of them.
        method: what failed, for the message.

    Raises:
        CompositeError: there are errors; it holds all of them.

    >>> ipp.collect_exceptions([1, ValueError("too large")])
    Traceback (most recent call last):
    hippodrome.errors.CompositeError: 1 of 2 calls of unspecified failed...
    """
    values = results.values() if isinstance(results, Mapping) else results
    found = [value for value in values if isinstance(value, Exception)]
    if found:
        raise CompositeError(f"{len(found)} of {len(results)} calls of {method} failed", found)
    return results
