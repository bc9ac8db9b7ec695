"""Strategies for messages, generated from the annotations of the records.

A message type that is added later is tested without a change here.
"""

from __future__ import annotations

import types
import typing
from typing import Any

import msgspec
from hypothesis import strategies as st

from hippodrome.protocol.messages import PROTOCOL, Hello, HubMessage, Message, PeerMessage
from hippodrome.protocol.ranges import (
    MOST_DURATION,
    MOST_INSTANT,
    Duration,
    Instant,
    Int,
    Name,
    Proof,
)

PEER_TYPES = typing.get_args(PeerMessage)
HUB_TYPES = typing.get_args(HubMessage)
INT64 = st.integers(-(2**63), 2**63 - 1)
IN_RANGE: dict[Any, st.SearchStrategy[Any]] = {
    Int: INT64,
    Instant: st.floats(0.0, MOST_INSTANT),
    Duration: st.floats(0.0, MOST_DURATION),
    Name: st.text(max_size=20),
    Proof: st.binary(max_size=64),
}
SIMPLE: dict[Any, st.SearchStrategy[Any]] = {
    int: INT64,
    bool: st.booleans(),
    str: st.text(max_size=20),
    bytes: st.binary(max_size=40),
    float: st.floats(allow_nan=False),
    type(None): st.none(),
}


def values(annotation: Any) -> st.SearchStrategy[Any]:
    """Return a strategy for the values that *annotation* allows."""
    if isinstance(annotation, typing.NewType):
        return values(annotation.__supertype__)
    if annotation in IN_RANGE:
        return IN_RANGE[annotation]
    if annotation in SIMPLE:
        return SIMPLE[annotation]
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return records(annotation)
    arguments = typing.get_args(annotation)
    match typing.get_origin(annotation):
        case types.UnionType | typing.Union:
            return st.one_of([values(argument) for argument in arguments])
        case origin if origin is list:
            return st.lists(values(arguments[0]), max_size=3)
        case origin if origin is dict:
            return st.dictionaries(values(arguments[0]), values(arguments[1]), max_size=3)
        case origin if origin is tuple:
            return st.tuples(*[values(argument) for argument in arguments])
    raise AssertionError(f"no strategy for {annotation}")


def records(cls: type[msgspec.Struct]) -> st.SearchStrategy[Any]:
    hints = typing.get_type_hints(cls, include_extras=True)
    fields = {name: values(hints[name]) for name in cls.__struct_fields__}
    if cls is Hello:
        fields["protocol"] = st.just(PROTOCOL)
    return st.builds(cls, **fields)


def any_of(types_: tuple[type[Message], ...]) -> st.SearchStrategy[Any]:
    return st.sampled_from(types_).flatmap(records)
