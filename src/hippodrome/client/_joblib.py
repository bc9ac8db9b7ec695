"""ipyparallel's name for the backend of joblib; imports joblib."""

from __future__ import annotations

from hippodrome.joblib import ClusterBackend as IPythonParallelBackend

__all__ = ["IPythonParallelBackend"]
