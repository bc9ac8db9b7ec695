"""The door for bytes of others: what they hold, or a `ProtocolError`, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import msgspec

from hippodrome.errors import ProtocolError

T = TypeVar("T")

MOST_LINE: Final = 500  # characters

decode_any: Final[Callable[[Any], Any]] = msgspec.msgpack.Decoder().decode


def read(decode: Callable[[Any], T], body: Any, what: str) -> T:
    """Return what *body*, which may be any bytes, decodes to.

    Raises:
        ProtocolError: it is not *what*, in whichever way.
    """
    try:
        return decode(body)
    except Exception as error:  # text that is none, depth, sizes: nobody knows all that may be
        raise ProtocolError(f"not {what}: {one_line(str(error) or type(error).__name__)}") from None


def one_line(text: str, most: int = MOST_LINE) -> str:
    """Return *text* as it may stand in a log: of one line, of bounded length, without controls."""
    cut = text[:most]
    if not cut.isprintable():
        cut = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in cut)[: 2 * most]
    return cut if len(text) <= most else f"{cut}... ({len(text)} characters)"
