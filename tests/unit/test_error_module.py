"""``hippodrome.error``: all errors, and records of them."""

from __future__ import annotations

import subprocess
import sys

import pytest

import hippodrome as ipp
from hippodrome import error, errors


def test_all_errors_are_there() -> None:
    ours = {n: v for n, v in vars(errors).items() if _is_error(v) and not n.startswith("_")}
    assert len(ours) > 30
    assert set(ours) | {"TimeoutError"} == {
        n for n in error.__all__ if _is_error(getattr(error, n))
    }
    assert all(getattr(error, name) is kind for name, kind in ours.items())
    assert error.RemoteError is ipp.RemoteError
    assert error.TimeoutError is TimeoutError
    assert all(hasattr(error, name) for name in error.__all__)


def test_submodules_are_there_without_importing_them() -> None:
    code = (
        "import hippodrome as ipp; "
        "print(ipp.error.RemoteError, ipp.serialize.can, ipp.client, ipp.util.utcnow)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "RemoteError" in shown.stdout


def test_an_exception_becomes_a_record_and_an_error_again() -> None:
    try:
        raise ValueError("wrong")
    except ValueError:
        record = ipp.wrap_exception({"engine_id": 3, "method": "apply"})
    assert (record["status"], record["ename"], record["evalue"]) == ("error", "ValueError", "wrong")
    again = ipp.unwrap_exception(record)
    assert str(again) == "[3:apply] ValueError: wrong"
    assert "raise ValueError" in again.traceback


def test_the_clusters_own_errors_become_themselves_again() -> None:
    try:
        raise ipp.TaskAborted("before it started")
    except ipp.TaskAborted:
        again = ipp.unwrap_exception(ipp.wrap_exception())
    assert type(again) is ipp.TaskAborted
    assert str(again) == "before it started"


def test_errors_among_results_are_raised_together() -> None:
    assert ipp.collect_exceptions([1, 2]) == [1, 2]
    assert ipp.collect_exceptions({0: 1}, "apply") == {0: 1}
    for results in ([1, KeyError("k"), 2], {0: KeyError("k"), 1: 1}):
        with pytest.raises(ipp.CompositeError, match="of apply failed") as caught:
            ipp.collect_exceptions(results, "apply")
        assert caught.value.elist[0][0] == "KeyError"


@pytest.mark.parametrize(
    ("ours", "before"),
    [
        (error.MissingFileError, FileNotFoundError),
        (error.LaunchError, RuntimeError),
        (error.ClusterRunningError, RuntimeError),
        (error.UnknownNameError, KeyError),
    ],
)
def test_errors_of_clusters_are_also_what_programs_catch(
    ours: type[Exception], before: type[Exception]
) -> None:
    assert issubclass(ours, before)
    assert str(ours("no 'a'; there are: b")) == "no 'a'; there are: b"


def test_all_errors_but_the_root_are_kernel_errors() -> None:
    names = [name for name in error.__all__ if name not in {"IPythonError", "TimeoutError"}]
    kinds = [value for name in names if _is_error(value := getattr(error, name))]
    assert len(kinds) > 20
    assert all(issubclass(kind, ipp.KernelError | Warning) for kind in kinds)


def _is_error(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, BaseException)
