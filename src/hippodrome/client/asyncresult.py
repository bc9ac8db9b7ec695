"""ipyparallel's name for the modules of results."""

from __future__ import annotations

from collections.abc import Callable

from hippodrome.client.results.hubresult import AsyncHubResult
from hippodrome.client.results.mapresult import AsyncMapResult
from hippodrome.client.results.result import AsyncResult
from hippodrome.lazy import lister

__all__ = ["AsyncHubResult", "AsyncMapResult", "AsyncResult"]
__dir__: Callable[[], list[str]] = lister(__name__)
