"""ipyparallel's name for `hippodrome.apps.ipcontroller`, one of two."""

from __future__ import annotations

from hippodrome.apps.ipcontrollerapp import IPController, launch_new_instance

main = launch_new_instance

__all__ = ["IPController", "launch_new_instance", "main"]
