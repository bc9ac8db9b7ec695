"""What stays in the user's program, and what engines say of it."""

from __future__ import annotations

import copy
import threading
import traceback
from typing import Any

import pytest

import hippodrome as ipp

BEHIND = "your program has a `LOCK`, which was left behind: cannot pickle '_thread.lock' object"
LOCK = threading.Lock()


@ipp.interactive
def locked(_: Any = None) -> bool:
    return LOCK.locked()


def test_each_way_to_call_says_what_was_left_behind(client: Any) -> None:
    balanced, direct = client.load_balanced_view(), client[0]
    direct.push({"pushed": locked}, block=True)
    for call in (
        lambda: balanced.apply_sync(locked),
        lambda: balanced.map_sync(locked, range(4), chunksize=2),
        lambda: client[:].map_sync(locked, range(4)),
        lambda: list(balanced.executor.map(locked, range(2))),
        lambda: direct.execute("pushed()", block=True),
    ):
        with pytest.raises(ipp.error.KernelError) as caught:
            call()
        assert BEHIND in "".join(traceback.format_exception(caught.value))
    (error, *_) = balanced.map_sync(locked, range(2), return_exceptions=True)
    assert BEHIND in str(error)


def test_the_traceback_of_a_cell_says_what_was_left_behind(client: Any) -> None:
    client[0].push({"pushed": locked}, block=True)
    with pytest.raises(ipp.error.RemoteError) as caught:
        client[0].execute("pushed()", block=True)
    assert BEHIND in caught.value.traceback


class Runner:
    """Submits its own methods, as programs do that keep everything in one object."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.view = client.load_balanced_view()
        self.pool = self.view.executor
        self.cluster = ipp.Cluster(n=1)
        self.pending: list[Any] = []

    def double(self, x: int) -> int:
        return 2 * x

    def itself(self) -> Runner:
        return self

    def misuse(self, use: Any) -> Any:
        return use(self)

    def run(self, name: str, *args: Any) -> Any:
        self.pending.append(self.view.apply_async(getattr(self, name), *args))
        return self.pending[-1].get()


def test_objects_that_hold_views_and_results_submit_their_methods(client: Any) -> None:
    runner = Runner(client)
    assert [runner.run("double", i) for i in range(3)] == [0, 2, 4]
    back = runner.run("itself")
    assert back is not runner
    assert (back.client, back.view, back.pool) == (client, runner.view, runner.pool)
    assert back.cluster is runner.cluster
    assert back.pending == runner.pending[:-1]


def test_what_is_used_on_an_engine_says_what_it_is(client: Any) -> None:
    runner = Runner(client)
    runner.run("double", 1)
    for use, said in (
        (lambda self: self.client.ids, "a Client cannot be used here, nor its `ids`"),
        (lambda self: len(self.client), "a Client cannot be used here"),
        (lambda self: self.view.map_sync(abs, [1]), "a LoadBalancedView cannot be used here"),
        (lambda self: self.pool.submit(abs, 1), "a ViewExecutor cannot be used here"),
        (lambda self: self.pending[0].get(), "an AsyncResult cannot be used here, nor its `get`"),
        (lambda self: self.cluster.n, "a Cluster cannot be used here"),
    ):
        with pytest.raises(ipp.error.RemoteError, match=said) as caught:
            runner.run("misuse", use)
        assert caught.value.ename == "LeftBehindError"
        assert isinstance(caught.value.__cause__, RuntimeError)


def test_a_task_makes_a_client_as_the_error_says(client: Any) -> None:
    def use_it(view: list[Any]) -> Any:
        return view["only"].block  # type: ignore[call-overload]

    def make_one(call: str) -> list[int]:
        import hippodrome as ipp

        with eval(call, {"ipp": ipp}) as made:
            return made.ids

    view = client.load_balanced_view()
    with pytest.raises(ipp.error.RemoteError) as caught:
        view.apply_sync(use_it, {"only": view})
    call = caught.value.evalue.partition("as by ")[2]
    assert view.apply_sync(make_one, call) == client.ids


def test_results_and_views_as_arguments_are_errors_at_the_call(client: Any) -> None:
    view, direct = client.load_balanced_view(), client[:]
    result = view.apply_async(abs, -1)
    for call in (
        lambda: view.apply_async(abs, result),
        lambda: view.map_async(abs, [result]),
        lambda: view.map_async(abs, [result, result], chunksize=2),
        lambda: direct.map_async(abs, [result, result]),
        lambda: direct.apply_async(sum, [result]),
    ):
        with pytest.raises(ipp.error.SerializationError, match="an AsyncResult, which stays in"):
            call()
    for call in (
        lambda: view.apply_async(view.map),
        lambda: view.map_async(view.apply, [abs] * 4),
        lambda: view.map_async(view.apply, [abs] * 4, chunksize=2),
    ):
        with pytest.raises(ipp.error.SerializationError, match="is of a LoadBalancedView"):
            call()
    assert result.get() == 1


def test_a_remote_function_of_a_view_says_what_to_call_on_an_engine(client: Any) -> None:
    view = client.load_balanced_view()

    @view.remote(block=True)
    def square(x: int) -> int:
        return x * x

    assert view.apply_sync(lambda x: square.func(x), 3) == 9
    with pytest.raises(ipp.error.RemoteError, match=r"call what it wraps, as square\.func"):
        view.apply_sync(lambda x: square(x), 3)


def test_a_copied_view_has_flags_of_its_own(client: Any) -> None:
    view = client[:]
    copied = copy.copy(view)
    copied.block = True
    assert not view.block
    assert copied.apply(abs, -1) == [1] * len(client)
    assert copy.deepcopy({"view": view})["view"] is view
