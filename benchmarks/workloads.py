"""The workloads, as data: what is done, how often, and which figures come of it.

A workload runs for two engines unless it says otherwise. ``procedure`` names a function of
`benchmarks.procedures`, which runs in the process of the client, or of `benchmarks.lives`, which
starts that process for each repetition anew. ``needs`` lists the methods that an adapter must have.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

REFERENCE: Final = "executor"  # takes a turn in every repetition


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure of a workload; *less* tells that smaller is better."""

    name: str
    title: str
    unit: str
    less: bool = False


@dataclass(frozen=True, slots=True)
class Workload:
    """One thing that every peer does.

    Attributes:
        parameters: arguments of the procedure.
        quick: what replaces some of them under ``--quick``.
        needs: methods of the adapter; a peer that lacks one must say why.
        is_life: whether each repetition starts a process of its own.
        referenced: whether the reference takes turns, too.
    """

    name: str
    title: str
    procedure: str
    metrics: tuple[Metric, ...]
    parameters: Mapping[str, int] = field(default_factory=dict)
    quick: Mapping[str, int] = field(default_factory=dict)
    needs: tuple[str, ...] = ("submit",)
    engines: int = 2
    is_life: bool = False
    referenced: bool = True
    repetitions: int = 5
    timeout_s: float = 240.0

    def arguments(self, quick: bool) -> dict[str, int]:
        return {**self.parameters, **(self.quick if quick else {})}


RATE: Final = Metric("tasks_per_s", "tasks", "1/s")
ITEMS: Final = Metric("items_per_s", "items", "1/s")
PUSH_PULL: Final = (
    Metric("push_gb_per_s", "push", "GB/s"),
    Metric("pull_gb_per_s", "pull", "GB/s"),
)
SCALING: Final = (
    Metric("start_s", "started and answering", "s", less=True),
    Metric("pss_mb", "memory of all processes (PSS)", "MB", less=True),
    Metric("median_us", "round trip", "us", less=True),
    Metric("tasks_per_s", "tasks", "1/s"),
)
MEMORY: Final = (
    Metric("engine_rss_mb", "one idle engine, RSS", "MB", less=True),
    Metric("engine_pss_mb", "one idle engine, PSS", "MB", less=True),
    Metric("service_rss_mb", "idle controller, RSS", "MB", less=True),
    Metric("service_pss_mb", "idle controller, PSS", "MB", less=True),
    Metric("client_rss_mb", "idle client, RSS", "MB", less=True),
    Metric("service_after_mb", "controller after all tasks, RSS", "MB", less=True),
    Metric("client_after_mb", "client after all tasks, RSS", "MB", less=True),
    Metric("service_waiting_kb", "controller, per waiting task", "kB", less=True),
    Metric("client_waiting_kb", "client, per waiting task", "kB", less=True),
    Metric("service_kept_kb", "controller, kept per task that ended", "kB", less=True),
    Metric("client_kept_kb", "client, kept per task that ended", "kB", less=True),
)

QUEUE_LENGTHS: Final = (10, 1_000, 100_000, 1_000_000)
ENGINE_COUNTS: Final = (2, 16, 100, 1_000, 10_000)
LAYERS: Final = ("core", "broker", "bundles")


def scheduler_metrics(axis: str, sizes: tuple[int, ...]) -> tuple[Metric, ...]:
    """Name a figure for each size of each layer, and how flat the layer is over all sizes."""
    return tuple(
        metric
        for layer in LAYERS
        for metric in (
            *(Metric(f"{layer}_{n}", f"{layer}, {n:,} {axis}", "us/task", True) for n in sizes),
            Metric(f"{layer}_flat", f"{layer}, dearest over cheapest", "x", True),
        )
    )


def scaling(n: int) -> Workload:
    return Workload(
        f"scaling-{n}",
        f"{n} engines",
        "scaling",
        SCALING,
        {"n": 2_000, "calls": 100},
        {"n": 500, "calls": 20},
        engines=n,
        is_life=True,
        referenced=False,
        repetitions=3,
    )


def broadcast(n: int) -> Workload:
    return Workload(
        f"broadcast-{n}",
        f"the same 100 MB to all of {n} engines",
        "broadcast",
        (Metric("seconds", "time", "s", less=True),),
        {"n_bytes": 100_000_000},
        {"n_bytes": 10_000_000},
        needs=("broadcast",),
        engines=n,
        referenced=False,
    )


WORKLOADS: Final = {
    workload.name: workload
    for workload in (
        Workload(
            "start",
            "start-up to first result",
            "start",
            (Metric("first_result_s", "time", "s", less=True),),
            is_life=True,
        ),
        Workload(
            "import",
            "import",
            "import_",
            (
                Metric("import_ms", "the package", "ms", less=True),
                Metric("names_ms", "the names that a user needs first", "ms", less=True),
            ),
            is_life=True,
            referenced=False,
        ),
        Workload(
            "round-trip",
            "blocking round trip",
            "round_trips",
            (
                Metric("median_us", "median", "us", less=True),
                Metric("p99_us", "99th percentile", "us", less=True),
            ),
            {"n": 500},
            {"n": 100},
        ),
        Workload(
            "tasks-10k",
            "10,000 no-op tasks, one by one",
            "tasks",
            (RATE,),
            {"n": 10_000},
            {"n": 2_000},
        ),
        Workload(
            "tasks-50k",
            "50,000 no-op tasks, one by one",
            "tasks",
            (RATE,),
            {"n": 50_000},
            {"n": 4_000},
            repetitions=3,
        ),
        Workload(
            "map-items",
            "map of 100,000 items, item by item",
            "map_items",
            (ITEMS,),
            {"n": 100_000},
            {"n": 4_000},
            needs=("map_items",),
            repetitions=3,
        ),
        Workload(
            "map-chunks",
            "map of 100,000 items, in chunks",
            "map_chunks",
            (ITEMS,),
            {"n": 100_000},
            {"n": 10_000},
            needs=("map_chunks",),
            repetitions=3,
        ),
        Workload(
            "dag",
            "100 layers of 50 tasks, each after two of the layer before",
            "dag",
            (RATE,),
            {"layers": 100, "width": 50},
            {"layers": 10},
            needs=("dag",),
        ),
        Workload(
            "arguments",
            "2,000 tasks with a 1 MB argument",
            "arguments",
            (RATE,),
            {"n": 2_000},
            {"n": 100},
            needs=("arrays",),
            repetitions=3,
        ),
        Workload(
            "results",
            "2,000 tasks that return 1 MB",
            "results",
            (RATE,),
            {"n": 2_000},
            {"n": 100},
            needs=("arrays",),
            repetitions=3,
        ),
        Workload(
            "push-pull",
            "100 MB to one engine and back",
            "push_pull",
            PUSH_PULL,
            {"n_bytes": 100_000_000},
            {"n_bytes": 10_000_000},
            needs=("push", "pull"),
            referenced=False,
        ),
        broadcast(2),
        broadcast(8),
        Workload(
            "memory",
            "memory, idle and with 50,000 tasks",
            "memory",
            MEMORY,
            {"n": 50_000},
            {"n": 2_000},
            is_life=True,
            referenced=False,
            repetitions=1,
        ),
        scaling(2),
        scaling(16),
        scaling(64),
        Workload(
            "queue-length",
            "CPU time of the scheduler against queue length, 2 engines",
            "queue_length",
            scheduler_metrics("waiting", QUEUE_LENGTHS),
            {"most": 1_000_000, "n": 50_000},
            {"most": 1_000, "n": 5_000},
            needs=("schedules_alone",),
            is_life=True,
            referenced=False,
            repetitions=3,
        ),
        Workload(
            "engine-count",
            "CPU time of the scheduler against the number of engines",
            "engine_count",
            scheduler_metrics("engines", ENGINE_COUNTS),
            {"most": 10_000, "n": 50_000},
            {"most": 100, "n": 5_000},
            needs=("schedules_alone",),
            is_life=True,
            referenced=False,
            repetitions=3,
        ),
    )
}

STAGE: Final = "stage"  # the list of the project's first stage; see `benchmarks.stage`
ENGINES: Final = "engines"  # what a thousand cost; see `benchmarks.engines`
HOSTS: Final = "hosts"  # the workloads over several hosts; see `benchmarks.far`
