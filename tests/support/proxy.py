"""A network between a port here and another: it takes time, stops, and breaks connections.

    with Proxy((hosts.head, port)) as proxy:
        ...  # somebody connects to proxy.port instead of port
        proxy.stall("up")

*up* is from whoever connects to the target, *down* is what comes back. As a program,
``python proxy.py PORT HOST:PORT DELAY_S`` only takes time: that long in each direction.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import sys
import threading
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final

CHUNK: Final = 1 << 18
UNDER_WAY: Final = 64 << 20  # what a long cable may hold
DIRECTIONS: Final = ("up", "down")
_RESET: Final = struct.pack("ii", 1, 0)  # of a connection that is closed so, the peer is told


class Proxy:
    """Passes on what connections to `port` bring; use it as a context manager.

    Args:
        target: where to.
        delay_s: how long each byte is under way, in each direction.
        port: where to listen; any that is free if 0.
    """

    def __init__(self, target: tuple[str, int], delay_s: float = 0.0, port: int = 0) -> None:
        self.target = target
        self.delay_s = delay_s
        self.n_connections = 0
        self._is_refusing = False
        self._listener = socket.create_server(("", port), backlog=1024)
        self.port: int = self._listener.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy")
        self._open: set[asyncio.StreamWriter] = set()
        self._connections: set[asyncio.Task[Any]] = set()
        self._flows = {direction: asyncio.Event() for direction in DIRECTIONS}

    def __enter__(self) -> Proxy:
        self._thread.start()
        for flows in self._flows.values():
            self._call(flows.set)
        asyncio.run_coroutine_threadsafe(self._serve(), self._loop).result(10)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def stall(self, direction: str) -> None:
        """Let nothing through in a direction, and hold what comes."""
        self._call(self._flows[direction].clear)

    def flow(self) -> None:
        """Let everything through again."""
        for flows in self._flows.values():
            self._call(flows.set)

    def refuse(self, is_so: bool) -> None:
        """Break new connections at once, as if there were nobody; or no more."""
        self._is_refusing = is_so

    def reset(self) -> int:
        """Break all connections, both ends of each; return how many there were."""
        broken: int = asyncio.run_coroutine_threadsafe(self._reset(), self._loop).result(10)
        return broken

    def _call(self, function: Callable[[], Any]) -> None:
        self._loop.call_soon_threadsafe(function)

    async def _serve(self) -> None:
        self._server = await asyncio.start_server(self._connected, sock=self._listener)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_refusing:
            _break(writer)
            return
        try:
            far_reader, far_writer = await asyncio.open_connection(*self.target)
        except OSError:
            _break(writer)
            return
        self.n_connections += 1
        this = asyncio.current_task()
        assert this is not None
        self._connections.add(this)
        this.add_done_callback(self._connections.discard)
        ends = (writer, far_writer)
        self._open.update(ends)
        for end in ends:
            end.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pipes = [("up", reader, far_writer), ("down", far_reader, writer)]
        tasks = [self._loop.create_task(self._pass_on(*pipe)) for pipe in pipes]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._open.difference_update(ends)
        for end in ends:
            end.close()

    async def _pass_on(
        self, direction: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Write what is read, once it has been under way for long enough."""
        under_way: deque[tuple[float, bytes]] = deque()
        arrived, left = asyncio.Event(), asyncio.Event()
        n_bytes = 0

        async def read() -> None:
            nonlocal n_bytes
            while data := await reader.read(CHUNK):
                under_way.append((self._loop.time() + self.delay_s, data))
                n_bytes += len(data)
                arrived.set()
                while n_bytes > UNDER_WAY:
                    left.clear()
                    await left.wait()
            under_way.append((self._loop.time() + self.delay_s, b""))
            arrived.set()

        reading = self._loop.create_task(read())
        try:
            while True:
                if not under_way:
                    arrived.clear()
                    await arrived.wait()
                due, data = under_way.popleft()
                await asyncio.sleep(max(0.0, due - self._loop.time()))
                await self._flows[direction].wait()
                if not data:
                    return
                writer.write(data)
                await writer.drain()
                n_bytes -= len(data)
                left.set()
        except OSError:
            return  # an end is gone: so is the connection
        finally:
            reading.cancel()
            with contextlib.suppress(asyncio.CancelledError, OSError):
                await reading

    async def _reset(self) -> int:
        ends = [*self._open]
        for end in ends:
            _break(end)
        return len(ends) // 2

    async def _close(self) -> None:
        self._server.close()
        await self._reset()
        for flows in self._flows.values():
            flows.set()
        await asyncio.gather(*self._connections, return_exceptions=True)


def _break(writer: asyncio.StreamWriter) -> None:
    """Close a connection such that its peer sees a reset."""
    end = writer.get_extra_info("socket")
    if end is not None:
        with contextlib.suppress(OSError):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()


def main() -> None:
    port, (host, _, target_port), delay_s = sys.argv[1], sys.argv[2].rpartition(":"), sys.argv[3]
    with Proxy((host, int(target_port)), float(delay_s), int(port)):
        print("listening", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
