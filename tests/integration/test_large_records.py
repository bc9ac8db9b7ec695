"""What is large outlives the client that had it computed, and with a file the controller too."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hippodrome as ipp
from hippodrome.segments.kept import KEPT
from support import elsewhere
from support.leaks import wait_until
from support.processes import Site

WAIT_S = 60.0
MB = 125_000  # elements of eight bytes

# A program that is killed as soon as its tasks have ended, as a kernel is that is restarted.
PROGRAM = f"""
import json, os, signal, sys
import numpy as np
import hippodrome as ipp
rc = ipp.Client(sys.argv[1])
rc.wait_for_engines(2, timeout={WAIT_S})
view, MB = rc.load_balanced_view(), {MB}
def total(x):
    return float(x.sum())
def arange(n):
    import numpy as np
    return np.arange(float(n))
big = view.apply_async(arange, 20 * MB)
several = view.map_async(arange, [MB + i for i in range(5)])
summed = view.apply_async(total, np.ones(3 * MB))
text = view.apply_async(lambda: "x" * 3_000_000)
push = rc[:].push({{"a": np.arange(2.0 * MB)}}, block=False)
pull = rc[:].pull("a", block=False)
rc.wait([big, several, summed, text, push, pull], {WAIT_S})
named = {{"big": big, "several": several, "summed": summed, "text": text, "pull": pull}}
print(json.dumps({{name: list(ar.msg_ids) for name, ar in named.items()}}), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""

WAYS = {"memory": (), "sqlite": ("--sqlitedb",)}


def run_and_die(site: Site) -> dict[str, list[str]]:
    """Run the program; return the ids of its tasks."""
    done = site.python("-c", PROGRAM, str(site.client_file), timeout_s=WAIT_S)
    assert done.returncode == -signal.SIGKILL, done.stderr
    found: dict[str, list[str]] = json.loads(done.stdout)
    return found


def check_results(rc: Any, ids: dict[str, list[str]]) -> None:
    assert (rc.get_result(ids["big"]).get(WAIT_S)[0] == np.arange(20.0 * MB)).all()
    several = rc.get_result(ids["several"]).get(WAIT_S)
    assert [len(each) for each in several] == [MB + i for i in range(5)]
    assert rc.get_result(ids["text"][0]).get(WAIT_S) == "x" * 3_000_000
    for pulled in rc.get_result(ids["pull"]).get(WAIT_S):
        assert (pulled == np.arange(2.0 * MB)).all()


def large_of(rc: Any) -> dict[str, Any]:
    found: dict[str, Any] = rc._io.ask("storage").result(WAIT_S)["large"]
    return found


def kept_segments(rc: Any) -> list[str]:
    segments = rc._io._delivery.segments
    directory = Path(segments.directory) / KEPT if segments else None
    return os.listdir(directory) if directory and directory.exists() else []


def files(site: Site) -> list[str]:
    directory = site.security_dir.parent / "tasks.db.large"
    return sorted(os.listdir(directory)) if directory.exists() else []


@pytest.mark.parametrize("options", WAYS.values(), ids=WAYS.keys())
def test_another_client_gets_it_all(
    site: Site, connect: Callable[..., Any], options: tuple[str, ...]
) -> None:
    site.start_cluster(2, *options)
    ids = run_and_die(site)
    rc = connect()
    check_results(rc, ids)
    check_results(rc, ids)  # it is not used up
    status = rc.result_status([name for names in ids.values() for name in names])
    assert status["pending"] == status["expired"] == []
    again = rc.resubmit(ids["summed"])
    assert again.get(WAIT_S) == [3.0 * MB]
    (record,) = rc.db_query({"msg_id": ids["summed"][0]}, keys=["buffers", "result_buffers"])
    assert np.frombuffer(record["buffers"][-1]).sum() == 3 * MB
    (record,) = rc.db_query({"msg_id": ids["big"][0]}, keys="result_buffers")
    assert len(record["result_buffers"][-1]) == 20 * MB * 8

    rc.purge_results([name for names in ids.values() for name in names])
    rc.purge_results("all")
    wait_until(lambda: large_of(rc)["bytes"] == 0)
    wait_until(lambda: kept_segments(rc) == [])
    wait_until(lambda: files(site) == [])


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_files_outlive_the_controller(site: Site, connect: Callable[..., Any], how: str) -> None:
    controller, engine = site.start_cluster(2, "--sqlitedb")
    ids = run_and_die(site)
    rc = connect()
    wait_until(lambda: len(files(site)) == large_of(rc)["buffers"])
    engine.stop()
    if how == "killed":
        controller.kill()
    else:
        controller.stop()
    rc.close()
    site.start_cluster(2, "--sqlitedb")
    rc = connect()
    check_results(rc, ids)
    assert rc.resubmit(ids["summed"][0]).get(WAIT_S) == 3.0 * MB
    rc.purge_results("all")
    wait_until(lambda: files(site) == [])


def test_what_was_dropped_says_so(site: Site, connect: Callable[..., Any]) -> None:
    site.start_cluster(2, "--large-limit=30000000")
    ids = run_and_die(site)
    rc = connect()
    view = rc.load_balanced_view()
    assert view.apply_sync(lambda n: "y" * n, 12_000_000) == "y" * 12_000_000
    assert rc.result_status(ids["big"])["expired"] == ids["big"]
    with pytest.raises(ipp.ResultExpired, match=r"30,000,000 bytes.*--large-limit"):
        rc.get_result(ids["big"][0]).get(WAIT_S)
    summed = ids["summed"][0]
    assert rc.get_result(summed).get(WAIT_S) == 3.0 * MB, "what is small is there all the same"
    with pytest.raises(ipp.ResultExpired, match=rf"arguments of {summed}.*--large-limit"):
        rc.resubmit(summed)
    (record,) = rc.db_query({"msg_id": summed}, keys=["buffers"])
    assert record["buffers"][-1] is None
    stock = large_of(rc)
    assert stock["bytes"] <= stock["limit"] == 30_000_000
    assert stock["dropped"] > 0


@pytest.mark.parametrize("options", [("--nodb",), ("--large-limit=0",)])
def test_where_nothing_large_is_to_be_kept_nothing_is(
    site: Site, connect: Callable[..., Any], options: tuple[str, ...]
) -> None:
    site.start_cluster(2, *options)
    ids = run_and_die(site)
    rc = connect()
    if options == ("--nodb",):
        with pytest.raises(KeyError):
            rc.get_result(ids["big"])
    else:
        with pytest.raises(ipp.ResultExpired, match="nothing large is"):
            rc.get_result(ids["big"][0]).get(WAIT_S)
    assert kept_segments(rc) == []


def test_what_went_from_host_to_host_is_its_clients_alone(
    site: Site, connect: Callable[..., Any]
) -> None:
    if trouble := elsewhere.cannot():
        pytest.skip(trouble)
    elsewhere.start(site, "ipcontroller", "--ip=127.0.0.1")
    site.start("ipengine", "-n", "2")
    ids = run_and_die(site)
    rc = connect()
    assert rc.get_result(ids["summed"]).get(WAIT_S) == [3.0 * MB]
    with pytest.raises(ipp.ResultExpired, match="from one host to another is its client's alone"):
        rc.get_result(ids["big"][0]).get(WAIT_S)
    with pytest.raises(ipp.ResultExpired, match="from one host to another"):
        rc.resubmit(ids["summed"])
