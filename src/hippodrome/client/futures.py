"""ipyparallel's name for the futures of requests: here an `AsyncResult` is one itself."""

from __future__ import annotations

from hippodrome.client.results.result import AsyncResult as MessageFuture

__all__ = ["MessageFuture"]
