"""ipyparallel's name for the options of how engines' signs of life are watched."""

from __future__ import annotations

from hippodrome.apps.controller_options import HeartMonitor

__all__ = ["HeartMonitor"]
