"""joblib's `Parallel` over a cluster, as scikit-learn uses it.

joblib makes calls itself where it thinks that nothing is parallel, and results are the same. So
each test here asks the hub's records, or the calls themselves, who made them.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import hippodrome as ipp

joblib = pytest.importorskip("joblib", reason="joblib is not installed")


since_1_4 = pytest.mark.skipif(
    tuple(map(int, joblib.__version__.split(".")[:2])) < (1, 4),
    reason="before 1.4 joblib has no such order, and hangs when its input breaks",
)
Count = Callable[[Any], int]


def fail(x: int) -> int:
    if x == 3:
        raise ValueError(f"no {x}")
    return x


def pid_of(x: int) -> int:
    time.sleep(0.001)
    return os.getpid()


def wait_and_return(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def nothing_blocks_for_ever(call: Callable[[], Any]) -> Any:
    """Return what *call* does, or the error that it raises; fail if it does not end."""
    ended: list[Any] = []

    def run() -> None:
        try:
            ended.append(call())
        except Exception as error:
            ended.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(30)
    assert ended, "it hangs"
    return ended[0]


@pytest.fixture
def view(client: Any) -> Any:
    return client.load_balanced_view()


@pytest.fixture
def backend(view: Any, n_done_by_engines: Count) -> Iterator[str]:
    """A name to use; engines have done the work in the end."""
    view.register_joblib_backend("engines")
    with joblib.parallel_config("engines"):
        yield "engines"
    assert n_done_by_engines(view) > 0, "joblib made the calls itself"


@pytest.fixture
def pids(client: Any) -> set[int]:
    return set(client[:].apply_sync(os.getpid))


def calls(n: int) -> list[Any]:
    return [joblib.delayed(pid_of)(x) for x in range(n)]


def test_results_come_in_order(backend: str) -> None:
    assert joblib.Parallel()(joblib.delayed(pow)(x, 2) for x in range(300)) == [
        x**2 for x in range(300)
    ]


@pytest.mark.parametrize("given", [{}, {"n_jobs": None}, {"n_jobs": -1}, {"n_jobs": 2}])
@pytest.mark.parametrize("configure", ["parallel_config", "parallel_backend"])
def test_calls_run_on_the_engines(
    view: Any, pids: set[int], configure: str, given: dict[str, Any], n_done_by_engines: Count
) -> None:
    view.register_joblib_backend("engines")
    with getattr(joblib, configure)("engines"):
        assert set(joblib.Parallel(**given)(calls(4))) <= pids
    with getattr(joblib, configure)("engines", **({"n_jobs": 2} | given)):
        assert set(joblib.Parallel()(calls(4))) <= pids
    assert set(joblib.Parallel(backend="engines", **given)(calls(4))) <= pids
    with joblib.Parallel(backend="engines", **given) as parallel:
        assert set(parallel(calls(4))) | set(parallel(calls(4))) <= pids
    assert n_done_by_engines(view) >= 10


def test_a_single_engine_takes_the_calls_too(client: Any, n_done_by_engines: Count) -> None:
    view = client.load_balanced_view(targets=[1])
    view.register_joblib_backend("one")
    with joblib.parallel_config("one"):
        assert set(joblib.Parallel()(calls(4))) == {client[1].apply_sync(os.getpid)}
    assert n_done_by_engines(view) > 0


def test_one_job_is_asked_of_no_backend(view: Any) -> None:
    view.register_joblib_backend("engines")
    assert set(joblib.Parallel(n_jobs=1, backend="engines")(calls(2))) == {os.getpid()}


@pytest.mark.parametrize(
    "order", ["generator", pytest.param("generator_unordered", marks=since_1_4)]
)
def test_results_are_taken_as_they_come(backend: str, pids: set[int], order: str) -> None:
    assert set(joblib.Parallel(return_as=order)(calls(30))) <= pids


@since_1_4
def test_the_first_result_does_not_wait_for_an_earlier_call(backend: str) -> None:
    results = joblib.Parallel(return_as="generator_unordered", batch_size=1)(
        joblib.delayed(wait_and_return)(seconds) for seconds in (0.5, 0.01)
    )
    assert list(results) == [0.01, 0.5]


def test_input_may_come_from_the_cluster_itself(backend: str, client: Any) -> None:
    other = client.load_balanced_view()

    def inputs() -> Iterator[Any]:
        for x in range(20):
            yield joblib.delayed(abs)(other.apply_sync(abs, -x))

    found = nothing_blocks_for_ever(lambda: joblib.Parallel(backend=backend)(inputs()))
    assert found == [*range(20)]


@since_1_4
def test_input_that_breaks_ends_the_calls(backend: str) -> None:
    def inputs() -> Iterator[Any]:
        yield from calls(20)
        raise OSError("the input broke")

    found = nothing_blocks_for_ever(lambda: joblib.Parallel(backend=backend)(inputs()))
    assert str(found) == "the input broke"


@pytest.mark.parametrize("place", [0, 15])
def test_what_cannot_be_sent_ends_the_calls(backend: str, view: Any, place: int) -> None:
    def inputs() -> Iterator[Any]:
        for x in range(30):
            yield joblib.delayed(id)(threading.Lock() if x == place else x)

    found = nothing_blocks_for_ever(lambda: joblib.Parallel(backend=backend)(inputs()))
    assert isinstance(found, ipp.SerializationError)
    assert joblib.Parallel()([joblib.delayed(fail)(1)]) == [1], "the backend is usable after it"


def test_an_error_is_that_of_the_call(backend: str) -> None:
    with pytest.raises(Exception, match="no 3"):
        joblib.Parallel()(joblib.delayed(fail)(x) for x in range(5))
    assert joblib.Parallel()([joblib.delayed(fail)(1)]) == [1], "the backend is usable after it"


@pytest.mark.parametrize("batch_size", [1, 4, "auto"])
@pytest.mark.parametrize("return_as", ["list", "generator", "generator_unordered"])
def test_an_error_says_which_call_it_was(backend: str, batch_size: Any, return_as: str) -> None:
    for _ in range(2):  # counted anew each time
        parallel = joblib.Parallel(batch_size=batch_size, return_as=return_as)
        with pytest.raises(ValueError, match="no 3") as caught:
            list(parallel(joblib.delayed(fail)(x) for x in range(9)))
        assert caught.value.engine_info["item"] == 3


def test_short_calls_are_sent_in_batches(backend: str, view: Any, n_done_by_engines: Count) -> None:
    joblib.Parallel()(joblib.delayed(abs)(x) for x in range(5000))
    assert 0 < n_done_by_engines(view) < 2500


def test_each_call_of_a_batch_starts_from_what_was_sent(backend: str) -> None:
    found: list[int] = []
    scale = 3

    def add(x: int, to: list[int]) -> tuple[int, list[int]]:
        found.append(x)
        to.append(x)
        return len(found), [len(to) * scale for _ in range(2)]

    shared: list[int] = []
    calls = [joblib.delayed(add)(x, shared) for x in range(40)]
    assert joblib.Parallel(batch_size=8)(calls) == [(1, [3, 3])] * 40


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


def test_a_backend_can_be_the_default(view: Any, pids: set[int]) -> None:
    from joblib import parallel

    before = parallel.DEFAULT_BACKEND
    try:
        view.register_joblib_backend(make_default=True)
        assert set(joblib.Parallel(n_jobs=2)(calls(4))) <= pids
    finally:
        parallel.DEFAULT_BACKEND = before


def test_a_backend_can_be_made_from_its_class(view: Any, n_done_by_engines: Count) -> None:
    from hippodrome.joblib import IPythonParallelBackend

    joblib.register_parallel_backend(
        "made", lambda **options: IPythonParallelBackend(view=view, **options)
    )
    assert joblib.Parallel(n_jobs=2, backend="made")([joblib.delayed(abs)(-1)]) == [1]
    assert n_done_by_engines(view) == 1


def test_wrong_numbers_of_jobs_are_told(client: Any) -> None:
    from hippodrome.joblib import ClusterBackend

    few = ClusterBackend(client.load_balanced_view(targets=[0]))
    assert [few.effective_n_jobs(n) for n in (None, -1, 1, 2, 99)] == [2, 2, 1, 2, 2]
    backend = ClusterBackend(client.load_balanced_view())
    assert [backend.effective_n_jobs(n) for n in (None, -1, 1, 2, 99)] == [2, 2, 1, 2, 2]
    with pytest.raises(ValueError, match="no meaning"):
        backend.effective_n_jobs(0)


@pytest.mark.parametrize("given", [{}, {"n_jobs": 2}])
def test_a_grid_search_runs_on_the_engines(
    backend: str, view: Any, given: dict[str, int], n_done_by_engines: Count
) -> None:
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV

    data = load_iris()
    search = GridSearchCV(LogisticRegression(max_iter=500), {"C": [0.1, 1.0, 10.0]}, cv=3)
    search.set_params(**given).fit(data.data, data.target)
    assert search.best_score_ > 0.9
    assert 1 < n_done_by_engines(view) <= 9
    assert ipp.register_joblib_backend


def test_an_ensemble_is_fitted_and_scored_on_the_engines(
    backend: str, view: Any, n_done_by_engines: Count
) -> None:
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    from sklearn.datasets import load_iris
    from sklearn.ensemble import BaggingClassifier, RandomForestClassifier
    from sklearn.model_selection import cross_val_score

    data = load_iris()
    for model in (BaggingClassifier(n_estimators=4), RandomForestClassifier(n_estimators=4)):
        before = n_done_by_engines(view)
        model.fit(data.data, data.target)
        assert n_done_by_engines(view) > before
    before = n_done_by_engines(view)
    assert cross_val_score(RandomForestClassifier(4), data.data, data.target).mean() > 0.8
    assert n_done_by_engines(view) > before


@pytest.mark.filterwarnings("error::hippodrome.CaptureWarning")
def test_what_calls_are_made_with_travels_as_arguments_do(backend: str) -> None:
    data = bytes(12 << 20)  # as part of a function it would be too much
    assert joblib.Parallel()(joblib.delayed(len)(data) for _ in range(2)) == [12 << 20] * 2
