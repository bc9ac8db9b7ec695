"""ipyparallel's name for the modules of results."""

from __future__ import annotations

from hippodrome.client.results.hubresult import AsyncHubResult
from hippodrome.client.results.mapresult import AsyncMapResult
from hippodrome.client.results.result import AsyncResult

__all__ = ["AsyncHubResult", "AsyncMapResult", "AsyncResult"]
