"""The program's side of a cluster."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any  # Any: what the modules hold

from hippodrome.lazy import lister, loader

_MODULES = ("asyncresult", "client", "futures", "magics", "map", "remotefunction", "view")
__getattr__: Callable[[str], Any] = loader(__name__, {}, _MODULES)
__dir__: Callable[[], list[str]] = lister(__name__, *_MODULES)
