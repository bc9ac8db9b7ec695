"""ipyparallel's name for the modules of results."""

from __future__ import annotations

from hippodrome.client.hubresult import AsyncHubResult
from hippodrome.client.mapresult import AsyncMapResult
from hippodrome.client.result import AsyncResult

__all__ = ["AsyncHubResult", "AsyncMapResult", "AsyncResult"]
