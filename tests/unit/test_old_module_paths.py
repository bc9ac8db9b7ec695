"""Modules that users of ipyparallel import by path: they are there, and hold what is looked for."""

from __future__ import annotations

import logging
import marshal
import pickle
import socket
import subprocess
import sys
from importlib import import_module
from types import FunctionType, SimpleNamespace
from typing import Final

import numpy as np
import pytest
import zmq

import hippodrome as ipp
from hippodrome import util
from hippodrome.client.map import Map, RoundRobinMap, dists, mappable
from hippodrome.util import ensure_timezone, utcnow

SCHEDULER: Final = [
    "Job",
    "TaskScheduler",
    "launch_scheduler",
    "leastload",
    "lru",
    "plainrandom",
    "twobin",
    "weighted",
]
MODULES: Final = {
    "apps.ipclusterapp": ["launch_new_instance"],
    "apps.ipcontrollerapp": ["IPController", "launch_new_instance"],
    "apps.ipengineapp": ["IPEngine", "launch_new_instance"],
    "apps.launcher": ["LocalEngineSetLauncher", "find_launcher_class"],
    "client._joblib": ["IPythonParallelBackend"],
    "client.asyncresult": ["AsyncHubResult", "AsyncMapResult", "AsyncResult"],
    "client.client": ["Client", "ExecuteReply", "Metadata"],
    "client.futures": ["MessageFuture"],
    "client.magics": ["ParallelMagics", "exec_args", "output_args"],
    "client.map": ["Map", "RoundRobinMap", "dists", "mappable"],
    "client.remotefunction": [
        "ParallelFunction", "RemoteFunction", "getname", "parallel", "remote",
    ],
    "client.view": ["BroadcastView", "DirectView", "LoadBalancedView", "View", "ViewExecutor"],
    "cluster": ["Cluster", "ClusterManager", "clean_cluster_files"],
    "cluster.app": ["launch_new_instance", "main"],
    "cluster.cluster": ["Cluster", "ClusterManager", "clean_cluster_files"],
    "cluster.launcher": [
        "BaseLauncher", "LauncherError", "LocalControllerLauncher", "LocalEngineSetLauncher",
        "find_launcher_class",
    ],
    "controller": ["IPController", "Job", "TaskScheduler", "launch_scheduler"],
    "controller.app": ["IPController", "launch_new_instance", "main"],
    "controller.dependency": ["Dependency", "depend", "dependent", "require"],
    "controller.dictdb": ["DictDB"],
    "controller.heartmonitor": ["HeartMonitor"],
    "controller.sqlitedb": ["SQLiteDB"],
    "controller.scheduler": SCHEDULER,
    "controller.task_scheduler": SCHEDULER,
    "datapub": ["publish_data"],
    "engine.app": ["IPEngine", "launch_new_instance", "main"],
    "engine.log": ["EnginePUBHandler"],
    "error": ["CompositeError", "RemoteError", "UnmetDependency"],
    "serialize": ["can", "interactive", "Reference", "serialize_object", "uncan", "use_dill"],
    "serialize.canning": ["can", "can_map", "uncan", "uncan_map", "use_dill", "use_pickle"],
    "serialize.codeutil": ["code_ctor", "reduce_code"],
    "serialize.serialize": ["pack_apply_message", "serialize_object"],
    "nbextension": ["load_jupyter_server_extension"],
    "util": ["disambiguate_url", "interactive", "is_url", "split_url", "utcnow", "validate_url"],
}  # fmt: skip
UNIMPORTED: Final = [
    "client.client",
    "client.view",
    "cluster.launcher",
    "serialize.canning",
    "serialize.codeutil",
]
PROGRAMS: Final = ("cluster", "controller", "engine")


@pytest.mark.parametrize("module", UNIMPORTED)
def test_a_module_is_there_without_importing_it(module: str) -> None:
    code = f"import hippodrome; hippodrome.{module}.__name__"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


@pytest.mark.parametrize(("module", "names"), MODULES.items())
def test_a_module_has_the_names_that_are_looked_for(module: str, names: list[str]) -> None:
    code = f"from hippodrome.{module} import {', '.join(names)}"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)  # whatever comes first
    found = import_module(f"hippodrome.{module}")
    for name in names:
        assert getattr(found, name) is getattr(ipp, name, getattr(found, name))


def test_a_name_that_there_is_not_is_the_usual_error() -> None:
    with pytest.raises(AttributeError, match=r"'hippodrome\.controller' has no attribute 'Hub'"):
        import_module("hippodrome.controller").Hub
    with pytest.raises(ImportError):
        exec("from hippodrome.client.view import NoView")


@pytest.mark.parametrize("module", PROGRAMS)
def test_a_package_runs_as_its_program(module: str) -> None:
    command = [sys.executable, "-m", f"hippodrome.{module}", "--version"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    assert shown.stdout.strip() == f"ip{module} (hippodrome) {ipp.__version__}"


@pytest.mark.parametrize("module", PROGRAMS)
def test_a_program_takes_its_command_line_as_an_argument(
    module: str, capfd: pytest.CaptureFixture[str]
) -> None:
    code = (
        f"from hippodrome.apps.ip{module}app import launch_new_instance as launch; "
        "raise SystemExit(launch(['--nonsense']))"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=30).returncode == 2
    assert "--nonsense" in capfd.readouterr().err


@pytest.mark.parametrize("dist", dists)
@pytest.mark.parametrize("n", [0, 1, 5, 12])
def test_parts_of_a_sequence_make_it_whole_again(dist: str, n: int) -> None:
    cut = dists[dist]()
    parts = [cut.getPartition(list(range(n)), p, 4) for p in range(4)]
    assert cut.joinPartitions(parts) == list(range(n))
    parts = [cut.getPartition(np.arange(n), p, 4) for p in range(4)]
    assert np.array_equal(cut.joinPartitions(parts), np.arange(n))


def test_distributions_differ_in_which_elements_are_together() -> None:
    assert Map().getPartition("abcdef", 0, 2) == "abc"
    assert RoundRobinMap().getPartition("abcdef", 0, 2) == "ace"
    assert Map().getPartition("abcdef", 1, 2, 4) == "cd"
    with pytest.raises(ValueError, match="no part 2 of 2"):
        Map().getPartition("abcdef", 2, 2)


def test_what_can_be_cut_has_a_length_and_slices() -> None:
    assert all(map(mappable, ([1], (1,), "a", range(2), np.arange(2))))
    assert not any(map(mappable, (1, {1: 2}, {1, 2}, iter([1]))))


def test_times_have_a_time_zone() -> None:
    now = utcnow()
    assert ensure_timezone(now) is now
    assert ensure_timezone(now.astimezone().replace(tzinfo=None)) == now


def test_code_can_be_pickled_once_that_was_asked_for() -> None:
    from hippodrome.serialize import codeutil

    def add(a: int, b: int = 2) -> int:
        return a + b

    again = pickle.loads(pickle.dumps(add.__code__))
    assert again == add.__code__
    rebuild, parts = codeutil.reduce_code(add.__code__)
    assert codeutil.code_ctor is rebuild
    assert FunctionType(codeutil.code_ctor(*parts), {})(1, 2) == 3
    for odd in (codeutil.reduce_code, lambda one: codeutil.code_ctor(marshal.dumps(one))):
        with pytest.raises(TypeError, match="code object is expected, not a int"):
            odd(1)


def test_records_are_published_under_their_engine() -> None:
    from hippodrome.engine.log import EnginePUBHandler

    with zmq.Context() as context, context.socket(zmq.PUB) as out, context.socket(zmq.SUB) as sub:
        sub.bind("inproc://logs")
        sub.subscribe(b"")
        out.connect("inproc://logs")
        engine = SimpleNamespace(id=None)
        handler = EnginePUBHandler(engine, out)
        logger = logging.Logger("apart", logging.INFO)
        logger.addHandler(handler)
        assert handler.root_topic == "engine"
        engine.id = 3
        while not sub.poll(10):
            logger.info("it runs")
        topic, text = sub.recv_multipart()
    assert (topic, text.strip()) == (b"engine.3.INFO", b"it runs")


@pytest.mark.parametrize(
    ("url", "location", "reached"),
    [
        ("tcp://0.0.0.0:5", None, "tcp://127.0.0.1:5"),
        ("tcp://*:5", "10.1.1.1", "tcp://10.1.1.1:5"),
        ("tcp://*:5", "localhost", "tcp://127.0.0.1:5"),
        ("tcp://*:5", socket.gethostname(), "tcp://127.0.0.1:5"),
        ("tcp://10.0.0.1:5", "10.1.1.1", "tcp://10.0.0.1:5"),
        ("ipc://x", "10.1.1.1", "ipc://x"),
        ("nothing", None, "nothing"),
    ],
)
def test_addresses_that_stand_for_all_become_one(
    url: str, location: str | None, reached: str
) -> None:
    assert util.disambiguate_url(url, location) == reached


def test_addresses_are_read_and_checked() -> None:
    assert util.split_url("tcp://[::1]:5") == ("tcp", "[::1]", "5")
    assert [util.is_url(one) for one in ("tcp://a:5", "ipc://x", "a", "http://a")] == [1, 1, 0, 0]
    assert all(map(util.validate_url, ("tcp://a:5", "tcp://*:*", "ipc://x", "inproc://x")))
    for odd in ("a", "udp://a:5", "tcp://a", "tcp://:5", "tcp://a:x", "tcp://a:99999"):
        with pytest.raises(ValueError, match="'"):
            util.validate_url(odd)


def test_levels_and_keys_become_numbers() -> None:
    assert list(map(util.integer_loglevel, (10, "20", "info", "WARN"))) == [10, 20, 20, 30]
    with pytest.raises(ValueError, match="there is no level 'loud'; there are: CRITICAL"):
        util.integer_loglevel("loud")
    assert util.int_keys({"1": {"2": 3}, "-4": 5, "a": 6, 7: 8}) == {
        1: {"2": 3},
        -4: 5,
        "a": 6,
        7: 8,
    }


def test_launchers_are_found_by_name_and_kind() -> None:
    from hippodrome.cluster import launcher

    assert launcher.find_launcher_class("local", "engine") is launcher.LocalEngineSetLauncher
    found = launcher.find_launcher_class("LocalControllerLauncher", "controller")
    assert found is launcher.LocalControllerLauncher
    with pytest.raises(launcher.LauncherError, match="no launcher 'nope'"):
        launcher.find_launcher_class("nope", "engine")
    with pytest.raises(ValueError, match="not 'hub'"):
        launcher.find_launcher_class("local", "hub")
