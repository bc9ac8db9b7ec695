"""Each example runs against a real cluster, and says what it should."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import hippodrome as ipp
from support.records import n_done_by_engines

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(cluster: Any, name: str, *options: str) -> str:
    """Run an example, which has engines do something, and return what it says."""
    script = str(EXAMPLES / name)
    with ipp.Client(str(cluster.client_file)) as rc:
        before = rc.hub_history()
        done = cluster.python(script, "--url-file", str(cluster.client_file), *options)
        assert done.returncode == 0, done.stderr
        new = [msg_id for msg_id in rc.hub_history() if msg_id not in set(before)]
        assert n_done_by_engines(rc, new) > 1, "the example did without the cluster"
    return str(done.stdout)


def test_option_prices(cluster: Any) -> None:
    out = run(cluster, "option_prices.py", "--paths", "500", "--cells", "3")
    assert out.count("\n") == 11
    prices = [float(number) for number in out.splitlines()[5].split()[2:]]
    assert 5 < prices[0] < 20, "at the money, by the formula of Black and Scholes about 12"


def test_task_graph(cluster: Any, tmp_path: Path) -> None:
    pytest.importorskip("networkx", reason="networkx is not installed")
    out = run(cluster, "task_graph.py", "--nodes", "12", "--edges", "20")
    assert "12 tasks with 20 dependencies" in out


def test_word_count(cluster: Any) -> None:
    out = run(cluster, "word_count.py", "--words", "3", "--files", "20")
    assert " the\n" in out
    assert "in 20 files, on 2 engines" in out


def test_wave(cluster: Any) -> None:
    out = run(cluster, "wave.py", "--size", "40", "--steps", "30")
    assert "on 2 engines" in out
    assert float(out.split()[-1]) < 1e-12


def test_streaming(cluster: Any) -> None:
    out = run(cluster, "streaming.py", "--tasks", "6")
    assert out.count("slept") == 6
    assert out.count("awaited") == 6
    assert "6 more came" in out


def test_async_tasks(cluster: Any) -> None:
    out = run(cluster, "async_tasks.py").splitlines()
    assert out[0] == "alone: 111"
    assert out[1].split()[1:] == out[2].split()[3:] == ["0", "1", "7", "2", "5", "8", "16"]
    assert out[3:6] == ["on each engine: 6 6", "late: given up", "as an executor: 118"]
    assert int(out[6].split()[3]) > 1


def test_handover(cluster: Any) -> None:
    pytest.importorskip("joblib", reason="joblib is not installed")
    pytest.importorskip("distributed", reason="dask is not installed")
    out = run(cluster, "handover.py", "--circles", "30")
    assert len({line.partition(",")[0] for line in out.splitlines()[:3]}) == 1
    assert 3.1 < float(out.splitlines()[3].split()[0]) < 3.2


def test_every_example_is_run() -> None:
    tested = {
        "option_prices",
        "task_graph",
        "word_count",
        "wave",
        "streaming",
        "handover",
        "async_tasks",
    }
    tested.add("stdlib_survey")  # needs a cluster of its own
    assert {path.stem for path in EXAMPLES.glob("*.py")} == tested
