"""Modules that users of ipyparallel import by path: they are there, and hold what is looked for."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from typing import Final

import numpy as np
import pytest

import hippodrome as ipp
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
    "client.asyncresult": ["AsyncHubResult", "AsyncMapResult", "AsyncResult"],
    "client.client": ["Client"],
    "client.futures": ["MessageFuture"],
    "client.map": ["Map", "RoundRobinMap", "dists", "mappable"],
    "client.remotefunction": [
        "ParallelFunction", "RemoteFunction", "getname", "parallel", "remote",
    ],
    "client.view": ["BroadcastView", "DirectView", "LoadBalancedView", "View", "ViewExecutor"],
    "cluster": ["Cluster", "ClusterManager", "clean_cluster_files"],
    "cluster.app": ["launch_new_instance", "main"],
    "cluster.cluster": ["Cluster"],
    "cluster.launcher": ["LocalControllerLauncher", "LocalEngineSetLauncher"],
    "controller": ["IPController", "Job", "TaskScheduler", "launch_scheduler"],
    "controller.app": ["IPController", "launch_new_instance", "main"],
    "controller.dependency": ["Dependency", "depend", "dependent", "require"],
    "controller.scheduler": SCHEDULER,
    "controller.task_scheduler": SCHEDULER,
    "datapub": ["publish_data"],
    "engine.app": ["IPEngine", "launch_new_instance", "main"],
    "error": ["CompositeError", "RemoteError", "UnmetDependency"],
    "serialize": ["can", "interactive", "Reference", "serialize_object", "uncan", "use_dill"],
    "serialize.canning": ["can", "can_map", "uncan", "uncan_map", "use_dill", "use_pickle"],
    "util": ["interactive", "utcnow"],
}  # fmt: skip
UNIMPORTED: Final = ["client.client", "client.view", "cluster.launcher", "serialize.canning"]
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
