"""dask over the engines of a cluster.

    with rc.become_dask() as dask_client:
        dask_client.gather(dask_client.map(f, range(100)))
    rc.stop_dask()

dask's scheduler runs in the first of the engines and not in the controller: it unpickles what it
is sent, and the controller must never do that. Each engine has a worker. Both live on a thread of
their own, so that the engine's main thread is free for tasks as before.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import weakref
from collections.abc import Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

try:
    import distributed
except ImportError as _error:
    raise ImportError("dask is not installed here: pip install hippodrome[dask]") from _error
from distributed.utils import get_ip

from hippodrome.serialize.namespaces import current_namespace

if TYPE_CHECKING:
    from hippodrome.client.client import Client
    from hippodrome.protocol.messages import EngineInfo

LOOPBACK: Final = "127.0.0.1"
START_WITHIN_S: Final = 60.0

_NAMES: Final = ("dask_worker", "distributed_worker")  # of an engine's user: its worker

Options = Mapping[str, Any]  # arguments of dask's own classes

# What `stop` closes: clients of dasks that will be gone, for each client of the cluster.
_given_out: weakref.WeakKeyDictionary[Client, weakref.WeakSet[distributed.Client]] = (
    weakref.WeakKeyDictionary()
)

# ---- in the client


def become(
    client: Client,
    engines: Sequence[EngineInfo],
    with_nannies: bool,
    scheduler_args: Options,
    worker_args: Options,
) -> distributed.Client:
    """Start what is missing of dask on *engines*, and return a client of it.

    Raises:
        RuntimeError: some of the engines run one dask, and some another.
        RemoteError: it does not start; nothing of it is left then.
    """
    ids = [info.engine for info in engines]
    running = set(client.direct_view(ids).apply_sync(scheduler_address)) - {None}
    if len(running) > 1:
        raise RuntimeError(f"these engines belong to {len(running)} dasks: stop_dask() first")
    is_local = {info.host for info in engines} == {socket.gethostname()}
    try:
        first = client.direct_view(ids[0])
        address = (
            running.pop()
            if running
            else first.apply_sync(start_scheduler, _placed(scheduler_args, is_local))
        )
        placed = _placed(_with_threads(worker_args), is_local)
        starting = [
            client.direct_view(engine).apply_async(
                start_worker, address, with_nannies, {"name": int(engine), **placed}
            )
            for engine in ids
        ]
        for started in starting:
            started.get()
        made = distributed.Client(address, security=scheduler_args.get("security"))
    except BaseException:
        stop(client, engines)
        raise
    _given_out.setdefault(client, weakref.WeakSet()).add(made)
    return made


def stop(client: Client, engines: Sequence[EngineInfo]) -> None:
    """Stop what of dask runs on *engines*: workers first, so that none loses its scheduler.

    Clients that `become` has given out are closed before, if there will be no scheduler for them.
    """
    if engines:
        view = client.direct_view([info.engine for info in engines])
        going = set(view.apply_sync(own_scheduler_address)) - {None}
        for made in list(_given_out.get(client, ())):
            if made.scheduler is None or made.scheduler.address in going:
                made.close()
        view.apply_sync(stop_worker)
        view.apply_sync(stop_scheduler)


def _with_threads(worker_args: Options) -> Options:
    """Return options of a worker: one thread, unless they say how many, also by the older name."""
    options = {"nthreads": 1, **worker_args}
    ncores = options.pop("ncores", None)
    return options if ncores is None else {**options, "nthreads": ncores}


def _placed(options: Options, is_local: bool) -> Options:
    """Return *options* with an address to listen on, unless they say one."""
    if is_local and not {"host", "interface"} & options.keys():
        return {"host": LOOPBACK, **options}
    return options


# ---- in an engine, on its main thread


class _Servers:
    """The parts of dask that run in this process, and the thread of their event loop.

    Attributes:
        scheduler: dask's scheduler, if it runs here.
        worker: a worker, or the nanny of one, if there is one.
    """

    def __init__(self) -> None:
        self.scheduler: Any = None  # Any: dask is not typed
        self.worker: Any = None
        self._is_ready = threading.Event()

    def start(self) -> None:
        threading.Thread(target=asyncio.run, args=(self._main(),), name="dask", daemon=True).start()
        self._is_ready.wait()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._is_over.set)
        self._thread.join()

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run *coroutine* on the thread and return its result; an interrupt cancels it."""
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    async def _main(self) -> None:
        self._thread = threading.current_thread()
        self._loop = asyncio.get_running_loop()
        self._is_over = asyncio.Event()
        self._is_ready.set()
        await self._is_over.wait()


_here: _Servers | None = None  # one for the process, as are its address and its threads


def scheduler_address() -> str | None:
    """Return the address of the scheduler that this process runs or works for."""
    if _here is None:
        return None
    if _runs(_here.scheduler):
        return str(_here.scheduler.address)
    if _runs(_here.worker):
        return str(_here.worker.scheduler.address)
    return None


def own_scheduler_address() -> str | None:
    """Return the address of the scheduler that this process runs."""
    runs = _here is not None and _runs(_here.scheduler)
    return scheduler_address() if runs else None


def start_scheduler(options: Options) -> str:
    """Start a scheduler in this process; return its address."""
    here = _started()
    here.scheduler = here.run(_start(distributed.Scheduler, (), options))
    return str(here.scheduler.address)


def start_worker(address: str, with_nanny: bool, options: Options) -> None:
    """Start a worker for the scheduler at *address*, unless this process has one."""
    here = _started()
    if not _runs(here.worker):
        kind = distributed.Nanny if with_nanny else distributed.Worker
        here.worker = here.run(_start(kind, (address,), options))
    _show_to_user(here.worker)


def stop_worker() -> None:
    """Stop this process' worker, if there is one, once what it computes has ended."""
    if _here is not None:
        worker, _here.worker = _here.worker, None
        _hide_from_user(worker)
        if _runs(worker):
            _here.run(worker.close())
        _stop_if_idle()


def stop_scheduler() -> None:
    """Stop this process' scheduler, if there is one, and with it its workers elsewhere."""
    if _here is not None:
        scheduler, _here.scheduler = _here.scheduler, None
        if _runs(scheduler):
            _here.run(scheduler.close())
        _stop_if_idle()


def _started() -> _Servers:
    global _here
    if _here is None:
        here = _Servers()
        here.start()
        _here = here
    return _here


def _show_to_user(worker: Any) -> None:
    namespace = current_namespace()
    if namespace is not None:
        namespace.update(dict.fromkeys(_NAMES, worker))


def _hide_from_user(worker: Any) -> None:
    namespace = current_namespace()
    for name in _NAMES:
        if namespace is not None and worker is not None and namespace.get(name) is worker:
            del namespace[name]


def _stop_if_idle() -> None:
    global _here
    if _here is not None and _here.scheduler is None and _here.worker is None:
        here, _here = _here, None
        here.stop()


async def _start(kind: Any, args: tuple[str, ...], options: Options) -> Any:
    options = dict(options)
    if not {"host", "interface"} & options.keys():
        options["host"] = get_ip()
    if not {"dashboard", "dashboard_address"} & options.keys():
        # dask serves its state over HTTP also without a dashboard: then where the rest listens
        options |= {"dashboard": False, "dashboard_address": f"{options.get('host', '')}:0"}
    async with asyncio.timeout(START_WITHIN_S):
        return await kind(*args, **options)


def _runs(server: Any) -> bool:
    """Whether *server* is there and has not closed itself, as workers of a lost scheduler do."""
    return server is not None and server.status is distributed.Status.running
