"""The program's side of a cluster."""

from __future__ import annotations

from hippodrome.lazy import loader

__getattr__ = loader(
    __name__, {}, {"asyncresult", "client", "futures", "magics", "map", "remotefunction", "view"}
)
