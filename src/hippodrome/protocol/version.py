"""The version of the protocol: peers of different ones refuse each other."""

from __future__ import annotations

from typing import Final

PROTOCOL: Final = 3
