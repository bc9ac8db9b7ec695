"""Large arrays between real processes of one host, in memory that they share."""

from __future__ import annotations

import os
import signal
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hippodrome as ipp
from hippodrome.segments import files
from hippodrome.segments.kept import KEPT
from support.leaks import wait_until

N = files.LEAST_BYTES  # elements of eight bytes: large enough

pytestmark = pytest.mark.skipif(not files.ROOT.is_dir(), reason="no file system in memory here")


def directory_of(rc: ipp.Client) -> Path:
    segments = rc._io._delivery.segments
    assert segments is not None, "the controller announced no segments"
    return Path(segments.directory)


def lying_about(rc: ipp.Client) -> list[str]:
    """Return what tasks need; not what the client keeps to write it again."""
    return sorted(name for name in os.listdir(directory_of(rc)) if not name.startswith("."))


def test_an_array_that_was_copied_there_may_be_changed_at_once(client: Any, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    before = client[0].apply_async(Path.read_text, gate)
    a = np.ones(N)
    result = client[0].apply_async(np.sum, a)
    assert result.sent
    a[:] = 0
    assert not result.done()
    gate.write_text("go on")
    assert (before.get(10), result.get(10)) == ("go on", N)


def test_arrays_go_there_and_back_and_leave_nothing(client: Any) -> None:
    a = np.arange(N, dtype=float)
    client[:].push({"a": a}, block=True)
    for b in client[:].pull("a", block=True):
        assert (a == b).all()
        b[0] = 7.0  # what arrives may be written to
    assert client[:].apply_sync(lambda: float(a[0])) == [0.0, 0.0]
    wait_until(lambda: lying_about(client) == [])  # they go right after the results


def test_an_engine_may_write_to_what_it_got_and_nobody_else_sees_it(client: Any) -> None:
    def spoil(x: Any) -> float:
        x += 1.0
        return float(x[0])

    a = np.zeros(N)
    assert client[:].apply_sync(spoil, a) == [1.0, 1.0]
    assert a[0] == 0.0


def test_load_balanced_tasks_take_and_return_large_arrays(client: Any) -> None:
    view = client.load_balanced_view()
    arrays = [np.full(N, float(i)) for i in range(8)]
    doubled = view.map_sync(lambda x: 2 * x, arrays)
    assert [float(x[-1]) for x in doubled] == [2.0 * i for i in range(8)]
    wait_until(lambda: lying_about(client) == [])  # they go right after the results


def test_what_is_changed_after_the_call_does_not_change_the_task(client: Any) -> None:
    a = np.zeros(N)
    ar = client.load_balanced_view().apply_async(np.sum, a)
    a[:] = 1.0
    assert ar.get() == 0.0


def test_without_room_arrays_travel_as_frames(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "SPARE", 1.0)
    a = np.arange(N, dtype=float)
    assert client[0].apply_sync(np.sum, a) == a.sum()


def test_arguments_of_tasks_that_fail_or_are_aborted_are_removed_too(client: Any) -> None:
    view = client.load_balanced_view()
    a = np.zeros(N)
    with pytest.raises(ipp.RemoteError, match="ZeroDivisionError"):
        view.apply_sync(lambda x: 1 / 0, a)
    first = view.apply_async(lambda x: None, a)
    never = view.apply_async(lambda x: None, a)
    with view.temp_flags(after=[never]):
        last = view.apply_async(lambda x: None, a)
    client.abort([last, never, first], block=True)
    client.wait([first, never, last], timeout=10)
    wait_until(lambda: lying_about(client) == [])  # they go right after the results


def test_tasks_of_a_client_that_was_killed_leave_nothing(own_cluster: Any, own_client: Any) -> None:
    code = textwrap.dedent(
        f"""
        import os, signal
        import numpy as np
        import hippodrome as ipp
        rc = ipp.Client({str(own_cluster.client_file)!r})
        rc.wait_for_engines(2)
        ars = [rc.load_balanced_view().apply_async(np.negative, np.zeros({N})) for _ in range(9)]
        ars[0].get()
        os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    killed = own_cluster.python("-c", code)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    view = own_client.load_balanced_view()
    assert view.map_sync(abs, range(-4, 0)) == [4, 3, 2, 1]  # the others are done by then
    wait_until(lambda: lying_about(own_client) == [])  # once it is known to be gone


def test_what_a_killed_controller_shared_is_removed(site: Any, connect: Any) -> None:
    controller, engines = site.start_cluster(1)
    rc = connect()
    rc.wait_for_engines(1, timeout=10)
    directory = directory_of(rc)
    held = rc[0].apply_async(lambda x: __import__("time").sleep(60), np.zeros(N))
    assert lying_about(rc), "the task's argument is needed while it runs"
    controller.kill()
    with pytest.raises(ipp.ControllerLost):
        held.get(timeout=10)
    engines.wait()
    assert not directory.exists()


def test_pushing_again_does_not_change_what_an_engine_holds(client: Any) -> None:
    view = client[:]
    a = np.zeros(N)
    for i in range(8):
        a[:] = i
        view.push({f"v{i}": a}, block=True)
        wait_until(lambda: lying_about(client) == [])  # so that only the engines have it
    for held in view.pull([f"v{i}" for i in range(8)], block=True):
        assert [(b == i).all() for i, b in enumerate(held)] == [True] * 8


def test_pushing_to_one_name_writes_to_segments_that_nobody_has_any_more(client: Any) -> None:
    a = np.zeros(N)
    inodes = []
    for i in range(6):
        a[:] = i
        client[:].push({"again": a}, block=True)
        wait_until(lambda: lying_about(client) == [])  # they are free once they have no name
        let_records_go(client)
        inodes.append(newest_kept(client))
        assert client[:].apply_sync(lambda: float(again.sum())) == [float(i * N)] * 2  # noqa: F821
    assert len(set(inodes)) < len(inodes)


def let_records_go(rc: ipp.Client) -> None:
    """Let the hub forget what it keeps, so that segments are free again."""
    rc.purge_hub_results("all")
    wait_until(lambda: os.listdir(directory_of(rc) / KEPT) == [])


def test_what_the_records_keep_is_not_written_again(client: Any) -> None:
    a = np.zeros(N)
    calls = []
    for i in range(5):
        a[:] = i
        calls.append(client.load_balanced_view().apply_async(np.mean, a))
        assert calls[-1].get() == i
        wait_until(lambda: lying_about(client) == [])
    again = client.resubmit([call.msg_ids[0] for call in calls])
    assert again.get() == [0.0, 1.0, 2.0, 3.0, 4.0]


def newest_kept(rc: ipp.Client) -> int:
    return os.stat(rc._io._delivery.segments.pool._kept[-1].path).st_ino


def test_what_a_killed_engine_held_may_be_written_again(own_cluster: Any, own_client: Any) -> None:
    a = np.ones(N)
    own_client[:].push({"held": a}, block=True)
    wait_until(lambda: lying_about(own_client) == [])
    let_records_go(own_client)
    kept = own_client._io._delivery.segments.pool._kept[0]
    assert kept.lock() is None
    victim, _ = own_client[:].apply_sync(os.getpid)
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: len(own_client.ids) == 1)
    assert kept.lock() is None  # the other one holds it too
    a[:] = 2.0
    own_client[:].push({"more": a}, block=True)
    assert own_client[:].apply_sync(lambda: float(held.sum())) == [float(N)]  # noqa: F821
    own_client[:].execute("del held", block=True)
    wait_until(lambda: is_free(kept))


def is_free(kept: Any) -> bool:
    descriptor = kept.lock()
    if descriptor is not None:
        os.close(descriptor)
    return descriptor is not None


def test_what_a_killed_client_kept_is_removed(own_cluster: Any, own_client: Any) -> None:
    code = textwrap.dedent(
        f"""
        import os, signal
        import numpy as np
        import hippodrome as ipp
        rc = ipp.Client({str(own_cluster.client_file)!r})
        rc.wait_for_engines(2)
        rc[:].push({{"a": np.zeros({N})}}, block=True)
        assert len(rc._io._delivery.segments.pool._kept) == 1
        os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    killed = own_cluster.python("-c", code)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    wait_until(lambda: pools_in(own_client) == [])  # once it is known to be gone


def test_a_client_that_is_closed_keeps_nothing(own_cluster: Any, own_client: Any) -> None:
    with ipp.Client(own_cluster.client_file) as rc:
        rc[:].push({"a": np.zeros(N)}, block=True)
        assert len(pools_in(own_client)) == 1
    assert pools_in(own_client) == []


def pools_in(rc: ipp.Client) -> list[str]:
    return [name for name in os.listdir(directory_of(rc)) if name.startswith(".pool")]
