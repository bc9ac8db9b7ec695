"""ipyparallel's name for `hippodrome.client.views.remote`."""

from __future__ import annotations

from collections.abc import Callable

from hippodrome.client.view import function_name as getname
from hippodrome.client.views.remote import ParallelFunction, RemoteFunction, parallel, remote
from hippodrome.lazy import lister

__all__ = ["ParallelFunction", "RemoteFunction", "getname", "parallel", "remote"]
__dir__: Callable[[], list[str]] = lister(__name__)
