"""ipyparallel's name for `hippodrome.client.views.remote`."""

from __future__ import annotations

from hippodrome.client.view import function_name as getname
from hippodrome.client.views.remote import ParallelFunction, RemoteFunction, parallel, remote

__all__ = ["ParallelFunction", "RemoteFunction", "getname", "parallel", "remote"]
