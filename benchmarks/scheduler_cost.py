"""What the scheduler costs for each task, in CPU time, without sockets and processes.

    python -m benchmarks.scheduler_cost queue MOST N      against how many tasks wait
    python -m benchmarks.scheduler_cost engines MOST N    against how many engines there are

Sizes up to MOST are tried, with N tasks each that are submitted, assigned, ended and delivered,
while as many others wait as the size says. Measured are two layers, the core, from events to
actions, and the broker around it, from frames to frames, with tasks that have nothing in common;
and the broker once more with tasks that travel bundled. Prints microseconds per task as JSON. The
time that the played client and engines take does not count.
"""

from __future__ import annotations

import gc
import json
import random
import sys
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final, Protocol

from benchmarks.played import PlayedBroker, PlayedCore
from benchmarks.workloads import ENGINE_COUNTS, QUEUE_LENGTHS
from hippodrome.protocol.messages import MsgId

SUBMITTED_AT_ONCE: Final = 100
FEW_ENGINES: Final = 2
SHORT_QUEUE: Final = 1_000

# Short tasks on two engines come back in large batches; longer ones, on many engines, in small.
QUEUE_RUN_S: Final = 40e-6
ENGINES_RUN_S: Final = 0.5e-3


class Layer(Protocol):
    """A part of the scheduler, with everyone around it played.

    Attributes:
        held: what each engine has been assigned and has not answered.
        n_unassigned: how many tasks wait for an engine.
        cpu_s: what the scheduler has taken so far.
    """

    held: dict[int, deque[tuple[list[MsgId], int]]]
    n_unassigned: int
    cpu_s: float

    def n_held(self, engine: int) -> int: ...
    def submit(self, n: int) -> None: ...
    def end(self, engine: int, n: int, run_s: float) -> None: ...


LAYERS: Final[dict[str, Callable[[int], Layer]]] = {
    "core": PlayedCore,
    "broker": PlayedBroker,
    "bundles": partial(PlayedBroker, bundles=True),
}


def main() -> None:
    axis, most, n = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    figures: dict[str, float] = {}
    for name, make in LAYERS.items():
        costs = {}
        for size, engines, waiting, run_s in settings(axis, most):
            costs[size] = cost_us(make(engines), waiting, n, run_s)
            gc.collect()
        figures |= {f"{name}_{size}": cost for size, cost in costs.items()}
        figures[f"{name}_flat"] = max(costs.values()) / min(costs.values())
    print(json.dumps(figures))


def settings(axis: str, most: int) -> Iterator[tuple[int, int, int, float]]:
    """Yield size, number of engines, tasks that wait, and how long each runs in seconds."""
    if axis == "queue":
        for length in QUEUE_LENGTHS:
            if length <= most:
                yield length, FEW_ENGINES, length, QUEUE_RUN_S
    else:
        for count in ENGINE_COUNTS:
            if count <= most:
                yield count, count, SHORT_QUEUE, ENGINES_RUN_S


def cost_us(layer: Layer, waiting: int, n: int, run_s: float) -> float:
    """Keep *waiting* tasks in line while *n* others pass; return microseconds for each of these."""
    rng = random.Random(0)
    engines = list(layer.held)
    learn(layer, engines, run_s)
    fill(layer, waiting)
    burst = max(1, min(map(layer.n_held, engines)))
    before_s, passed = layer.cpu_s, 0
    while passed < n:
        engine = rng.choice(engines)
        ended = min(burst, layer.n_held(engine))
        layer.end(engine, ended, run_s)
        passed += ended
        fill(layer, waiting)
    return (layer.cpu_s - before_s) / passed * 1e6


def fill(layer: Layer, waiting: int) -> None:
    """Submit until at least *waiting* tasks wait, as many at once as a busy client does."""
    while layer.n_unassigned < waiting:
        layer.submit(SUBMITTED_AT_ONCE)


def learn(layer: Layer, engines: list[int], run_s: float) -> None:
    """Let the scheduler see how long a task runs, so that engines hold more than one."""
    layer.submit(len(engines))
    for engine in engines:
        layer.end(engine, layer.n_held(engine), run_s)


if __name__ == "__main__":
    main()
