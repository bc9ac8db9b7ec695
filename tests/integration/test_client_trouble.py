"""What a client does when things go wrong: one clear error, and never a hang."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

import hippodrome as ipp
from hippodrome import paths
from hippodrome.client.link.events import Ticked
from hippodrome.security import connection_file
from hippodrome.segments import files as segments
from support import tasks
from support.leaks import wait_until


def test_who_sends_a_client_is_told_what_to_do(client: Any) -> None:
    view = client.load_balanced_view()
    for call in (lambda: client.ids, lambda: view.targets):
        with pytest.raises(ipp.RemoteError, match="it stayed in the program that made it"):
            view.apply_sync(call)
    with pytest.raises(ipp.SerializationError, match="AsyncResult"):
        view.apply_async(view.apply_async(len, "").get)
    with pytest.raises(TypeError, match="make one where you need it"):
        pickle.dumps(client)


def test_no_connection_file_is_one_clear_error_within_the_timeout(site: Any) -> None:
    started = time.monotonic()
    with pytest.raises(ipp.ConnectionFileError, match=r"ipcontroller-client\.json"):
        ipp.Client(timeout=0.3)
    assert time.monotonic() - started < 3
    with pytest.raises(OSError, match="nowhere"):
        ipp.Client("/nowhere/at-all.json", timeout=0.1)


def test_a_file_that_others_can_read_is_refused(cluster: Any, tmp_path: Path) -> None:
    copy = tmp_path / "copy.json"
    copy.write_text(cluster.client_file.read_text())
    copy.chmod(0o644)
    with pytest.raises(ipp.ConnectionFileError, match="others"):
        ipp.Client(str(copy))


def test_all_ways_to_name_the_file_lead_there(cluster: Any) -> None:
    import json

    path = str(cluster.client_file)
    options: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
        ((), {}),
        ((path,), {}),
        ((), {"url_file": path}),
        ((json.loads(cluster.client_file.read_text()),), {}),
        ((), {"profile": "default"}),
        ((), {"profile_dir": str(cluster.security_dir.parent)}),
    ]
    for args, kwargs in options:
        with ipp.Client(*args, **kwargs) as rc:
            rc.wait_for_engines(2, timeout=10)
            assert rc.ids == [0, 1]


def test_wrong_arguments_are_told(cluster: Any) -> None:
    with pytest.raises(TypeError, match="did you mean 'timeout'"):
        ipp.Client(time_out=3)
    with pytest.raises(ipp.error.ClusterError, match="no-such-host"):
        ipp.Client(sshserver="no-such-host.invalid")
    with pytest.raises(ValueError, match="connection file"):
        ipp.Client("tcp://127.0.0.1:5555")


def test_a_closed_client_says_so(cluster: Any) -> None:
    rc = ipp.Client()
    rc.wait_for_engines(2, timeout=10)
    view = rc.load_balanced_view()
    pending = view.apply_async(time.sleep, 0.2)
    rc.close()
    rc.close()
    with pytest.raises(ipp.ControllerLost, match="closed"):
        pending.get(timeout=5)
    with pytest.raises(ipp.ControllerLost, match="closed"):
        view.apply_async(abs, 1)
    with pytest.raises(ipp.ControllerLost, match="closed"):
        rc.queue_status()


def test_a_client_that_nobody_holds_any_more_closes_itself(cluster: Any) -> None:
    n_threads = threading.active_count()
    rc = ipp.Client()
    io = rc._io
    result = rc.load_balanced_view().apply_async(abs, -2)
    del rc
    assert result.get(timeout=10) == 2  # results keep their client alive
    del result
    io._thread.join(5)
    assert threading.active_count() == n_threads


def test_an_engine_that_dies_fails_its_tasks(own_client: Any) -> None:
    view = own_client[0]
    pid = view.apply_sync(os.getpid)
    ar = view.apply_async(time.sleep, 60)
    other = own_client[1].apply_async(abs, -1)
    assert other.get(timeout=10) == 1
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(ipp.EngineError, match=r"SIGKILL|signal 9"):
        ar.get(timeout=10)
    assert ar.metadata.engine_id == 0


def test_an_ordered_shutdown_ends_everything_at_once(site: Any, connect: Any) -> None:
    processes = site.start_cluster(2)
    rc = connect()
    rc.wait_for_engines(2, timeout=10)
    ar = rc[:].apply_async(time.sleep, 60)
    for process in processes:
        process.is_death_wanted = True
    started = time.monotonic()
    rc.shutdown(hub=True)
    with pytest.raises(ipp.ControllerLost):
        ar.get(timeout=5)
    assert time.monotonic() - started < 3
    with pytest.raises(ipp.ControllerLost):
        rc[:].apply_async(abs, 1)
    for process in processes:
        process.wait()


@pytest.mark.parametrize("asked", [["scheduler"], ["scheduler", "hub"], ["hub", "scheduler"]])
def test_a_controller_whose_processes_are_asked_to_stop_says_good_bye(
    asked: list[str], site: Any, connect: Callable[..., Any]
) -> None:
    controller, engines = site.start_cluster(1)
    rc = connect()
    rc.wait_for_engines(1, timeout=10)
    ar = rc[:].apply_async(time.sleep, 60)
    controller.is_death_wanted = engines.is_death_wanted = True
    hub = psutil.Process(controller.pid)
    (scheduler,) = hub.children(recursive=True)
    for name in asked:  # as a service manager does, who knows all processes of a service
        {"hub": hub, "scheduler": scheduler}[name].terminate()
    with pytest.raises(ipp.ControllerLost, match="the controller was stopped"):
        ar.get(timeout=10)
    assert engines.wait() == 0
    assert "said good-bye" in engines.log
    assert controller.wait() == 0
    assert not site.client_file.exists()


def test_engines_can_be_shut_down_alone(site: Any, connect: Any) -> None:
    site.start_cluster(2)
    rc = connect()
    rc.wait_for_engines(2, timeout=10)
    rc.shutdown([0], block=True)
    deadline = time.monotonic() + 10
    while rc.ids != [1] and time.monotonic() < deadline:
        rc.queue_status()
    assert rc.ids == [1]
    with pytest.raises(IndexError, match="there are 1"):
        rc[0]


def test_a_dying_hub_ends_everything_at_once(site: Any, connect: Callable[..., Any]) -> None:
    controller, engines = site.start_cluster(2)
    rc = connect()
    rc.wait_for_engines(2, timeout=10)
    ar = rc[:].apply_async(time.sleep, 60)
    engines.is_death_wanted = True
    controller.kill()
    with pytest.raises(ipp.ControllerLost, match="hub process died"):
        ar.get(timeout=15)
    engines.wait()


def test_a_controller_that_was_killed_is_not_waited_for(
    site: Any, connect: Callable[..., Any]
) -> None:
    controller = site.start("ipcontroller")
    rc = connect()
    ar = rc.load_balanced_view().apply_async(abs, 1)
    started = time.monotonic()
    hub = psutil.Process(controller.pid)
    (scheduler,) = hub.children(recursive=True)
    hub.suspend()  # so that neither of the two can say good-bye for the other
    scheduler.kill()
    controller.kill()
    with pytest.raises(ipp.ControllerLost, match="has ended without a good-bye"):
        ar.get(timeout=15)
    assert time.monotonic() - started < 2
    with pytest.raises(ipp.ControllerLost, match="has ended without a good-bye"):
        rc.load_balanced_view().apply_async(abs, 1)
    # Both processes were killed, so that nobody was left to do this.
    paths.remove_socket_dirs(connection_file.read(site.client_file).addresses)
    segments.sweep()


def test_an_engine_that_is_stopped_is_given_up_and_comes_back_with_its_id(
    site: Any, connect: Callable[..., Any]
) -> None:
    site.start("ipcontroller", "--ping=200", "--patience=4")  # suspected after 1 s
    site.start("ipengine", "-n", "2")
    rc = connect()
    rc.wait_for_engines(2, timeout=10)
    frozen = psutil.Process(rc[0].apply_sync(os.getpid))
    held = rc[0].apply_async(time.sleep, 30)
    frozen.suspend()
    with pytest.raises(ipp.EngineError, match="stopped for too long"):
        held.get(timeout=15)
    wait_until(lambda: rc.ids == [1])  # news of members come over the other channel
    assert rc.load_balanced_view().map_sync(abs, range(-3, 0)) == [3, 2, 1]
    frozen.resume()
    rc.wait_for_engines(2, timeout=10)
    frozen.send_signal(signal.SIGINT)  # it still sleeps
    assert rc[0].apply_sync(os.getpid) == frozen.pid


def test_a_controller_that_is_heard_again_can_be_used_again(
    site: Any, connect: Callable[..., Any]
) -> None:
    controller = site.start("ipcontroller")
    rc = connect(patience=1)
    view = rc.load_balanced_view()
    ar = view.apply_async(abs, 1)
    (scheduler,) = psutil.Process(controller.pid).children(recursive=True)
    scheduler.suspend()
    with pytest.raises(ipp.ControllerLost):
        ar.get(timeout=15)
    scheduler.resume()
    site.start("ipengine")
    rc.wait_for_engines(1, timeout=10)
    assert view.apply_sync(abs, -3) == 3


def test_waiting_for_engines_that_do_not_come_tells_how_many_there_are(client: Any) -> None:
    with pytest.raises(TimeoutError, match="2 of 3 engines"):
        client.wait_for_engines(3, timeout=0.2)
    assert client.wait_for_engines(2, block=False).result(timeout=5) is None
    assert client.wait_for_engines() is None


def test_a_client_without_engines_says_so_once(
    site: Any, connect: Any, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hippodrome.client.link.presence.NOTICE_AFTER_S", 0.2)
    site.start("ipcontroller")
    rc = connect()
    assert rc.ids == []
    with pytest.raises(ipp.NoEnginesRegistered, match="ipengine"):
        rc[:].apply_async(abs, 1)
    ars = rc.load_balanced_view().map_async(abs, range(3))
    for _ in range(2):
        with pytest.raises(TimeoutError):
            ars.get(timeout=0.5)
    told = capsys.readouterr().err
    assert told == "0 engines; 3 tasks wait; start some with ipengine or ipcluster\n"
    rc.abort()


def test_an_io_thread_that_dies_fails_everything(cluster: Any, caplog: Any) -> None:
    with ipp.Client() as rc:
        rc.wait_for_engines(2, timeout=10)
        ar = rc[:].apply_async(time.sleep, 0.5)
        question = rc._io.ask("queue_status")
        rc._io._core._handlers[Ticked] = lambda event: 1 // 0
        with pytest.raises(ipp.ControllerLost, match="ZeroDivisionError"):
            ar.get(timeout=5)
        with pytest.raises(ipp.ControllerLost, match="ZeroDivisionError"):
            rc[:].apply_async(abs, 1)
        assert question.done()


def test_a_forked_child_is_told_to_make_its_own_client(client: Any) -> None:
    ar = client[0].apply_async(abs, -5)
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:  # the child: whatever happens, it must not return into pytest
        said = "nothing"
        try:
            client[0].apply_async(abs, 1)
        except ipp.ClusterError as error:
            said = str(error)
        finally:
            os.write(write, said.encode())
            os._exit(0)
    os.close(write)
    os.waitpid(pid, 0)
    with os.fdopen(read) as pipe:
        assert "forked" in pipe.read()
    assert ar.get(timeout=10) == 5


def test_an_interrupt_leaves_the_client_usable(
    client: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    view, gate = client.load_balanced_view(), str(tmp_path / "gate")
    os.mkfifo(gate)
    wait_on = client._io.wait_on

    def wait_interrupted(condition: threading.Condition, timeout: float | None) -> None:
        monkeypatch.undo()
        threading.Thread(target=os.kill, args=(os.getpid(), signal.SIGINT)).start()
        wait_on(condition, timeout)

    monkeypatch.setattr(client._io, "wait_on", wait_interrupted)
    ar = view.apply_async(lambda path: Path(path).read_text(), gate)
    with pytest.raises(KeyboardInterrupt):
        ar.get()
    tasks.let_go(gate)
    assert ar.get(timeout=10) == "gone on"
    assert view.apply_sync(abs, -1) == 1


def test_a_program_that_does_not_close_its_client_ends_quietly(cluster: Any) -> None:
    code = (
        "import hippodrome as ipp, time\n"
        "rc = ipp.Client()\n"
        "rc.wait_for_engines(2, timeout=10)\n"
        "ar = rc.load_balanced_view().apply_async(time.sleep, 0.1)\n"
        "print(rc[:].apply_sync(abs, -1))\n"
    )
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=20
    )
    assert done.stdout == "[1, 1]\n"
    assert done.stderr == ""
    assert time.monotonic() - started < 10


def test_a_result_that_cannot_be_unpickled_here_is_an_error(client: Any) -> None:
    view = client[0]
    view.execute(
        "import sys, types\n"
        "module = types.ModuleType('only_there')\n"
        "exec('class Thing: pass', module.__dict__)\n"
        "module.Thing.__module__ = 'only_there'\n"
        "sys.modules['only_there'] = module\n"
        "thing = module.Thing()",
        block=True,
    )
    with pytest.raises(ipp.RemoteError, match="only_there"):
        view.pull("thing", block=True)
    assert view.apply_sync(abs, -1) == 1
