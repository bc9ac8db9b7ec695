"""What a cluster in a storm leaves on disk: the end of each task, as its client was told."""

from __future__ import annotations

from pathlib import Path

from hippodrome.protocol.messages import MsgId
from hippodrome.store.filters import understand
from hippodrome.store.record import TaskRecord
from hippodrome.store.sqlite import SqliteStore
from simulation.run import run_seed

SEEDS = 40
PATIENCE_S = 30.0


def records_in(store: SqliteStore) -> dict[MsgId, TaskRecord]:
    answers: list[list[TaskRecord]] = []
    store.search(understand({}), answers.append)  # type: ignore[arg-type]
    while not answers:
        store.collect()
    return {record.msg_id: record for record in answers[0]}


def test_records_on_disk_say_what_clients_were_told(tmp_path: Path) -> None:
    n_told = 0
    for seed in range(SEEDS):
        path = tmp_path / f"{seed}.db"
        store = SqliteStore(path, record_limit=seed % 3 * 5)
        world = run_seed(seed, store=store)
        while world._hub_inbox:  # nobody waits for the hub
            world._step()
        assert store.writer.wait_written(PATIENCE_S)
        here = records_in(store)
        store.close()
        again = SqliteStore(path, record_limit=0)
        on_disk = records_in(again)
        again.close()
        assert here.keys() == on_disk.keys(), seed
        # what had not ended is lost with its controller
        assert all(on_disk[name] == here[name] for name in here if here[name].is_finished), seed
        for msg_id, told in world.judge.told.items():
            if told.result is not None:
                record = on_disk[msg_id]
                assert record.is_finished, (seed, msg_id)
                assert record.status == told.result.status, (seed, msg_id)
                n_told += 1
        assert not any(record.damage for record in on_disk.values())
    assert n_told > 10 * SEEDS
