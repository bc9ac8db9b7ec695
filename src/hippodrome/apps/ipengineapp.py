"""ipyparallel's name for `hippodrome.apps.ipengine`."""

from __future__ import annotations

from hippodrome.apps.engine_options import IPEngine
from hippodrome.apps.ipengine import main as launch_new_instance

IPEngineApp = IPEngine

__all__ = ["IPEngine", "IPEngineApp", "launch_new_instance"]
