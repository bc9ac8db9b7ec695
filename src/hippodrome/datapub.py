"""ipyparallel's name for `publish_data`, which tasks call."""

from __future__ import annotations

from hippodrome.engine.publishing import publish_data

__all__ = ["publish_data"]
