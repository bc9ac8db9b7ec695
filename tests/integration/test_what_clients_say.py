"""What a client says of itself and its cluster, in its repr and its card."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any

import pytest

import hippodrome as ipp


def words(shown: Any) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", shown._repr_html_()).split())


def waiting() -> Callable[[str], str]:
    def wait_at(path: str) -> str:
        with open(path) as file:
            return file.read()

    return wait_at


def by_client(site: Any) -> None:
    with ipp.Client() as other:
        other.shutdown(hub=True)


def by_command(site: Any) -> None:
    assert site.run("ipcluster", "stop").returncode == 0


def by_object(site: Any) -> None:
    ipp.Cluster.from_file().stop_cluster_sync()


@pytest.mark.parametrize("stop", [by_client, by_command, by_object])
def test_a_shutdown_that_was_asked_for_is_no_loss(site: Any, stop: Callable[[Any], None]) -> None:
    process = site.start("ipcluster", "start", "-n", "2")
    with ipp.Client() as rc:
        rc.wait_for_engines(2, timeout=20)
        view, ar = rc[:], rc[:].apply_async(abs, -1)
        assert ar.get(timeout=10) == [1, 1]
        process.is_death_wanted = True
        stop(site)
        rc._io.gone.result(timeout=20)
        assert rc.ids == []
        assert len(rc) == 0
        assert repr(rc).endswith(": shut down>")
        assert words(rc).startswith("shut down Client")
        assert "lost" not in words(rc) + words(view)
        for call in (lambda: rc[0], lambda: rc[:], lambda: view.apply_async(abs, 1)):
            with pytest.raises(ipp.errors.ControllerLost):
                call()
    process.wait()


def test_a_controller_that_was_killed_is_a_loss(site: Any) -> None:
    controller, engines = site.start_cluster(1)
    with ipp.Client() as rc:
        rc.wait_for_engines(1, timeout=20)
        assert repr(rc).endswith(": 1 engine>")
        controller.is_death_wanted = engines.is_death_wanted = True
        controller.kill()
        engines.wait()
        with pytest.raises(ipp.errors.ControllerLost):
            rc.load_balanced_view().apply_async(abs, -1).get(timeout=20)
        assert rc.ids == []
        assert repr(rc).endswith(": controller lost>")
        assert words(rc).startswith("controller lost")


def test_a_client_that_connected_by_a_file_knows_its_cluster(site: Any) -> None:
    with ipp.Cluster(n=1, cluster_id="mine", log_level=50) as rc:
        with ipp.Client(cluster_id="mine") as other:
            assert other.cluster.cluster_id == rc.cluster.cluster_id == "mine"
            assert other.cluster.is_running
            assert "cluster mine" in words(other)
        with ipp.Client(str(rc.cluster.connection_file)) as other:
            assert other.cluster.cluster_id == "mine"


def test_a_controller_by_hand_is_no_cluster_object(cluster: Any, client: Any) -> None:
    assert client.cluster is None


def test_what_was_aborted_can_be_read(client: Any, tmp_path: Any) -> None:
    path = str(tmp_path / "gate")
    os.mkfifo(path)
    view = client[0]
    first = view.apply_async(waiting(), path)
    others = [view.apply_async(abs, -1) for _ in range(3)]
    reply = client.abort(others)
    reply.result(timeout=10)
    assert repr(reply) == "<abort of 3 tasks: done>"
    assert client.abort(others, block=True) is None
    with open(path, "w") as gate:
        gate.write("gone on")
    assert first.get(timeout=10) == "gone on"
    assert repr(client.queue_status)
    assert repr(client.clear(block=False)).startswith("<AsyncResult(clear)")


def test_a_result_says_that_tasks_printed_and_how_to_see_it(client: Any) -> None:
    def speak(i: int) -> None:
        if i:
            print("hello")

    ar = client.load_balanced_view().map_async(speak, range(4))
    ar.wait(10)
    assert repr(ar).endswith(": finished, printed by 3 tasks: ar.display_outputs(), ar.stdout>")
    assert "printed by 3 tasks: ar.display_outputs(), ar.stdout" in words(ar)
    quiet = client[:].apply_async(abs, -1)
    quiet.wait(10)
    assert repr(quiet) == "<AsyncResult(abs): finished>"
    assert "printed" not in words(quiet)
