"""A way that takes time: what is sent over it arrives later, in order, and as fast as before."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from types import TracebackType

PIECE_BYTES = 1 << 16


class Distance:
    """A TCP proxy in a thread of its own. Use it as a context manager.

    Args:
        port: where on this host everything leads.
        delay_s: how long each way takes, in seconds.

    Attributes:
        port: where to connect instead.
    """

    def __init__(self, port: int, delay_s: float) -> None:
        self.port = 0
        self._there = port
        self._delay_s = delay_s
        self._is_open = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="distance")

    def __enter__(self) -> Distance:
        self._thread.start()
        assert self._is_open.wait(10)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(
            asyncio.start_server(self._connect, "127.0.0.1", 0, backlog=1000)
        )
        self.port = server.sockets[0].getsockname()[1]
        self._is_open.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there = await asyncio.open_connection("127.0.0.1", self._there)
        except OSError:
            writer.close()
            return
        ways = self._carry(reader, there[1]), self._carry(there[0], writer)
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*ways)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        arriving = asyncio.ensure_future(self._arrive(under_way, writer))
        try:
            while data := await reader.read(PIECE_BYTES):
                under_way.put_nowait((self._loop.time() + self._delay_s, data))
        except (OSError, asyncio.CancelledError):
            pass
        under_way.put_nowait((self._loop.time() + self._delay_s, b""))
        with suppress(asyncio.CancelledError):
            await arriving

    async def _arrive(
        self, under_way: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter
    ) -> None:
        data = b"-"
        with suppress(OSError, asyncio.CancelledError):
            while data:
                due, data = await under_way.get()
                await asyncio.sleep(due - self._loop.time())
                writer.write(data)
        writer.close()
