"""What notebooks show of clients, views, results and clusters, with real processes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import pytest

import hippodrome as ipp


def words(thing: Any) -> str:
    """Return what a reader sees and hears of what a notebook shows."""
    return " ".join(" ".join(ElementTree.fromstring(thing._repr_html_()).itertext()).split())


def fail_on_odd(x: int) -> int:
    if x % 2:
        raise ValueError(f"<{x}>")
    return x


def test_clients_and_views_can_be_shown(client: Any) -> None:
    lv = client.load_balanced_view(retries=1)
    lv.apply_sync(abs, -1)
    assert "connected" in words(client)
    assert "engines 2 (0\N{EN DASH}1)" in words(client)
    assert "tasks submitted 1" in words(client)
    assert "DirectView targets all engines 2" in words(client.direct_view())
    assert "DirectView targets 1 engines 1" in words(client[1])
    assert "BroadcastView targets 0\N{EN DASH}1 engines 2" in words(client.broadcast_view())
    assert "LoadBalancedView targets any engines 2" in words(lv)
    assert "retries 1" in words(lv)


def test_results_can_be_shown_whatever_became_of_them(client: Any) -> None:
    lv, dv = client.load_balanced_view(), client[:]
    ok = lv.map_async(abs, range(-50, 0), chunksize=5)
    ok.get(timeout=10)
    assert "finished" in words(ok)
    assert "items done 50 of 50" in words(ok)
    assert "serial time" in words(ok)
    assert ok.timeline().axes[0].get_title() == "abs"
    failed = lv.map_async(fail_on_odd, range(10))
    failed.wait(10)
    assert "tasks done 10 of 10 5 ok 5 failed" in words(failed)
    assert "ValueError: <1>" in words(failed)
    kept = lv.map_async(fail_on_odd, range(10), chunksize=2, return_exceptions=True)
    assert len(kept.get(timeout=10)) == 10
    assert "tasks done 5 of 5 5 failed" in words(kept)
    both = dv.apply_async(abs, -1)
    both.get(timeout=10)
    assert "engine 0: 1 task (1 ok)" in words(both)
    assert "engine 1: 1 task (1 ok)" in words(both)
    assert "finished" in words(client.get_result(both.msg_ids, block=True))


def test_a_pending_result_is_shown_at_once_and_then_as_aborted(client: Any) -> None:
    dv = client[[0]]
    slow = dv.apply_async(time.sleep, 30)
    waiting = dv.apply_async(abs, 1)
    assert "pending" in words(waiting)
    assert "task 0: no result yet" in words(waiting)
    waiting.abort()
    with pytest.raises(ipp.CompositeError):
        waiting.get(timeout=10)
    assert "1 aborted" in words(waiting)
    slow.cancel()
    assert "cancelled" in words(slow)
    client.send_signal("SIGINT", 0, block=True)
    client[0].apply_async(abs, 1).get(timeout=10)


def test_a_callback_on_the_clients_own_thread_may_show_everything(client: Any) -> None:
    texts: list[str] = []
    shown = threading.Event()

    def show(ar: Any) -> None:
        texts.extend(words(thing) for thing in (ar, client, client[:]))
        shown.set()

    client[0].apply_async(abs, 1).add_done_callback(show)
    assert shown.wait(10)
    assert len(texts) == 3


def test_what_was_closed_can_be_shown(cluster: Any) -> None:
    with ipp.Client(str(cluster.client_file)) as rc:
        rc.wait_for_engines(2, timeout=10)
        view = rc[:]
        ar = view.apply_async(abs, 1)
        ar.get(timeout=10)
    assert "closed" in words(rc)
    assert "closed" in words(view)
    assert "finished" in words(ar)


def test_what_lost_its_controller_can_be_shown(site: Any, connect: Callable[..., Any]) -> None:
    controller, engines = site.start_cluster(1)
    rc = connect()
    rc.wait_for_engines(1, timeout=10)
    view = rc[:]
    ar = view.apply_async(time.sleep, 60)
    engines.is_death_wanted = True
    controller.kill()
    with pytest.raises(ipp.ControllerLost):
        ar.get(timeout=15)
    assert "failed" in words(ar)
    assert "ControllerLost" in words(ar)
    rc._io.gone.result(10)
    assert "controller lost" in words(rc)
    assert "controller lost" in words(view)
    assert "hub process died" in words(rc)
    engines.wait()


def test_a_cluster_can_be_shown(site: Any) -> None:
    cluster = ipp.Cluster(n=1)
    assert "stopped" in words(cluster)
    with cluster as rc:
        assert "controller running engine set 0 1 engine, running" in words(cluster)
        assert cluster.cluster_id in words(rc)
    assert "stopped" in words(cluster)
