"""Clusters over HTTP, asked of a real Jupyter server."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import secrets
import socket
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import psutil
import pytest

import hippodrome as ipp
from support.leaks import wait_until
from support.processes import Process, Site

pytest.importorskip("jupyter_server", reason="jupyter_server is not installed")

# A Jupyter server loads some hundred modules first, which takes a while beside other work.
pytestmark = pytest.mark.timeout(120)
START_TIMEOUT_S: Final = 60.0
CONFIGURATION: Final = Path(__file__).parents[2] / "etc" / "jupyter"
CLUSTERS: Final = "/ipyparallel/clusters"
TOKEN: Final = secrets.token_hex()
WITH_TOKEN: Final = {"Authorization": f"token {TOKEN}"}

Answer = tuple[int, Any]


class Server(Process):
    """A Jupyter server that the shipped configuration file has told of the extension."""

    def __init__(self, site: Site) -> None:
        directory = site.directory / "home"
        directory.mkdir(exist_ok=True)
        (site.runtime_dir / "hippodrome").mkdir(mode=0o700)  # which the first cluster leaves
        mine = {
            "HOME": str(directory),
            "JUPYTER_TOKEN": TOKEN,
            "JUPYTER_CONFIG_PATH": str(CONFIGURATION),
        }
        theirs = {k: v for k, v in site.environment().items() if not k.startswith("JUPYTER")}
        options = ["--no-browser", "--allow-root", "--ip=127.0.0.1", "--port=0"]
        command = [sys.executable, "-m", "jupyter_server", *options, f"--notebook-dir={directory}"]
        super().__init__(command, {**theirs, **mine}, "http://127.0.0.1:")

    def wait_ready(self, timeout_s: float = START_TIMEOUT_S) -> None:
        super().wait_ready(timeout_s)
        found = re.search(r"http://127\.0\.0\.1:(\d+)/", self.log)
        assert found
        self.port = int(found[1])
        wait_until(self._listens)  # it says where before it does

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def ask(
        self,
        method: str,
        path: str = CLUSTERS,
        body: Any = None,
        headers: dict[str, str] = WITH_TOKEN,
    ) -> Answer:
        """Return the status and what the JSON of the answer says, None for an empty one."""
        status, _, text = self.exchange(method, path, body, headers)
        assert "Traceback" not in text
        return status, json.loads(text) if text else None

    def exchange(
        self, method: str, path: str, body: Any, headers: dict[str, str]
    ) -> tuple[int, http.client.HTTPMessage, str]:
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(connection):
            connection.request(method, path, data, headers)
            with connection.getresponse() as response:
                return response.status, response.headers, response.read().decode()

    def named(self, clusters: str = CLUSTERS) -> list[Any]:
        """Return all clusters but the default one, which is there with its profile."""
        status, found = self.ask("GET", clusters)
        assert status == 200
        return [one for one in found if one["cluster"]["cluster_id"]]

    def create(self, **options: Any) -> str:
        """Make a cluster and return its path."""
        status, cluster = self.ask("POST", body=options)
        assert status == 200, cluster
        return f"{CLUSTERS}/{cluster['id']}"

    def family(self) -> list[psutil.Process]:
        """Return what runs below it, but for what JupyterLab asks where its own programs are."""
        family = alive(psutil.Process(self.pid).children(recursive=True))
        return [process for process in family if name_of(process) not in {"npm", "node"}]


def name_of(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.name()
    return ""


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Leave out what has ended, though nobody may have waited for it yet."""
    found = []
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


@contextlib.contextmanager
def serving(site: Site) -> Iterator[Server]:
    server = Server(site)
    try:
        server.wait_ready()
        yield server
    finally:
        if server.popen.poll() is None:
            server.popen.terminate()
        assert server.wait(20) in {0, -9}, server.log


@pytest.fixture(scope="module")
def server(module_site: Site) -> Iterator[Server]:
    """One server for the tests of this module: remove what you make."""
    with serving(module_site) as server:
        yield server


@pytest.fixture
def own_server(site: Site) -> Iterator[Server]:
    with serving(site) as server:
        yield server


@pytest.fixture
def path(server: Server) -> Iterator[str]:
    """The path of a cluster of one engine, which does not run yet."""
    path = server.create(cluster_id="one", n=1)
    yield path
    server.ask("DELETE", path)


@pytest.fixture
def cookies(server: Server) -> dict[str, str]:
    """What a browser sends that has logged in."""
    status, headers, _ = server.exchange("GET", f"/api/status?token={TOKEN}", None, {})
    assert status == 200
    return {"Cookie": headers["Set-Cookie"].partition(";")[0]}


def controllers(server: Server) -> int:
    children = alive(psutil.Process(server.pid).children())
    return sum("ipcontroller" in " ".join(process.cmdline()) for process in children)


@pytest.mark.parametrize("prefix", ["/ipyparallel", "/hippodrome"])
def test_a_cluster_is_made_started_used_and_removed(server: Server, prefix: str) -> None:
    clusters = f"{prefix}/clusters"
    directory = Path(os.environ["IPYTHONDIR"], "profile_default")
    cluster_file = directory / "security" / "cluster-mine.json"
    status, known = server.ask("POST", clusters, {"cluster_id": "mine", "n": 2})
    assert (status, known["id"], known["cluster"]["n"]) == (200, "default:mine", 2)
    assert "controller" not in known
    assert server.named(clusters) == [known]
    status, running = server.ask("POST", f"{clusters}/default:mine", {"n": 3})
    assert status == 200
    assert {**running, "engines": known["engines"]} == {
        **known,
        "engines": known["engines"],
        "controller": running["controller"],
    }
    assert running["cluster_file"] == str(cluster_file)
    assert running["controller"]["state"]["state"] == "running"
    assert psutil.pid_exists(running["controller"]["state"]["pid"])
    assert running["engines"]["n"] == running["engines"]["sets"]["0"]["n"] == 3
    assert server.ask("GET", f"{clusters}/default%3Amine") == (200, running)
    assert server.named(clusters) == [running]
    with ipp.Client(profile="default", cluster_id="mine") as rc:
        assert rc[:].apply_sync(pow, 2, 3) == [8, 8, 8]
    assert server.ask("DELETE", f"{clusters}/default:mine") == (204, None)
    assert server.ask("GET", f"{clusters}/default:mine")[0] == 404
    assert not server.named(clusters)
    assert not cluster_file.exists()
    assert not server.family()


# What ipyparallel 9.2 answers, as kinds of values; that of engines in sets, of which each has a
# process of its own there, and of what it writes where, aside.
STOPPED: Final = {
    "cluster": {
        "class": "str", "cluster_id": "str", "controller_args": [], "controller_ip": "str",
        "controller_location": "str", "delay": "float", "n": "int", "profile": "str",
        "profile_dir": "str",
    },
    "engines": {"class": "str", "sets": {}, "n": "int"},
    "id": "str",
    "cluster_file": "str",
}  # fmt: skip
PROCESS: Final = {"cluster_id": "str", "pid": "int", "profile_dir": "str", "state": "str"}
RUNNING: Final = STOPPED | {
    "controller": {"class": "str", "state": PROCESS},
    "engines": {"class": "str", "sets": {"0": {**PROCESS, "n": "int"}}, "n": "int"},
}
REFUSED: Final = {"message": "str", "reason": "NoneType"}


def kinds(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: kinds(each) for key, each in value.items()}
    return list(map(kinds, value)) if isinstance(value, list) else type(value).__name__


def test_answers_are_of_the_form_that_panels_for_ipyparallel_read(server: Server) -> None:
    path = f"{CLUSTERS}/default:panel"
    default = {"n": 1, "profile": "default", "cluster_id": "panel"}
    exchanges: list[tuple[str, str, Any, int, Any]] = [
        ("POST", CLUSTERS, default, 200, STOPPED),
        ("GET", CLUSTERS, None, 200, [STOPPED]),
        ("GET", path, None, 200, STOPPED),
        ("POST", path, {"n": 1}, 200, RUNNING),
        ("GET", CLUSTERS, None, 200, [RUNNING]),
        ("GET", path, None, 200, RUNNING),
        ("DELETE", path, None, 204, "NoneType"),
        ("GET", path, None, 404, REFUSED),
        ("POST", path, {}, 404, REFUSED),
        ("DELETE", path, None, 404, REFUSED),
        ("PATCH", path, {}, 405, REFUSED),
        ("POST", CLUSTERS, {"n": None, "profile": None, "cluster_id": ""}, 200, STOPPED),
    ]
    for method, where, body, status, form in exchanges:
        answer = server.ask(method, where, body)
        if where == CLUSTERS and method == "GET":
            assert all("controller" not in one for one in answer[1][1:]), "what runs is the first"
            answer = answer[0], server.named()
        assert (answer[0], kinds(answer[1])) == (status, form), (method, where)
    made = answer[1]["cluster"]["cluster_id"]
    assert made, "a new id, as that of the default cluster is there anyway"
    assert server.ask("DELETE", f"{CLUSTERS}/default:{made}")[0] == 204


def test_each_profile_has_a_default_cluster_to_be_started(server: Server) -> None:
    Path(os.environ["IPYTHONDIR"], "profile_default", "security").mkdir(0o700, True, True)
    assert "default:" in [one["id"] for one in server.ask("GET")[1]]
    status, cluster = server.ask("POST", f"{CLUSTERS}/default:", {"n": 1})
    assert (status, cluster["cluster"]["cluster_id"]) == (200, "")
    assert cluster["controller"]["state"]["state"] == "running"
    assert server.ask("DELETE", f"{CLUSTERS}/default:")[0] == 204


@pytest.mark.parametrize("headers", [{}, {"Authorization": "token wrong"}, {"Host": "evil.test"}])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_who_has_no_token_or_another_host_learns_and_changes_nothing(
    server: Server, path: str, method: str, headers: dict[str, str]
) -> None:
    if "Host" in headers:
        headers = headers | WITH_TOKEN
    assert server.ask(method, path, headers=headers)[0] == 403
    if method != "DELETE":
        assert server.ask(method, headers=headers)[0] == 403
    assert server.ask("GET", path)[1].get("controller") is None


def test_another_origin_or_a_forged_form_is_refused(
    server: Server, path: str, cookies: dict[str, str]
) -> None:
    assert server.ask("GET", headers=cookies)[0] == 200
    for origin in ("http://evil.test", "null"):
        foreign = cookies | {"Origin": origin}
        assert server.ask("GET", headers=foreign)[0] == 404
        assert server.ask("POST", path, headers=foreign)[0] in {403, 404}
    for method in ("POST", "DELETE"):
        assert server.ask(method, path, headers=cookies)[0] == 403, "it has no XSRF token"
    paired = cookies | {"X-XSRFToken": "1234"}
    paired["Cookie"] += "; _xsrf=5678"
    assert server.ask("DELETE", path, headers=paired)[0] == 403
    assert server.ask("GET", path)[1].get("controller") is None


def test_what_is_no_request_is_refused_with_a_reason(server: Server, path: str) -> None:
    for body, complaint in [
        (b"{", "truncated"),
        ([], "object"),
        ({"n": "2"}, "$.n"),
        ({"n": 0}, ">= 1"),
        ({"m": 1}, "`m`"),
    ]:
        for where in (CLUSTERS, path):
            status, problem = server.ask("POST", where, body)
            assert status == 400, problem
            assert complaint in problem["message"]
    for options in ({"profile": ".."}, {"engines": "100%s"}):
        status, problem = server.ask("POST", body=options)
        assert status == 400
        assert repr(*options.values()) in problem["message"]
    assert [one["id"] for one in server.named()] == ["default:one"]


def test_an_unknown_key_or_method_is_refused(server: Server) -> None:
    for key in ("default:none", "none", "..%2F..", "%00", "%25s"):
        for method in ("GET", "POST", "DELETE"):
            assert server.ask(method, f"{CLUSTERS}/{key}")[0] == 404
    assert server.ask("PUT")[0] == 405
    assert server.ask("DELETE")[0] == 405


def test_a_second_cluster_of_the_name_and_a_second_start_are_refused(
    server: Server, path: str
) -> None:
    assert server.ask("POST", body={"cluster_id": "one"})[0] == 409
    assert server.ask("POST", path)[0] == 200
    status, problem = server.ask("POST", path)
    assert status == 409
    assert "runs already" in problem["message"]
    assert controllers(server) == 1


def test_starts_that_come_at_once_start_one_cluster(server: Server, path: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(server.ask, ["POST"] * 4, [path] * 4))
    assert sorted(status for status, _ in answers) == [200, 409, 409, 409]
    assert controllers(server) == 1
    assert server.ask("GET", path)[1]["engines"]["n"] == 1


def test_a_start_and_a_removal_at_once_leave_nothing_half_done(server: Server, path: str) -> None:
    with ThreadPoolExecutor(3) as pool:
        methods = ["POST", "DELETE", "DELETE"]
        answers = list(pool.map(server.ask, methods, [path] * 3))
    started, *removed = (status for status, _ in answers)
    assert started in {200, 404}
    assert sorted(removed) == [204, 404]
    assert not any("controller" in one for one in server.ask("GET")[1])
    assert not server.family()


def test_a_cluster_that_ended_by_itself_can_be_started_again(server: Server, path: str) -> None:
    server.ask("POST", path)
    with ipp.Client(cluster_id="one") as rc:
        rc.shutdown(hub=True, block=True)
    wait_until(lambda: not server.family())
    assert "controller" not in server.ask("GET", path)[1]
    status, cluster = server.ask("POST", path)
    assert status == 200, cluster
    assert list(cluster["engines"]["sets"]) == ["0"]


def test_a_cluster_that_was_started_elsewhere_is_known(server: Server) -> None:
    cluster = ipp.Cluster(cluster_id="elsewhere", n=1)
    cluster.start_cluster_sync()
    path = f"{CLUSTERS}/default:elsewhere"
    assert server.ask("GET", path)[1]["engines"]["n"] == 1
    assert server.ask("POST", path)[0] == 409
    assert server.ask("POST", body={"cluster_id": "elsewhere"})[0] == 409
    assert server.ask("DELETE", path) == (204, None)
    assert not cluster.has_processes
    assert server.ask("GET", path)[0] == 404
    cluster.stop_cluster_sync()


def test_a_start_that_fails_is_told_in_a_line_and_leaves_nothing(server: Server) -> None:
    path = server.create(profile="broken", n=1)
    profile = Path(os.environ["IPYTHONDIR"], "profile_broken")
    profile.mkdir()
    profile.joinpath("ipcontroller_config.py").write_text("1 / 0\n")
    status, problem = server.ask("POST", path)
    assert status == 500
    assert re.fullmatch(r"ipcontroller ended with exit code \d+, see .*", problem["message"][:-1])
    wait_until(lambda: "ZeroDivisionError" in server.log)
    assert not server.family()
    assert server.ask("DELETE", path) == (204, None)


@pytest.mark.parametrize("end", ["terminate", "kill"])
def test_clusters_end_with_the_server(own_server: Server, end: str) -> None:
    own_server.ask("POST", own_server.create(n=2))
    family = own_server.family()
    assert len(family) >= 4
    own_server.is_death_wanted = True
    getattr(own_server.popen, end)()
    own_server.wait(20)
    wait_until(lambda: not alive(family))


def test_a_server_that_is_told_to_end_during_a_start_leaves_nothing(own_server: Server) -> None:
    path = own_server.create(n=2)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(own_server.ask, "POST", path)
        wait_until(lambda: bool(own_server.family()))
        own_server.popen.terminate()
        own_server.wait(30)
        assert asked.exception() is not None or asked.result()[0] == 200


def test_a_cluster_that_is_to_go_on_does_so(own_server: Server) -> None:
    own_server.ask("POST", own_server.create(cluster_id="stays", n=1, shutdown_atexit=False))
    own_server.popen.terminate()
    own_server.wait(20)
    cluster = ipp.Cluster.from_file(cluster_id="stays")
    assert cluster.is_running
    with cluster.connect_client_sync() as rc:
        assert rc[:].apply_sync(abs, -1) == [1]
    cluster.stop_cluster_sync()
