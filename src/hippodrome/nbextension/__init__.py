"""ipyparallel's older name for the extension of Jupyter servers."""

from __future__ import annotations

from hippodrome.jupyter.hooks import load_jupyter_server_extension

__all__ = ["load_jupyter_server_extension"]
