"""A controller and where it keeps its records: through restarts, and on a disk that fails."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hippodrome.protocol import messages as m
from hippodrome.serialize import loads
from support.leaks import wait_until
from support.processes import Site

WAIT_S = 10.0


def database(site: Site) -> Path:
    return site.security_dir.parent / "tasks.db"


def ask(rc: Any, name: str, **arguments: Any) -> Any:
    return rc._io.ask(name, **arguments).result(WAIT_S)


def fetch(rc: Any, *msg_ids: str) -> list[m.Fetched]:
    return msgspec.convert(ask(rc, "results", msg_ids=list(msg_ids)), list[m.Fetched])


def run(rc: Any, n: int) -> list[str]:
    """Run tasks that square their number; return their ids."""
    rc.wait_for_engines(1, timeout=WAIT_S)
    results = [rc.load_balanced_view().apply_async(pow, i, 2) for i in range(n)]
    assert [result.get(WAIT_S) for result in results] == [i * i for i in range(n)]
    return [result.msg_ids[0] for result in results]


def n_finished(path: Path) -> int:
    """Return how many records of ended tasks are on disk; 0 while there is no such file."""
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            query = "SELECT count(*) FROM tasks WHERE received IS NOT NULL"
            found: int = connection.execute(query).fetchone()[0]
            return found
    except sqlite3.DatabaseError:
        return 0


@contextmanager
def lock(path: Path) -> Iterator[None]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        yield


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_results_outlive_the_controller(site: Site, connect: Callable[..., Any], how: str) -> None:
    controller, engine = site.start_cluster(1, "--sqlitedb")
    rc = connect()
    names = run(rc, 50)
    wait_until(lambda: n_finished(database(site)) == 50)
    engine.stop()
    if how == "killed":
        controller.kill()
    else:
        controller.stop()
    rc.close()
    site.start("ipcontroller", "--sqlitedb")
    other = connect()
    assert ask(other, "history") == names
    values = [loads(each.result.payload, ()) for each in fetch(other, *names) if each.result]
    assert values == [i * i for i in range(50)]
    assert ask(other, "storage")["state"] == "ok"


def test_a_locked_database_holds_up_nobody(site: Site, connect: Callable[..., Any]) -> None:
    site.start_cluster(1, "--sqlitedb")
    rc = connect()
    run(rc, 1)
    wait_until(lambda: n_finished(database(site)) == 1)
    with lock(database(site)):
        names = run(rc, 20)
        assert [each.result is not None for each in fetch(rc, *names)] == [True] * 20
        wait_until(lambda: ask(rc, "storage")["state"].startswith("degraded (locked"))
        assert rc.queue_status()["unassigned"] == 0
        assert len(ask(rc, "history")) == 21
    wait_until(lambda: ask(rc, "storage")["state"] == "ok")
    assert n_finished(database(site)) == 21
    assert ask(rc, "storage")["lost"] == 0


def test_a_bad_database_is_moved_aside(site: Site, connect: Callable[..., Any]) -> None:
    database(site).parent.mkdir(parents=True, mode=0o700)
    database(site).write_bytes(b"garbage" * 1000)
    controller, _ = site.start_cluster(1, "--sqlitedb")
    rc = connect()
    run(rc, 1)
    wait_until(lambda: n_finished(database(site)) == 1)
    assert "tasks.db.bad-" in ask(rc, "storage")["note"]
    wait_until(lambda: "moved to" in controller.log)


def test_a_controller_may_keep_nothing(site: Site, connect: Callable[..., Any]) -> None:
    site.start_cluster(1, "--nodb")
    rc = connect()
    run(rc, 5)
    assert ask(rc, "history") == []
    assert ask(rc, "storage")["store"] == "none"
    assert not database(site).exists()
