"""What waits in the scheduler for one client has a limit, and each task ends all the same."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest

from hippodrome.process.stowage import Stowage
from hippodrome.protocol import messages as m
from hippodrome.protocol.frames import Buffer
from hippodrome.scheduler.burden import LARGE_BYTES, Burden
from support.bench import Bench, F, PlayedPeer, attempts_of, task

CLIENT = m.PeerId("c" * 32)
LARGE = b"x" * LARGE_BYTES


class Cellar:
    """A store that remembers what is in it, up to a number of buffers."""

    def __init__(self, most: int = 1000) -> None:
        self.buffers: list[Buffer] = []
        self._most = most

    def put(self, buffer: Buffer) -> Buffer | None:
        if len(self.buffers) == self._most:
            return None
        self.buffers.append(memoryview(bytes(buffer)))
        return self.buffers[-1]

    def has(self, buffer: Buffer) -> bool:
        return any(buffer is stowed for stowed in self.buffers)


def burden(most_stowed: int = 1000) -> tuple[Burden, Cellar]:
    cellar = Cellar(most_stowed)
    return Burden(cellar, 3 * LARGE_BYTES, 5 * LARGE_BYTES), cellar


def test_what_is_too_much_for_memory_is_stowed_and_small_things_are_not() -> None:
    subject, cellar = burden()
    assert subject.admit(2 * LARGE_BYTES, [LARGE]) == [LARGE]
    assert not cellar.buffers
    admitted = subject.admit(3 * LARGE_BYTES, [b"small", LARGE])
    assert admitted == [b"small", LARGE]
    assert admitted[1] is cellar.buffers[0]


def test_what_comes_when_nothing_is_held_stays_in_memory_however_large() -> None:
    subject, cellar = burden()
    assert subject.admit(0, [LARGE * 100]) == [LARGE * 100]
    assert not cellar.buffers


def test_what_finds_no_room_anywhere_is_refused() -> None:
    subject, _ = burden(most_stowed=0)
    assert subject.admit(4 * LARGE_BYTES, [LARGE]) == [LARGE]
    assert subject.admit(5 * LARGE_BYTES, [LARGE]) is None
    assert subject.admit(5 * LARGE_BYTES, [b"small"]) == [b"small"]


def test_arguments_weigh_until_all_tasks_that_share_them_have_ended() -> None:
    subject, cellar = burden()
    subject.add(CLIENT, [m.MsgId("a"), m.MsgId("b")], [LARGE, LARGE])
    subject.end(m.MsgId("a"))
    assert subject.held(CLIENT) == LARGE_BYTES
    subject.add(CLIENT, [m.MsgId("c")], [cellar.put(LARGE)])
    subject.end(m.MsgId("c"))
    subject.end(m.MsgId("never"))
    subject.end(m.MsgId("b"))
    assert subject.held(CLIENT) == 0
    subject.check()


# ---------------------------------------------------------------- the broker


def submit(client: PlayedPeer, n: int) -> None:
    for i in range(n):
        one = m.Task(m.MsgId(f"t{i}"), F, b"", 1)
        functions = [] if i else [F]
        buffers = [LARGE] if i else [b"pickle", LARGE]
        client.send("task", m.Submit([one], functions), *buffers)


def run_all(engine: PlayedPeer, payload: bytes = LARGE) -> None:
    done = 0
    while attempts := attempts_of(engine)[done:]:
        done += len(attempts)
        for attempt in attempts:
            ended = m.Outcome(attempt.msg_id, attempt.attempt, "ok", 1.0, 2.0, 1.0, b"", 1)
            engine.send("task", m.Outcomes([ended]), payload)


@pytest.mark.parametrize("most_stowed", [1000, 0])
def test_a_flood_of_arguments_is_stowed_or_refused_and_every_task_ends(most_stowed: int) -> None:
    subject, cellar = burden(most_stowed)
    bench = Bench.make(hwm=1, burden=subject)
    client = bench.client()
    submit(client, 20)
    assert subject.held(client.uuid) <= 5 * LARGE_BYTES
    run_all(bench.engine())
    results = client.results()
    n_refused = sum(one.status != "ok" for one in results.values())
    assert len(results) == 20
    assert (n_refused, len(cellar.buffers)) == ((0, 17) if most_stowed else (15, 0))
    for one in results.values():
        assert one.failure is None or "no room for these" in one.failure.evalue
    assert subject.held(client.uuid) == 0


@pytest.mark.parametrize("most_stowed", [1000, 0])
def test_results_of_who_does_not_read_are_stowed_or_dropped_and_every_task_ends(
    most_stowed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject, cellar = burden(most_stowed)
    bench = Bench.make(burden=subject)
    client, engine = bench.client(), bench.engine()
    stream = bench.broker.peers.get(client.uuid).channels["task"].session.stream  # type: ignore[union-attr]
    monkeypatch.setattr(stream, "_sizes", type(stream._sizes)(window=LARGE_BYTES))
    client.send("task", m.Submit([task(f"t{i}") for i in range(20)], [F]), b"pickle")
    end = bench.ends.pop(client.routes["task"])  # it is stopped
    run_all(engine)
    assert len(cellar.buffers) >= 12 if most_stowed else not cellar.buffers
    bench.ends[client.routes["task"]] = end
    for _ in range(100):
        bench.tick(bench.broker.now + 2.0)
    results = client.results()
    assert len(results) == 20
    n_dropped = sum(one.failure is not None for one in results.values())
    assert n_dropped == 0 if most_stowed else n_dropped >= 12
    bench.broker.check()


# ---------------------------------------------------------------- files


def n_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="reads /proc")
def test_files_have_no_names_and_end_with_what_is_in_them(tmp_path: Path) -> None:
    before = n_descriptors()
    stowage = Stowage(tmp_path, 1000)
    buffers = [bytes([i]) * 300 for i in range(20)]
    stowed = [stowage.put(buffer) for buffer in buffers]
    assert stowed == buffers
    assert all(stowage.has(buffer) for buffer in stowed)
    assert not any(tmp_path.iterdir())
    assert n_descriptors() > before + 7
    kept = stowed[10]
    del stowed
    gc.collect()
    assert n_descriptors() <= before + 4
    assert kept == buffers[10]
    del kept, stowage
    gc.collect()
    assert n_descriptors() == before


def test_a_buffer_that_is_larger_than_a_file_gets_one_of_its_own(tmp_path: Path) -> None:
    assert Stowage(tmp_path, 10).put(b"x" * 1000) == b"x" * 1000


def test_where_nothing_can_be_written_nothing_is_stowed(tmp_path: Path) -> None:
    stowage = Stowage(tmp_path)
    tmp_path.rmdir()
    assert stowage.put(b"x") is None


def test_what_is_not_in_a_file_is_not_taken_for_it(tmp_path: Path) -> None:
    stowage = Stowage(tmp_path)
    assert not stowage.has(b"x")
    assert not stowage.has(memoryview(b"x"))
