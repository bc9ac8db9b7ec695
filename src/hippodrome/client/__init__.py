"""The program's side of a cluster."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any  # Any: what the modules hold

from hippodrome.lazy import loader

__getattr__: Callable[[str], Any] = loader(
    __name__, {}, {"asyncresult", "client", "futures", "magics", "map", "remotefunction", "view"}
)
