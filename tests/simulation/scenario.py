"""What one seed stands for: a cluster, its work, and what goes wrong. Plain data, drawn once."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass, field

from hippodrome.protocol.messages import Dependencies, Digest, EngineId, MsgId, Options
from hippodrome.scheduler.schemes import SCHEMES
from simulation.network import Weather

FUNCTIONS = {
    Digest(hashlib.sha256(blob).digest()): blob for blob in (b"function 0", b"function 1", b"f 2")
}
DIGESTS = list(FUNCTIONS)
CALM = Weather()
WAYS = ["up", "down", "both"]
STATUSES = ["ok"] * 8 + ["error"] * 3 + ["unmet"]
FAULTS = [
    "replace", "replace", "replace_all", "cut", "cut", "cut_host", "pause", "pause", "crash_engine",
    "crash_engine", "crash_client", "crash_host", "silence_node", "pause_controller", "pause_hub",
]  # fmt: skip


SILENCES = [
    "pause",
    "pause_all",
    "cut",
    "cut_host",
    "silence_node",
    "pause_controller",
    "pause_hub",
]
PATIENT_EVERY = 12  # one of so many seeds
SHORT_PATIENCE_S, PATIENCE_S = 40.0, 120.0
IMPATIENCE_S = 2.5


@dataclass(frozen=True, slots=True)
class Call:
    """One task: when it is submitted, and how each of its attempts goes."""

    at: float
    client: int
    msg_id: MsgId
    function: Digest
    options: Options | None
    n_direct: int  # how many engines are named; 0: load-balanced
    is_big: bool
    runs: list[tuple[float, str]]  # of each attempt: seconds, status

    def run(self, attempt: int) -> tuple[float, str]:
        return self.runs[(attempt - 1) % len(self.runs)]


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong; *pick* chooses whom it hits."""

    at: float
    kind: str
    pick: float
    seconds: float
    direction: str


@dataclass(frozen=True, slots=True)
class Abort:
    at: float
    client: int
    pick: float  # above 0.8: everything


@dataclass(frozen=True, slots=True)
class Scenario:
    seed: int
    scheme: str
    hwm: int
    hosts: list[int]  # engines on each
    n_clients: int
    storm_s: float
    weather: Weather
    patience_s: float  # of the controller, with closed connections of other hosts
    silence_s: float  # that the hub waits out
    is_forgetful: bool  # caches of functions hold next to nothing
    calls: list[Call] = field(repr=False)
    faults: list[Fault] = field(repr=False)
    aborts: list[Abort] = field(repr=False)

    @property
    def is_calm(self) -> bool:
        return not self.faults and self.weather == CALM

    @property
    def is_patient(self) -> bool:
        """Whether everyone waits for longer than anyone is silent."""
        return self.silence_s != IMPATIENCE_S


def draw(seed: int) -> Scenario:
    """Return the scenario of *seed*; always the same."""
    rng = random.Random(seed)
    if seed % PATIENT_EVERY == 0:
        return _draw_patient(seed, rng)
    if rng.random() < 0.1:
        return _draw_comeback(seed, rng)
    hosts = rng.choice([[1], [1], [2], [1, 1], [3], [2, 1], [2, 2], [4]])
    storm_s = rng.uniform(0.5, 5.0)
    n_clients = rng.choice([1, 1, 2, 3])
    calls = _draw_calls(rng, storm_s, n_clients)
    is_calm = rng.random() < 0.2
    n_faults = 0 if is_calm else rng.randrange(6)
    faults = [
        Fault(
            rng.uniform(0.0, storm_s),
            rng.choice(FAULTS),
            rng.random(),
            rng.choice([rng.uniform(0.05, 1.0), rng.uniform(1.0, 6.0)]),
            rng.choice(WAYS),
        )
        for _ in range(n_faults)
    ]
    aborts = [
        Abort(rng.uniform(0.0, storm_s), rng.randrange(n_clients), rng.random())
        for _ in range(rng.choice([0, 0, 1, 2]))
    ]
    return Scenario(
        seed,
        rng.choice(sorted(SCHEMES)),
        rng.choice([0, 1, 1, 2, 3, -1, -1]),
        hosts,
        n_clients,
        storm_s,
        CALM if is_calm else _draw_weather(rng),
        rng.choice([600.0, 2.0]),
        IMPATIENCE_S,
        rng.random() < 0.2,
        calls,
        sorted(faults, key=lambda fault: fault.at),
        aborts,
    )


def _draw_comeback(seed: int, rng: random.Random) -> Scenario:
    """A host is cut off for long, its tasks run elsewhere, and then it is back with its results."""
    calls = [
        Call(
            rng.uniform(0.0, 0.5),
            0,
            MsgId(f"t{number}"),
            rng.choice(DIGESTS),
            Options(retries=2) if rng.random() < 0.8 else None,
            0,
            False,
            [(rng.uniform(0.5, 4.0), rng.choice(STATUSES)) for _ in range(4)],
        )
        for number in range(rng.randrange(2, 6))
    ]
    cut = Fault(
        rng.uniform(0.3, 1.0), "cut_host", rng.random(), rng.uniform(3.0, 5.0), rng.choice(WAYS)
    )
    return Scenario(
        seed,
        rng.choice(sorted(SCHEMES)),
        rng.choice([0, 1, 2, -1]),
        rng.choice([[1, 1], [1, 1], [2, 1], [1, 1, 1]]),
        1,
        6.0,
        _draw_weather(rng),
        600.0,
        IMPATIENCE_S,
        False,
        sorted(calls, key=lambda call: call.at),
        [cut],
        [],
    )


def _draw_patient(seed: int, rng: random.Random) -> Scenario:
    """Processes stop and hosts are cut off for longer than it used to take to be given up."""
    storm_s = rng.uniform(2.0, 8.0)
    n_clients = rng.choice([1, 2])
    faults = [
        Fault(
            rng.uniform(0.2, storm_s),
            rng.choice(SILENCES),
            rng.random(),
            rng.choice([rng.uniform(4.0, 12.0), rng.uniform(12.0, 35.0)]),
            rng.choice(WAYS),
        )
        for _ in range(rng.choice([2, 3]))
    ]
    patience_s, last_s = PATIENCE_S, storm_s
    if rng.random() < 0.5:  # everyone sleeps for longer than anyone is patient
        seconds = rng.uniform(50.0, 150.0)
        faults = [Fault(faults[0].at, "pause_all", rng.random(), seconds, "both")]
        patience_s = SHORT_PATIENCE_S
        last_s = faults[0].at + seconds + 5.0  # connections are replaced when they wake
    return Scenario(
        seed,
        rng.choice(sorted(SCHEMES)),
        rng.choice([0, 1, 2, -1]),
        rng.choice([[1], [2], [1, 1], [2, 1], [1, 1, 1]]),
        n_clients,
        last_s,
        CALM if rng.random() < 0.5 else _draw_weather(rng),
        600.0,
        patience_s,
        False,
        _draw_calls(rng, storm_s, n_clients),
        sorted(faults, key=lambda fault: fault.at),
        [],
    )


def _draw_weather(rng: random.Random) -> Weather:
    return Weather(
        delay_s=rng.choice([0.001, 0.01]),
        p_slow=rng.choice([0.0, 0.05]),
        p_drop=rng.choice([0.0, 0.0, 0.03, 0.1]),
        p_duplicate=rng.choice([0.0, 0.0, 0.05]),
        p_damage=rng.choice([0.0, 0.0, 0.0, 0.3]),
    )


def _draw_calls(rng: random.Random, storm_s: float, n_clients: int) -> list[Call]:
    calls: list[Call] = []
    shape = rng.choice(["plain", "plain", "mixed", "graph"])
    slow = rng.choice([0.01, 0.1, 1.0, 3.0])
    is_uniform = rng.random() < 0.4  # so that tasks travel bundled
    digests = rng.sample(DIGESTS, 1) if is_uniform else DIGESTS
    options = _draw_options(rng, shape, [])
    burst_at = rng.uniform(0.0, storm_s)
    for number in range(rng.randrange(1, 25)):
        at = burst_at if rng.random() < 0.5 else rng.uniform(0.0, storm_s)
        direct = rng.choice([1, 2, 3]) if rng.random() < 0.15 else 0
        calls.append(
            Call(
                at,
                rng.randrange(n_clients),
                MsgId(f"t{number}"),
                rng.choice(digests),
                _draw_options(rng, shape, [_name(call) for call in calls])
                if not direct and (not is_uniform or rng.random() < 0.1)
                else None if direct else options,
                direct,
                rng.random() < (0.03 if is_uniform else 0.1),
                [(rng.choice([0.0, 0.001, slow * rng.random()]), rng.choice(STATUSES))
                 for _ in range(4)],
            )
        )  # fmt: skip
    return sorted(calls, key=lambda call: call.at)


def _name(call: Call) -> MsgId:
    """Return the id by which others depend on *call*."""
    return MsgId(f"{call.msg_id}.0") if call.n_direct else call.msg_id


def _draw_options(rng: random.Random, shape: str, earlier: list[MsgId]) -> Options | None:
    if shape == "plain" or rng.random() < 0.3:
        return None

    def depends(p: float) -> Dependencies | None:
        if not earlier or rng.random() > p:
            return None
        known = earlier[-8:]
        names = rng.sample(known, min(len(known), rng.choice([1, 1, 2, 3])))
        if rng.random() < 0.03:
            names = [*names, MsgId("nobody")]
        success, failure = rng.choice([(True, False), (True, True), (False, True)])
        return Dependencies(names, rng.random() < 0.7, success, failure)

    p = 0.6 if shape == "graph" else 0.1
    targets = None
    if rng.random() < 0.25:
        targets = [EngineId(rng.randrange(5)) for _ in range(rng.choice([1, 2, 3]))]
    return Options(
        retries=rng.choice([0, 0, 1, 2, 3]),
        timeout_s=rng.choice([None, None, None, 0.5, 3.0]),
        after=depends(p),
        follow=depends(p / 3),
        targets=targets,
    )
