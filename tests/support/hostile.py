"""Messages that nobody should send: seeded, of every type, right but for one part or for none."""

from __future__ import annotations

import random
import types
import typing
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from hippodrome.protocol.frames import encode, head
from hippodrome.protocol.messages import Digest, EngineId, HubMessage, MsgId, PeerId, PeerMessage
from hippodrome.protocol.ranges import Duration, Instant, Int, Name, Proof

Raw = msgspec.Raw
PEER_TYPES: Final = typing.get_args(PeerMessage)
HUB_TYPES: Final = typing.get_args(HubMessage)
QUERIES: Final = (
    "abort_done", "queue_status", "shutdown", "signal", "history", "db_query", "result_status",
    "results", "purge", "resubmission", "storage", "nothing of the kind", "x" * 100_000,
)  # fmt: skip

# Parts as bytes: some that no encoder makes, and values that are right in no place, or in few.
ODD: Final[dict[str, bytes]] = {
    "no UTF-8": b"\xa2\xff\xfe",
    "half a character": b"\xa1\xe2",
    "surrogate": b"\xa3\xed\xa0\x80",
    "deep lists": b"\x91" * 100_000 + b"\xc0",
    "deep maps": b"\x81\x01" * 100_000 + b"\xc0",
    "a list of four billion": b"\xdd\xff\xff\xff\xff",
    "a map of four billion": b"\xdf\xff\xff\xff\xff",
    "a text of four gigabytes": b"\xdb\xff\xff\xff\xff",
    "reserved": b"\xc1",
    "a time out of range": b"\xc7\x0c\xff" + b"\xff" * 12,
    "extension": b"\xc7\x01\x05\x00",
    "a map keyed by a map": b"\x81\x81\x01\x02\x01",
    "nan": encode(float("nan")),
    "inf": encode(float("inf")),
    "-inf": encode(float("-inf")),
    "huge": encode(1.7e308),
    "-huge": encode(-1.7e308),
    "1e20": encode(1e20),
    "uint64": encode(2**64 - 1),
    "int64": encode(2**63 - 1),
    "-int64": encode(-(2**63)),
    "-1": encode(-1),
    "nil": encode(None),
    "false": encode(False),
    "long": encode("x" * 300_000),
    "lines": encode("one\nhippodrome.scheduler.server ERROR forged\r\x1b[2J\u2028"),
    "bytes": encode(b"\xff\x00" * 9),
    "list": encode([[], [1, [2.5]], "x"]),
    "map": encode({"a": {"b": [1]}, "": None}),
    "when": encode(__import__("datetime").datetime(9999, 12, 31)),
}


def any_value(annotation: Any, rng: random.Random) -> Any:
    """Return a value that *annotation* allows, often one that names something."""
    if annotation in _USUAL:
        return rng.choice(_USUAL[annotation])
    arguments = typing.get_args(annotation)
    origin = typing.get_origin(annotation)
    if origin in (types.UnionType, typing.Union):
        return any_value(rng.choice(arguments), rng)
    if origin is list:
        return [any_value(arguments[0], rng) for _ in range(rng.choice([0, 1, 1, 2, 5]))]
    if origin is dict:
        pairs = range(rng.randrange(3))
        return {any_value(arguments[0], rng): any_value(arguments[1], rng) for _ in pairs}
    if origin is tuple:
        return tuple(any_value(argument, rng) for argument in arguments)
    hints = typing.get_type_hints(annotation, include_extras=True)
    return annotation(**{f: any_value(hints[f], rng) for f in annotation.__struct_fields__})


_USUAL: Final[dict[Any, list[Any]]] = {
    MsgId: ["t0", "t1", "t2", "", "client_1", "ü"],
    EngineId: [0, 0, 0, 1, 7, -1, 2**40],
    Digest: [b"f", b"", b"?"],
    PeerId: ["hostile", "e0", "", "n0"],
    Int: [0, 0, 1, 1, 2, 200, -1, 2**63 - 1, -(2**63)],
    int: [0, 1],
    Instant: [0.0, 1.0, 1.8e9, 2e11],
    Duration: [0.0, 1.0, 5e10],
    float: [0.0, 1.0, 1e-300, 1e300, float("inf")],
    Name: ["", "x"],
    Proof: [b"", b"s" * 16],
    str: ["", "ok", "error", "unmet", "client", "engine", "node", "task", "control", "stdout"],
    bytes: [b"", b"x", b"\x80", b"\xc1", bytes(1000)],
    bool: [True, False],
    type(None): [None],
}


def body_of(kind: type, rng: random.Random) -> bytes:
    """Return an encoded message of *kind*, in which one part may be odd."""
    fields = msgspec.msgpack.decode(encode(any_value(kind, rng)))
    if len(fields) > 1 and rng.random() < 0.7:
        _spoil(fields, rng)
    return encode(fields)


def _spoil(fields: list[Any], rng: random.Random) -> None:
    """Put something odd in the place of one part, however deep; the tag stays."""
    parent, places = fields, range(1, len(fields))
    while True:
        place = rng.choice(list(places))
        child = parent[place]
        if isinstance(child, list | dict) and child and rng.random() < 0.8:
            parent, places = child, child if isinstance(child, dict) else range(len(child))
            continue
        parent[place] = Raw(rng.choice(list(ODD.values())))
        return


def query_of(rng: random.Random) -> bytes:
    """Return an encoded query of the hub, with arguments that are odd in one way or another."""
    if rng.random() < 0.5:
        odd = Raw(rng.choice(list(ODD.values())))
        about = rng.choice(["results", "result_status", "resubmission", "purge"])
        return encode(["query", 1, about, encode({"msg_ids": ["t0", odd]})])
    arguments: dict[str, Any] = {}
    for name in ("msg_ids", "new_ids", "targets", "query", "keys", "signum", "verbose", "all"):
        if rng.random() < 0.5:
            odd = Raw(rng.choice(list(ODD.values())))
            arguments[name] = rng.choice([odd, [odd], {"started": odd}, {"$gte": odd},
                                          {"started": {"$gte": odd}}, ["t0"], None, 1])  # fmt: skip
    body = rng.choice(list(ODD.values())) if rng.random() < 0.2 else encode(arguments)
    name = rng.choice([name for name in QUERIES if name not in ("shutdown", "signal")])
    return encode(["query", rng.randrange(100), name, body])


def multiparts(kinds: tuple[type, ...], rng: random.Random, number: int) -> Iterator[list[bytes]]:
    """Yield messages of each kind, numbered from *number*, and some that are none at all."""
    for _ in range(40):  # before anything that says good-bye
        yield [head(number, 0, query_of(rng))]
        number += 1
    for _ in range(2):
        for kind in rng.sample(kinds, len(kinds)):
            body = query_of(rng) if kind.__name__ == "Query" else body_of(kind, rng)
            buffers = [rng.choice([b"", b"buffer", bytes(70_000)])] * rng.choice([0, 0, 0, 1, 2])
            if rng.random() < 0.3:
                odd_number = rng.choice([0, 0, 0, 2**63, 2**64 - 1])
                yield [head(odd_number, rng.choice([0, 0, 1, 2**64 - 1]), body), *buffers]
            else:
                yield [head(number, 0, body), *buffers]
                number += 1
    for frame in (b"", b"x" * 15, head(number, 0, b""), head(0, 0, b"\xc1"), rng.randbytes(40)):
        yield [frame]
    yield [b""] * 50
