"""ipyparallel's name for `hippodrome.client.remote`."""

from __future__ import annotations

from hippodrome.client.remote import ParallelFunction, RemoteFunction, parallel, remote
from hippodrome.client.view import function_name as getname

__all__ = ["ParallelFunction", "RemoteFunction", "getname", "parallel", "remote"]
