"""ipyparallel's name for `hippodrome.apps.ipcontroller`."""

from __future__ import annotations

from hippodrome.apps.controller_options import IPController
from hippodrome.apps.ipcontroller import main as launch_new_instance

IPControllerApp = IPController

__all__ = ["IPController", "IPControllerApp", "launch_new_instance"]
