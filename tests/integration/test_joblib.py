"""joblib's `Parallel` over a cluster, as scikit-learn uses it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

import pytest

import hippodrome as ipp

joblib = pytest.importorskip("joblib", reason="joblib is not installed")


def fail(x: int) -> int:
    if x == 3:
        raise ValueError(f"no {x}")
    return x


def pid_of(x: int) -> int:
    time.sleep(0.001)
    return os.getpid()


@pytest.fixture
def backend(client: Any) -> Iterator[str]:
    client.load_balanced_view().register_joblib_backend("engines")
    with joblib.parallel_config("engines"):
        yield "engines"


def test_results_come_in_order(backend: str) -> None:
    assert joblib.Parallel()(joblib.delayed(pow)(x, 2) for x in range(300)) == [
        x**2 for x in range(300)
    ]


def test_calls_run_on_the_engines(backend: str, client: Any) -> None:
    pids = set(joblib.Parallel(n_jobs=2)(joblib.delayed(pid_of)(x) for x in range(100)))
    assert pids <= set(client[:].apply_sync(os.getpid))
    assert os.getpid() not in pids


def test_an_error_is_that_of_the_call(backend: str) -> None:
    with pytest.raises(Exception, match="no 3"):
        joblib.Parallel()(joblib.delayed(fail)(x) for x in range(5))
    assert joblib.Parallel()([joblib.delayed(fail)(1)]) == [1], "the backend is usable after it"


def test_short_calls_are_sent_in_batches(backend: str, client: Any) -> None:
    before = len(client.history)
    joblib.Parallel()(joblib.delayed(abs)(x) for x in range(5000))
    assert len(client.history) - before < 2500


def test_local_functions_and_nested_parallelism_work(backend: str) -> None:
    offset = 10

    def inner(x: int) -> int:
        return x + offset

    def outer(x: int) -> list[int]:
        import joblib

        return joblib.Parallel(n_jobs=2)(joblib.delayed(inner)(x + i) for i in range(3))

    assert joblib.Parallel()(joblib.delayed(outer)(x) for x in (0, 5)) == [
        [10, 11, 12],
        [15, 16, 17],
    ]


def test_a_backend_can_be_the_default(client: Any) -> None:
    from joblib import parallel

    before = parallel.DEFAULT_BACKEND
    try:
        client.load_balanced_view().register_joblib_backend(make_default=True)
        pids = joblib.Parallel(n_jobs=2)(joblib.delayed(pid_of)(x) for x in range(4))
        assert os.getpid() not in pids
    finally:
        parallel.DEFAULT_BACKEND = before


def test_a_backend_can_be_made_from_its_class(client: Any) -> None:
    from hippodrome.joblib import IPythonParallelBackend

    view = client.load_balanced_view()
    joblib.register_parallel_backend(
        "made", lambda **options: IPythonParallelBackend(view=view, **options)
    )
    assert joblib.Parallel(n_jobs=2, backend="made")([joblib.delayed(abs)(-1)]) == [1]
    assert len(view.history) == 1


def test_wrong_numbers_of_jobs_are_told(client: Any) -> None:
    from hippodrome.joblib import ClusterBackend

    backend = ClusterBackend(client.load_balanced_view())
    assert [backend.effective_n_jobs(n) for n in (None, -1, 1, 2, 99)] == [2, 2, 1, 2, 2]
    with pytest.raises(ValueError, match="no meaning"):
        backend.effective_n_jobs(0)


def test_a_grid_search_runs_on_the_engines(backend: str) -> None:
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV

    data = load_iris()
    search = GridSearchCV(LogisticRegression(max_iter=500), {"C": [0.1, 1.0, 10.0]}, cv=3)
    search.set_params(n_jobs=2).fit(data.data, data.target)
    assert search.best_score_ > 0.9
    assert ipp.register_joblib_backend
