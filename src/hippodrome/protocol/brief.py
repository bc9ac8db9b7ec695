"""Messages and actions as a log shows them: names and numbers, never a payload or a secret."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, Final

import msgspec

from hippodrome.errors import ProtocolError
from hippodrome.protocol.frames import Frames, decode, read_head
from hippodrome.protocol.ids import short
from hippodrome.protocol.messages import Beat, Sync
from hippodrome.protocol.reading import one_line

MOST_TEXT: Final = 100  # characters
MOST_ITEMS: Final = 4
_NOTHING: Final[Sequence[object]] = (None, "", b"", [], (), {})


def brief(value: object) -> str:
    """Return *value* in short: of bytes their number, of lists the first."""
    if isinstance(value, msgspec.Struct):
        return _named(value, value.__struct_fields__)
    if is_dataclass(value):
        return _named(value, [field.name for field in fields(value)])
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{memoryview(value).nbytes} bytes>"
    if isinstance(value, str):
        return repr(one_line(short(value), MOST_TEXT))
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, Mapping):
        return f"{{{_items([f'{brief(k)}: {brief(v)}' for k, v in value.items()])}}}"
    if isinstance(value, Sequence | set | frozenset):
        return f"[{_items([brief(item) for item in value])}]"
    return f"{value:.3f}" if isinstance(value, float) else repr(value)


def says_something(frames: Frames) -> bool:
    """Tell whether *frames* are a message that does more than show that somebody is there."""
    return not isinstance(_decoded(frames), Beat | Sync)


def _decoded(frames: Frames) -> object:
    try:
        return decode(read_head(frames[0])[2])
    except ProtocolError:
        return frames


def _named(value: Any, names: Sequence[str]) -> str:
    """Return the fields that say something."""
    shown = ((name, getattr(value, name)) for name in names)
    read = ((name, _decoded(each) if name == "frames" else each) for name, each in shown)
    said = [f"{name}={brief(each)}" for name, each in read if each not in _NOTHING]
    return f"{type(value).__name__}({', '.join(said).removeprefix('frames=')})"


def _items(shown: Sequence[str]) -> str:
    rest = len(shown) - MOST_ITEMS
    return ", ".join(shown[:MOST_ITEMS]) + (f" and {rest} more" if rest > 0 else "")
