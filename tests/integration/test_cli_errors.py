"""What the programs say and return when something is wrong, as real processes."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import islice

import pytest

import hippodrome
from support.processes import Site, program


def assert_one_sentence(ended: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    """Check that a program ended with *code* and one line on stderr that has all *words*."""
    assert ended.returncode == code, ended.stderr
    assert "Traceback" not in ended.stderr
    for word in words:
        assert word in ended.stderr


@pytest.mark.parametrize(
    ("command", "hint"),
    [
        (["ipcontroller", "--hwn=4"], "did you mean --hwm?"),
        (["ipcontroller", "--TaskScheduler.hmw=4"], "did you mean --TaskScheduler.hwm?"),
        (["ipcontroller", "--hwm=lots"], "hwm"),
        (["ipengine", "--fiel=x"], "did you mean --file?"),
        (["ipcluster", "start", "--demonize"], "did you mean --daemonize?"),
        (["ipcluster", "statr"], "did you mean start?"),
    ],
)
def test_a_wrong_option_is_exit_code_2_and_a_hint(
    site: Site, command: list[str], hint: str
) -> None:
    ended = site.run(*command)
    assert_one_sentence(ended, 2, hint)
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.parametrize("program", ["ipcontroller", "ipengine", "ipcluster", "hippodrome"])
def test_help_and_version_need_nothing(site: Site, program: str) -> None:
    assert "--help" in site.run(program, "--help").stdout
    assert site.run(program, "--version").stdout.startswith(f"{program} ")
    assert hippodrome.__version__ in site.run(program, "--version").stdout
    assert not site.ipython_dir.exists()


def test_help_is_found_in_each_way_that_people_look_for_it(site: Site) -> None:
    whole = site.run("ipcluster", "--help-all").stdout
    for name in ("start", "stop", "engines", "list", "clean"):
        one = site.run("ipcluster", "help", name).stdout
        assert one.startswith(f"usage: ipcluster {name} ")
        assert one == site.run("ipcluster", name, "--help").stdout
        assert one in whole
    assert site.run("hippodrome", "help", "stop").stdout.startswith("usage: hippodrome stop ")


@pytest.mark.parametrize("level", ["10", "debug", "WARN", "35", "CRITICAL", "100"])
def test_levels_of_logging_have_names_and_numbers(site: Site, level: str) -> None:
    ended = site.run("ipcluster", "stop", f"--log-level={level}")
    assert_one_sentence(ended, 11, "there is no cluster")


def test_a_profile_that_is_made_for_a_mistyped_name_is_not_made_in_silence(site: Site) -> None:
    begun = site.run("ipcluster", "start", "-n", "1", "--daemonize", "--profile=wrok")
    assert "there was no profile 'wrok': made" in begun.stderr
    again = site.run("ipcluster", "stop", "--profile=wrok")
    assert again.returncode == 0
    assert "no profile" not in again.stderr


def test_a_start_says_how_to_go_on(site: Site) -> None:
    begun = site.run("ipcluster", "start", "-n", "1", "--daemonize", "--cluster-id=a")
    assert begun.stdout.startswith("the cluster is ready: 1 engine; clients use ")
    assert "Engines appear to have started successfully\n" in begun.stderr
    last = begun.stderr.splitlines()[-1]
    assert last == "connect: hippodrome.Client(cluster_id='a'); stop: ipcluster stop --cluster-id=a"
    assert site.run("ipcluster", "stop", "--cluster-id=a").stdout == "stopped 1 cluster\n"


def test_a_second_controller_is_refused(site: Site) -> None:
    site.start("ipcontroller")
    assert_one_sentence(site.run("ipcontroller"), 10, "runs already", "--cluster-id")
    assert_one_sentence(site.run("ipcluster", "start"), 10, "runs already")


def test_of_several_controllers_started_together_one_stays(site: Site) -> None:
    command, kept = [program("ipcontroller")], []
    try:
        for _ in range(4):
            kept.append(subprocess.Popen(command, env=site.environment(), stderr=subprocess.PIPE))
        with ThreadPoolExecutor(len(kept)) as threads:
            ends = [threads.submit(one.wait) for one in kept]
            codes = [end.result() for end in islice(as_completed(ends, timeout=30), len(kept) - 1)]
            (stays,) = (one for one in kept if one.poll() is None)
            assert json.loads(site.client_file.read_text())["pid"] == stays.pid
            stays.terminate()
    finally:
        for one in kept:
            one.terminate()
            one.communicate()
    assert codes == [10] * 3


def test_a_controller_whose_terminal_is_closed_leaves_nothing(site: Site) -> None:
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        pytest.skip("under nohup, which programs that these tests start heed")
    with subprocess.Popen(
        [program("ipcontroller"), "--IPController.ready_fd=1"],
        env=site.environment(),
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as controller:
        assert controller.stdout is not None
        assert controller.stdout.readline() == "ready\n"
        os.killpg(controller.pid, signal.SIGHUP)
        _, said = controller.communicate(timeout=10)
    assert controller.returncode == 0, said
    assert "stopping" in said
    assert list(site.security_dir.iterdir()) == []


def test_a_connection_file_that_cannot_be_written_is_one_line(site: Site) -> None:
    site.security_dir.mkdir(mode=0o700, parents=True)
    site.client_file.mkdir()
    ended = site.run("ipcontroller")
    assert_one_sentence(ended, 1, "cannot write the connection file")
    assert len(ended.stderr.splitlines()) == 1


def test_two_clusters_of_one_profile_have_ids(site: Site) -> None:
    site.start("ipcontroller")
    site.start("ipcontroller", "--cluster-id=two")
    site.start("ipengine", "--cluster-id=two")
    shown = site.python("-c", "import hippodrome; print(hippodrome.Client(cluster_id='two').ids)")
    assert shown.stdout == "[0]\n", shown.stderr


def test_a_stale_file_is_replaced(site: Site) -> None:
    first = site.start("ipcontroller")
    text = site.client_file.read_text()
    first.stop()
    for role in ("client", "engine"):
        path = site.security_dir / f"ipcontroller-{role}.json"
        path.write_text(text.replace('"client"', f'"{role}"'))
        path.chmod(0o600)
    assert_one_sentence(site.run("ipengine", "--IPEngine.wait_for_url_file=0"), 1, "stale")
    shown = site.python("-c", "import hippodrome; hippodrome.Client()")
    assert "is stale" in shown.stderr.splitlines()[-1]
    site.start("ipcontroller")
    assert site.client_file.read_text() != text


def test_files_are_private_whatever_the_umask(site: Site) -> None:
    old_umask = os.umask(0)
    try:
        site.start("ipcontroller", "--ip=127.0.0.1")
    finally:
        os.umask(old_umask)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in site.security_dir.iterdir()}
    assert modes == {"ipcontroller-client.json": 0o600, "ipcontroller-engine.json": 0o600}
    assert stat.S_IMODE(site.security_dir.stat().st_mode) == 0o700
    sockets = site.runtime_dir / "hippodrome"
    for directory in (sockets, *sockets.iterdir()):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_an_engine_without_a_controller_says_so(site: Site) -> None:
    ended = site.run("ipengine", "--IPEngine.wait_for_url_file=0")
    assert_one_sentence(ended, 1, "no connection file", "start ipcontroller")


def test_an_engine_refuses_a_file_that_others_can_read(site: Site) -> None:
    site.start("ipcontroller")
    path = site.security_dir / "ipcontroller-engine.json"
    path.chmod(0o644)
    assert_one_sentence(site.run("ipengine"), 1, "chmod 600")


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--ip=192.0.2.1"], 1, ["192.0.2.1", "--ip"]),
        (["--profile-dir=/proc/nothing"], 1, ["cannot write to the profile", "--profile-dir"]),
        (["--work-dir=/no/such"], 2, ["--work-dir"]),
        (["--profile=a/b"], 2, ["a/b", "--profile-dir"]),
    ],
)
def test_what_a_user_can_put_right_is_a_sentence(
    site: Site, options: list[str], code: int, words: list[str]
) -> None:
    assert_one_sentence(site.run("ipcontroller", *options), code, *words)
    assert not list((site.runtime_dir / "hippodrome").glob("*"))


def test_a_port_in_use_is_a_sentence(site: Site) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        ended = site.run("ipcontroller", "--ip=127.0.0.1", f"--port={port}")
    assert_one_sentence(ended, 1, f"port {port} is in use", "--port")


def test_no_secret_is_in_arguments_or_logs(site: Site) -> None:
    started = [
        site.start("ipcontroller", "--ip=127.0.0.1", "--debug"),
        site.start("ipengine", "--debug"),
    ]
    secrets = [
        json.loads((site.security_dir / f"ipcontroller-{role}.json").read_text())["secret_key"]
        for role in ("client", "engine")
    ]
    import psutil

    for process in started:
        for one in [psutil.Process(process.pid), *psutil.Process(process.pid).children(True)]:
            shown = " ".join(one.cmdline()) + " ".join(one.environ().values())
            assert not any(secret in shown for secret in secrets)
        assert not any(secret in process.log for secret in secrets)


def test_an_engine_over_tcp_with_a_url(site: Site) -> None:
    site.start("ipcontroller", "--ip=127.0.0.1")
    path = site.security_dir / "ipcontroller-engine.json"
    [url] = [a for a in json.loads(path.read_text())["addresses"] if a.startswith("tcp://")]
    site.start("ipengine", f"--url={url}")
    shown = site.python("-c", "import hippodrome; print(hippodrome.Client().ids)")
    assert shown.stdout == "[0]\n", shown.stderr


def test_a_wrong_url_is_an_error_of_the_file_that_was_meant(site: Site) -> None:
    site.start("ipcontroller", "--ip=127.0.0.1")
    ended = site.run("ipengine", "--url=tcp://127.0.0.1:1", "--IPEngine.wait_for_url_file=0")
    assert ended.returncode == 1
    assert f"{site.security_dir / 'ipcontroller-engine.json'} is stale" in ended.stderr
    assert "(tcp://127.0.0.1:1: Connection refused)" in ended.stderr


def test_a_clients_key_is_no_engines_key(site: Site) -> None:
    site.start("ipcontroller", "--ip=127.0.0.1")
    content = json.loads(site.client_file.read_text())
    content["addresses"] = [a for a in content["addresses"] if a.startswith("tcp://")]
    path = site.directory / "wrong.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps(content))
    ended = site.run("ipengine", f"--file={path}")
    assert ended.returncode not in (0, None)
    assert "Traceback" not in ended.stderr


def test_what_engines_execute_first(site: Site) -> None:
    script = site.directory / "startup.py"
    script.write_text("a = 20\n")
    site.start("ipcontroller")
    site.start("ipengine", "-s", str(script), "-c", "b = a + 1")
    shown = site.python("-c", "import hippodrome; print(hippodrome.Client()[0]['b'])")
    assert shown.stdout == "21\n", shown.stderr


def test_ctrl_c_stops_engines_and_controller(site: Site) -> None:
    controller, engines = site.start_cluster(2)
    assert engines.stop() == 0
    assert controller.stop() == 0
    assert list(site.security_dir.iterdir()) == []
    assert list((site.runtime_dir / "hippodrome").iterdir()) == []


def test_a_controller_that_is_terminated_ends_in_order(site: Site) -> None:
    controller = site.start("ipcontroller")
    controller.popen.send_signal(signal.SIGTERM)
    assert controller.wait() == 0
    assert list(site.security_dir.iterdir()) == []
