"""ipyparallel's name for `hippodrome.apps.ipengine`, one of two."""

from __future__ import annotations

from hippodrome.apps.ipengineapp import IPEngine, launch_new_instance

main = launch_new_instance

__all__ = ["IPEngine", "launch_new_instance", "main"]
