"""Owners of sockets do this in the same way, each with as few calls as it takes."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any, Final, cast

import zmq
from zmq.utils.garbage import gc  # which would be imported when it is needed: perhaps too late

from hippodrome.protocol.frames import Frames
from hippodrome.transport.tunneled import is_tunnel_endpoint

Socket = zmq.Socket[Any]

# What these do around the calls of ZeroMQ is for cases that do not arise here, for each frame anew.
_receive: Final[Any] = zmq.backend.Socket.recv
_send: Final[Any] = zmq.backend.Socket.send
_get: Final[Any] = zmq.backend.Socket.get

_COPIED_BYTES: Final = 1 << 16  # to share a smaller frame costs more than to copy it
_SHARING_DESCRIPTORS: Final = 16
_POLLIN: Final = int(zmq.POLLIN)  # as a flag of an enumeration it takes ten times as long
_NOBLOCK: Final = int(zmq.NOBLOCK)
_SNDMORE: Final = int(zmq.SNDMORE)
_EVENTS: Final = int(zmq.EVENTS)


def has_message(socket: Socket) -> bool:
    """Tell whether a message can be received at once; costs less than to try in vain."""
    return bool(_get(socket, _EVENTS) & _POLLIN)


def receive(socket: Socket) -> list[zmq.Frame]:
    """Return the frames of a message that is there, as pyzmq has it, but in a third of the time.

    Raises:
        zmq.Again: there is none.
    """
    frame = _receive(socket, _NOBLOCK, False)
    frames = [frame]
    while frame.more:
        frame = _receive(socket, _NOBLOCK, False)
        frames.append(frame)
    return frames


def send_to(router: Socket, route: bytes, frames: Frames) -> None:
    """Send one message over a route, and do not wait; see `send`."""
    _send(router, route, _SNDMORE)
    send(router, frames)


def is_local(dealer: Socket) -> bool:
    """Tell whether a connected socket stays on this host, where nothing is encrypted."""
    endpoint = cast("bytes", dealer.getsockopt(zmq.LAST_ENDPOINT))
    return endpoint.startswith(b"ipc://") and not is_tunneled(dealer)


def is_tunneled(dealer: Socket) -> bool:
    """Tell whether a connected socket leads through a tunnel, which may break and come back."""
    endpoint = cast("bytes", dealer.getsockopt(zmq.LAST_ENDPOINT))
    return is_tunnel_endpoint(endpoint.rstrip(b"\0").decode())


def send(socket: Socket, frames: Frames) -> None:
    """Send one message, and do not wait.

    Raises:
        zmq.ZMQError: it cannot be sent now, or not at all.
    """
    if len(frames) == 1:
        frame = frames[0]
        if len(frame) < _COPIED_BYTES or not can_share(frames):
            _send(socket, frame, _NOBLOCK)
        else:
            socket.send(frame, zmq.NOBLOCK, copy=False)
    else:
        socket.send_multipart(frames, zmq.NOBLOCK, copy=not can_share(frames))


def can_share(frames: Frames) -> bool:
    """Tell whether frames can be sent without copying the large ones.

    That takes a thread and sockets, once in each process. Where these cannot be had any more, pyzmq
    would fail in the middle of a message.
    """
    return (
        gc.is_alive()
        or all(memoryview(frame).nbytes < _COPIED_BYTES for frame in frames)
        or has_descriptors(_SHARING_DESCRIPTORS)
    )


def has_descriptors(n: int) -> bool:
    """Tell whether this process can open so many files and sockets at this moment.

    ZeroMQ ends the process if it cannot have some of those that it needs.
    """
    taken: list[int] = []
    try:
        for _ in range(n):
            taken.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))  # noqa: PERF401 - may end
    except OSError:
        return False
    finally:
        for descriptor in taken:
            os.close(descriptor)
    return True


def watch(endpoint: Socket, events: int) -> Socket:
    """Return a socket that receives *events* of *endpoint*, as ZeroMQ's monitors tell them.

    ``endpoint.monitor(None, 0)`` ends that.
    """
    # Under a name of its own: that which pyzmq would give may not be free again yet.
    address = f"inproc://{os.urandom(16).hex()}"
    endpoint.monitor(address, events)
    monitor: Socket = endpoint.context.socket(zmq.PAIR)
    monitor.linger = 0
    monitor.connect(address)
    return monitor


def raise_descriptor_limit() -> None:
    """Let this process open as many files and sockets as it may: each connection takes one."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with suppress(OSError, ValueError):  # some systems allow less than they say
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
