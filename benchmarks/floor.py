"""The floor: what a batched client, broker and engine path costs with nothing else in it.

Four processes (client, broker, two engines) over ipc, an HMAC per message, a real `Future` per
task, least load, an I/O thread in the client. No dependencies, records, retries, errors or
deaths. Whatever hippodrome takes beyond this is the price of what it does beyond this.
"""

from __future__ import annotations

import hmac
import multiprocessing as mp
import pickle
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any

import msgspec
import zmq

KEY = b"k" * 32
BATCH = 100
HWM = 100
FLUSH_S = 0.002
READY, STOP = b"READY", b"STOP"


class Task(msgspec.Struct, array_like=True, gc=False):
    msg_id: str
    payload: bytes


class Result(msgspec.Struct, array_like=True, gc=False):
    msg_id: str
    started: float
    completed: float
    payload: bytes


encode = msgspec.msgpack.Encoder().encode
tasks_of = msgspec.msgpack.Decoder(list[Task]).decode
results_of = msgspec.msgpack.Decoder(list[Result]).decode


class Floor:
    """A client of a broker with two engines that compute *function*."""

    def __init__(self, function: Callable[[Any], Any] = abs, n_engines: int = 2) -> None:
        self.function = function
        self.n_engines = n_engines
        self._folder = tempfile.TemporaryDirectory()
        self._address = f"ipc://{self._folder.name}/floor"
        self._context = zmq.Context()
        self._processes: list[Any] = []
        self._outbox: deque[Task] = deque()
        self._waiting: dict[str, Future[Any]] = {}
        self._is_awake = False
        self._count = 0

    def __enter__(self) -> Floor:
        spawn = mp.get_context("spawn")
        here, there = spawn.Pipe()
        engine = (self._address, self.function)
        self._processes = [spawn.Process(target=run_broker, args=(self._address, there))]
        self._processes += [
            spawn.Process(target=run_engine, args=engine) for _ in range(self.n_engines)
        ]
        for process in self._processes:
            process.start()
        for _ in range(1 + self.n_engines):
            here.recv()
        here.close()
        there.close()
        self._waker = self._context.socket(zmq.PAIR)
        self._waker.bind("inproc://wake")
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._waker.send(STOP)
        self._thread.join()
        for process in self._processes:
            process.join()
        self._waker.close()
        self._context.term()
        self._folder.cleanup()

    def submit(self, argument: Any) -> Future[Any]:
        self._count += 1
        msg_id = f"0123456789abcdef0123456789abcdef_{self._count}"
        future = self._waiting[msg_id] = Future()
        self._outbox.append(Task(msg_id, pickle.dumps(((argument,), {}), 5)))
        if not self._is_awake:
            self._is_awake = True
            self._waker.send(b"")
        return future

    def _run(self) -> None:
        """Own the socket, on a thread of its own."""
        socket = open_socket(self._context, zmq.DEALER, self._address)
        wakened = self._context.socket(zmq.PAIR)
        wakened.connect("inproc://wake")
        poller = zmq.Poller()
        poller.register(socket, zmq.POLLIN)
        poller.register(wakened, zmq.POLLIN)
        running = True
        while running:
            for ready, _ in poller.poll():
                if ready is wakened:
                    running = wakened.recv() != STOP
                    self._is_awake = False
                    continue
                for frames in drain(socket):
                    for result in results_of(verified(frames)):
                        future = self._waiting.pop(result.msg_id)
                        future.set_result(pickle.loads(result.payload))
            while self._outbox:
                n = min(BATCH, len(self._outbox))
                send(socket, [], [self._outbox.popleft() for _ in range(n)])
        socket.send(STOP)
        socket.close(linger=1000)
        wakened.close()


def run_broker(address: str, parent: Connection) -> None:
    context = zmq.Context()
    socket = open_socket(context, zmq.ROUTER, address)
    parent.send("bound")
    poller = zmq.Poller()
    poller.register(socket, zmq.POLLIN)
    waiting: deque[Task] = deque()
    loads: dict[bytes, int] = {}
    owners: dict[str, bytes] = {}
    while True:
        poller.poll()
        to_client: dict[bytes, list[Result]] = {}
        for who, *frames in drain(socket):
            if frames == [STOP]:
                for engine in loads:
                    socket.send_multipart([engine, STOP])
                socket.close(linger=1000)
                return
            if frames == [READY]:
                loads[who] = 0
                parent.send("an engine")
            elif who in loads:
                for result in results_of(verified(frames)):
                    loads[who] -= 1
                    to_client.setdefault(owners.pop(result.msg_id), []).append(result)
            else:
                for task in tasks_of(verified(frames)):
                    owners[task.msg_id] = who
                    waiting.append(task)
        to_engine: dict[bytes, list[Task]] = {}
        while waiting:
            engine = min(loads, key=loads.__getitem__)
            if loads[engine] >= HWM:
                break
            loads[engine] += 1
            to_engine.setdefault(engine, []).append(waiting.popleft())
        for engine, tasks in to_engine.items():
            send(socket, [engine], tasks)
        for client, results in to_client.items():
            send(socket, [client], results)


def run_engine(address: str, function: Callable[..., Any]) -> None:
    context = zmq.Context()
    socket = open_socket(context, zmq.DEALER, address)
    socket.send(READY)
    while (frames := socket.recv_multipart()) != [STOP]:
        done: list[Result] = []
        flushed = time.perf_counter()
        for task in tasks_of(verified(frames)):
            args, kwargs = pickle.loads(task.payload)
            started = time.perf_counter()
            value = function(*args, **kwargs)
            completed = time.perf_counter()
            done.append(Result(task.msg_id, started, completed, pickle.dumps(value, 5)))
            if completed - flushed > FLUSH_S:
                send(socket, [], done)
                done, flushed = [], completed
        send(socket, [], done)
    socket.close(linger=0)


def open_socket(context: zmq.Context[Any], kind: int, address: str) -> Any:
    socket = context.socket(kind)
    socket.sndhwm = socket.rcvhwm = 0
    (socket.bind if kind == zmq.ROUTER else socket.connect)(address)
    return socket


def send(socket: Any, route: list[bytes], items: list[Any]) -> None:
    for i in range(0, len(items), BATCH):
        blob = encode(items[i : i + BATCH])
        socket.send_multipart([*route, sign(blob), blob])


def sign(blob: bytes) -> bytes:
    return hmac.digest(KEY, blob, "sha256")


def verified(frames: Iterable[bytes]) -> bytes:
    signature, blob = frames
    assert hmac.compare_digest(signature, sign(blob))
    return blob


def drain(socket: Any, most: int = 50) -> Iterator[list[bytes]]:
    for _ in range(most):
        try:
            yield socket.recv_multipart(zmq.NOBLOCK)
        except zmq.Again:
            return
