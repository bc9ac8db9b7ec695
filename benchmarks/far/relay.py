"""What the way between hosts could reach: pyzmq, CURVE, messages of 1 MiB, credits, and a relay.

``python -m benchmarks.far.relay ROLE`` is one of its programs: the *relay* passes on what the
*sender* sends to each *receiver*; the receivers grant credit as it comes in, the slowest counts.
What to do comes as a line of JSON. Nothing is scheduled, kept or recorded here.
"""

from __future__ import annotations

import json
import struct
import sys
import time
from typing import Any, Final

import zmq

CHUNK: Final = 1 << 20
CREDIT: Final = 16_000_000
PORT: Final = 5999
_OFFSET: Final = struct.Struct("<Q")
READY, SENDER, RECEIVER, OK = b"ready", b"sender", b"receiver", b"ok"


def new_keys() -> dict[str, str]:
    names = ("relay", "relay_secret", "peer", "peer_secret")
    keys = [key.decode() for pair in (zmq.curve_keypair(), zmq.curve_keypair()) for key in pair]
    return dict(zip(names, keys, strict=True))


def socket_of(kind: int, keys: dict[str, str], is_server: bool) -> Any:
    own = "relay" if is_server else "peer"
    socket = zmq.Context.instance().socket(kind)
    socket.linger = 0
    socket.sndhwm = socket.rcvhwm = 0
    socket.curve_publickey, socket.curve_secretkey = (
        keys[name].encode() for name in (own, f"{own}_secret")
    )
    if is_server:
        socket.curve_server = True
    else:
        socket.curve_serverkey = keys["relay"].encode()
    return socket


def relay(order: dict[str, Any]) -> None:
    socket = socket_of(zmq.ROUTER, order["keys"], is_server=True)
    socket.bind(f"tcp://*:{PORT}")
    tell("listening")
    receivers: dict[bytes, int] = {}
    sender, passed_on = b"", 0
    while True:
        route, *frames = socket.recv_multipart(copy=False)
        name = route.bytes
        if name == sender:
            for receiver in receivers:
                socket.send_multipart([receiver, *frames], copy=False)
        elif name in receivers:
            (receivers[name],) = _OFFSET.unpack(frames[0].bytes)
            least = min(receivers.values())
            if least != passed_on:
                passed_on = least
                socket.send_multipart([sender, _OFFSET.pack(least)])
        elif frames[0].bytes == RECEIVER:
            receivers[name] = 0
            socket.send_multipart([name, OK])
        else:
            sender = name
            socket.send_multipart([name, OK])


def connected(order: dict[str, Any], role: bytes) -> Any:
    socket = socket_of(zmq.DEALER, order["keys"], is_server=False)
    socket.connect(f"tcp://{order['address']}:{PORT}")
    socket.send(role)
    assert socket.recv() == OK
    return socket


def sender(order: dict[str, Any]) -> None:
    import os

    size = order["n_bytes"]
    some = os.urandom(CHUNK)
    data = memoryview(bytearray(some * (size // CHUNK + 1)))[:size]
    socket = connected(order, SENDER)
    tell(READY.decode())
    sys.stdin.readline()
    start = time.perf_counter()
    sent = arrived = 0
    while arrived < size:
        while sent < size and sent - arrived < CREDIT:
            piece = data[sent : sent + CHUNK]
            socket.send_multipart([_OFFSET.pack(sent), piece], copy=False)
            sent += len(piece)
        (arrived,) = _OFFSET.unpack(socket.recv())
    tell(str(time.perf_counter() - start))


def receiver(order: dict[str, Any]) -> None:
    size = order["n_bytes"]
    socket = connected(order, RECEIVER)
    tell(READY.decode())
    data, got, told = memoryview(bytearray(size)), 0, 0
    while got < size:
        head, piece = socket.recv_multipart(copy=False)
        (offset,) = _OFFSET.unpack(head.bytes)
        data[offset : offset + len(piece)] = piece.buffer
        got += len(piece)
        if got - told >= CREDIT // 4 or got == size:
            told = got
            socket.send(_OFFSET.pack(got))
    sys.stdin.readline()


def tell(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    {"relay": relay, "sender": sender, "receiver": receiver}[sys.argv[1]](
        json.loads(sys.stdin.readline())
    )
