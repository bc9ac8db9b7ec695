"""ipyparallel's name for how objects become buffers."""

from __future__ import annotations

from hippodrome.serialize.canning import (
    PrePickled,
    deserialize_object,
    pack_apply_message,
    serialize_object,
    unpack_apply_message,
)

__all__ = [
    "PrePickled",
    "deserialize_object",
    "pack_apply_message",
    "serialize_object",
    "unpack_apply_message",
]
