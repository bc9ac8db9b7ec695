"""ipyparallel's name for the futures of requests: here an `AsyncResult` is one itself."""

from __future__ import annotations

from collections.abc import Callable

from hippodrome.client.results.result import AsyncResult as MessageFuture
from hippodrome.lazy import lister

__all__ = ["MessageFuture"]
__dir__: Callable[[], list[str]] = lister(__name__)
