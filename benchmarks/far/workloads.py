"""The workloads over hosts, as data, and what is to be reached."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from benchmarks.targets import Target, at_least, at_most
from benchmarks.workloads import Metric

FLOOR: Final = "floor"


@dataclass(frozen=True, slots=True)
class FarWorkload:
    """One thing that clusters over hosts do.

    Attributes:
        measure: names a function of `benchmarks.far.measures`.
        per_host: how many engines are on each of the first hosts.
        sides: who takes part, besides ours.
        rate: what each host may send and get, as tc writes it; empty is without a bound.
        cluster: which of ours, as named in `benchmarks.far.measures`.
    """

    name: str
    title: str
    measure: str
    metrics: tuple[Metric, ...]
    per_host: tuple[int, ...] = (4, 4)
    parameters: Mapping[str, int] = field(default_factory=dict)
    quick: Mapping[str, int] = field(default_factory=dict)
    sides: tuple[str, ...] = ("distributed", "distributed, TLS", "ray")
    rate: str = ""
    cluster: str = "ours"
    repetitions: int = 3

    @property
    def n(self) -> int:
        return sum(self.per_host)


PUSH_PULL: Final = (
    Metric("push_mb_per_s", "push", "MB/s"),
    Metric("pull_mb_per_s", "pull", "MB/s"),
    Metric("cpu_ms", "CPU of all processes for 100 MB", "ms", less=True),
)
SECONDS: Final = (Metric("seconds", "time", "s", less=True),)
RATE: Final = (Metric("mb_per_s", "rate", "MB/s"),)
WITH_FLOOR: Final = (FLOOR, "distributed", "distributed, TLS", "ray")
GIGABIT: Final = "1gbit"
HUNDRED: Final = {"n_bytes": 100_000_000}
THOUSAND: Final = {"n_bytes": 1_000_000_000}
TEN: Final = {"n_bytes": 10_000_000}

FAR_WORKLOADS: Final = {
    workload.name: workload
    for workload in (
        FarWorkload(
            "push-pull",
            "100 MB to an engine elsewhere and back",
            "push_pull",
            PUSH_PULL,
            parameters=HUNDRED,
            quick=TEN,
            sides=WITH_FLOOR,
            repetitions=5,
        ),
        FarWorkload(
            "push-pull-1g",
            "1 GB to an engine elsewhere and back",
            "push_pull",
            PUSH_PULL,
            parameters=THOUSAND,
            quick=HUNDRED,
            sides=WITH_FLOOR,
            repetitions=2,
        ),
        FarWorkload(
            "broadcast",
            "100 MB to 8 engines on 2 hosts",
            "broadcast",
            SECONDS,
            parameters=HUNDRED,
            quick=TEN,
            sides=WITH_FLOOR,
        ),
        FarWorkload(
            "arguments",
            "500 tasks with a 1 MB argument",
            "arguments",
            RATE,
            parameters={"n": 500},
            quick={"n": 40},
        ),
        FarWorkload(
            "results",
            "500 tasks that return 1 MB",
            "results",
            RATE,
            parameters={"n": 500},
            quick={"n": 40},
        ),
        FarWorkload(
            "controller",
            "40 MB to 8 engines on 2 hosts, one by one",
            "controllers_peak",
            (Metric("peak_mb", "what the controller's processes grow by", "MB", less=True),),
            parameters={"n_bytes": 40_000_000},
            quick=TEN,
            sides=("distributed",),
        ),
        FarWorkload(
            "bystander",
            "tasks of another client while one sends 1 GB",
            "bystander",
            (Metric("worst_ms", "the longest", "ms", less=True),),
            parameters=THOUSAND,
            quick=HUNDRED,
            repetitions=2,
        ),
        FarWorkload(
            "round-trip",
            "blocking round trip, 16 engines on 4 hosts",
            "round_trips",
            (Metric("median_us", "median", "us", less=True),),
            per_host=(4, 4, 4, 4),
            parameters={"n": 300},
            quick={"n": 50},
        ),
        FarWorkload(
            "items",
            "map of 20,000 items, item by item, 16 engines on 4 hosts",
            "map_items",
            (Metric("items_per_s", "items", "1/s"),),
            per_host=(4, 4, 4, 4),
            parameters={"n": 20_000},
            quick={"n": 2_000},
        ),
        FarWorkload(
            "gigabit-push-pull",
            "100 MB to an engine elsewhere and back, at 1 Gbit/s",
            "push_pull",
            PUSH_PULL,
            parameters=HUNDRED,
            quick=TEN,
            sides=(FLOOR, "distributed"),
            rate=GIGABIT,
            repetitions=2,
        ),
        FarWorkload(
            "gigabit-broadcast",
            "100 MB to 8 engines on 2 hosts, at 1 Gbit/s",
            "broadcast",
            SECONDS,
            parameters=HUNDRED,
            quick=TEN,
            sides=(FLOOR, "distributed"),
            rate=GIGABIT,
            repetitions=2,
        ),
        FarWorkload(
            "same-host",
            "100 MB to an engine on the controller's host and back, with --ip",
            "push_pull",
            PUSH_PULL,
            parameters=HUNDRED,
            quick=TEN,
            sides=("without --ip",),
            cluster="same host",
        ),
        FarWorkload(
            "same-host-broadcast",
            "100 MB to 8 engines on the controller's host, with --ip",
            "broadcast",
            SECONDS,
            parameters=HUNDRED,
            quick=TEN,
            sides=("without --ip",),
            cluster="same host",
        ),
        FarWorkload(
            "distance",
            "tasks of 10 ms on 4 engines 50 ms away",
            "napping",
            (Metric("busy_percent", "of the time engines are busy", "%"),),
            per_host=(4,),
            parameters={"n": 800, "nap_ms": 10},
            quick={"n": 100},
            sides=(),
            cluster="far",
        ),
        FarWorkload(
            "joining",
            "48 engines on 4 hosts, from nothing to the first result of each",
            "joining",
            SECONDS,
            per_host=(12, 12, 12, 12),
            quick={},
            sides=(),
            cluster="new",
        ),
    )
}

FAR_TARGETS: Final[tuple[Target, ...]] = (
    at_least("push-pull", "push_mb_per_s", 0.85, FLOOR),
    at_least("push-pull", "pull_mb_per_s", 0.85, FLOOR),
    at_least("push-pull-1g", "push_mb_per_s", 0.85, FLOOR),
    at_least("push-pull-1g", "pull_mb_per_s", 0.85, FLOOR),
    at_least("gigabit-push-pull", "push_mb_per_s", 112.0),
    at_least("gigabit-push-pull", "pull_mb_per_s", 112.0),
    at_most("broadcast", "seconds", 0.35),
    at_most("gigabit-broadcast", "seconds", 1.8),
    at_least("arguments", "mb_per_s", 500.0),
    at_least("results", "mb_per_s", 500.0),
    at_most("controller", "peak_mb", 64.0),
    at_most("bystander", "worst_ms", 50.0),
    at_least("same-host", "push_mb_per_s", 0.9, "without --ip"),
    at_most("same-host-broadcast", "seconds", 1.1, "without --ip"),
    at_least("distance", "busy_percent", 90.0),
)
