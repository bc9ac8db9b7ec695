"""Calls of views that cannot be meant: what they say, and when."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest

import hippodrome as ipp
from hippodrome.client.views.balanced import LoadBalancedView
from hippodrome.client.views.direct import DirectView
from hippodrome.errors import UnknownNameError
from hippodrome.protocol.messages import EngineId


class FakeClient:
    """Enough of a client for views that call nothing."""

    session = "fake"
    block = False

    def __len__(self) -> int:
        return 2

    def _checked_targets(self, targets: Any) -> Any:
        return targets

    def _ids_of(self, targets: Any) -> list[EngineId]:
        raise UnknownNameError("asked for engines")


@pytest.fixture
def balanced() -> LoadBalancedView:
    return LoadBalancedView(FakeClient())  # type: ignore[arg-type]


@pytest.fixture
def direct() -> DirectView:
    return DirectView(FakeClient())  # type: ignore[arg-type]


def test_flags_of_functions_are_checked_where_they_are_decorated(
    balanced: LoadBalancedView, direct: DirectView
) -> None:
    said = "there is no flag 'retrys'; did you mean 'retries'?"
    for decorate in (balanced.remote, balanced.parallel):
        with pytest.raises(KeyError) as caught:
            decorate(retrys=2)(abs)  # type: ignore[call-arg]
        assert str(caught.value) == said
    for of in (ipp.remote, ipp.parallel):
        with pytest.raises(KeyError, match=r"^there is no flag 'retries'; a balanced view has it"):
            of(direct, retries=2)(abs)
        with pytest.raises(KeyError, match=r"^there is no flag 'x'; there are block, label, "):
            of(direct, x=2)(abs)  # type: ignore[call-arg]
        with pytest.raises(TypeError, match="retries must be an int"):
            of(balanced, retries="2")(abs)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="timeout must not be negative"):
            of(balanced, timeout=-2)(abs)
        with pytest.raises(TypeError, match="block must be True or False"):
            of(balanced, block="yes")(abs)  # type: ignore[arg-type]


def test_engines_of_functions_are_asked_for_at_each_call(balanced: LoadBalancedView) -> None:
    square = balanced.remote(targets=[77])(abs)
    with pytest.raises(UnknownNameError, match="asked for engines"):
        square(2)


def test_flags_of_views_say_the_same(balanced: LoadBalancedView) -> None:
    for use in (balanced.set_flags, balanced.temp_flags):
        with pytest.raises(KeyError) as caught:
            use(labl="x")  # type: ignore[call-arg]
        assert str(caught.value) == "there is no flag 'labl'; did you mean 'label'?"


def test_functions_of_views_show_what_they_are(
    balanced: LoadBalancedView, direct: DirectView
) -> None:
    def square(x: int) -> int:
        return x * x

    shown = repr(ipp.remote(balanced, retries=2)(square))
    assert shown == "<RemoteFunction square on <LoadBalancedView None>, retries=2>"
    shown = repr(direct.parallel(block=True)(square))
    assert shown == "<ParallelFunction square on <DirectView all>, block=True>"
    shown = repr(balanced.remote(label="x" * 1000)(square))
    assert len(shown) < 200


WRONG = [
    (lambda view: view.push(x=1), "push takes a dict of variables: push({'x': ...})"),
    (lambda view: view.update(x=1, y=2), "update takes a dict of variables: update({'x': ..., "),
    (
        lambda view: view.push({"x": 1}, bloc=True),
        "push has no option 'bloc'; did you mean 'block'",
    ),
    (lambda view: view.push({"x": 1}, y=1), "push has no option 'y'; there are block, ns, targets"),
    (lambda view: view.push({"x": 1}, dist="r"), "push has no option 'dist': it is for scatter, "),
    (lambda view: view.push({"x": 1}, flatten=True), "'flatten': it is for scatter"),
    (lambda view: view.pull("x", label="a"), "'label': it is a flag of views, view.temp_flags(lab"),
    (lambda view: view.get("x", timeout=3), "views, rc.load_balanced_view().temp_flags(timeout="),
    (lambda view: view.execute("1", ordered=True), "'ordered': it is for map, map_async and "),
    (lambda view: view.scatter("x", [1], chunksize=2), "'chunksize': it is for map, map_async"),
    (lambda view: view.gather("x", flaten=True), "gather has no option 'flaten'"),
    (lambda view: view.run("x.py", silent=True), "run has no option 'silent': it is for execute"),
    (lambda view: view.clear(names="x"), "clear has no option 'names'; there are block, targets"),
    (
        lambda view: view.imap(abs, [1], max_outstanding=3),
        "imap has no option 'max_outstanding': it",
    ),
    (lambda view: view.imap(abs, [1], block=True), "imap does not take block: it waits for each "),
    (lambda view: view.imap(pow, [1], exp=2), "imap has no option 'exp': for an argument of the "),
    (lambda view: view.map(abs, [1], retries=2), "rc.load_balanced_view().temp_flags(retries=...)"),
    (lambda view: view.map_async(abs, [1], max_outstanding=2), "it is for imap of load-balanced "),
    (lambda view: view.map_sync(abs, [1], dist="r"), "'dist': it is for scatter, gather and "),
    (lambda view: view.map_sync(abs, [1], block=True), "map_sync does not take block: its name "),
]
WRONG_BALANCED = [
    (
        lambda view: view.imap(abs, [1], chunksize=2),
        "imap has no option 'chunksize': it is for map",
    ),
    (lambda view: view.imap(abs, [1], chunk_size=2), "imap has no option 'chunk_size': for an "),
    (
        lambda view: view.imap(abs, [1], label="a"),
        "'label': it is a flag of views, view.temp_flags(",
    ),
    (lambda view: view.imap(abs, [1], block=True), "imap does not take block: it waits for each "),
    (lambda view: view.imap(abs, [1], order=True), "imap has no option 'order'; did you mean 'ord"),
    (lambda view: view.map(abs, [1], retries=2), "a flag of views, view.temp_flags(retries=...)"),
    (lambda view: view.map(pow, [1], exp=2), "map has no option 'exp': for an argument of the fun"),
]


@pytest.mark.parametrize(("call", "said"), WRONG)
def test_options_that_another_method_takes_are_said_so(
    call: Any, said: str, direct: DirectView
) -> None:
    with pytest.raises(TypeError, match=re.escape(said)):
        call(direct)


@pytest.mark.parametrize(("call", "said"), WRONG_BALANCED)
def test_options_that_other_views_take_are_said_so(
    call: Any, said: str, balanced: LoadBalancedView
) -> None:
    with pytest.raises(TypeError, match=re.escape(said)):
        call(balanced)


@pytest.mark.parametrize("name", [name for name in vars(DirectView) if not name.startswith("_")])
def test_each_method_of_direct_views_says_so_of_unknown_options(
    name: str, direct: DirectView
) -> None:
    method = vars(DirectView)[name]
    if callable(method) and len(inspect.signature(method).parameters) > 1:
        with pytest.raises(TypeError, match=f"^{name} (has no option|takes a dict)"):
            method(direct, nonesuch=1)
        assert inspect.signature(method) == inspect.signature(inspect.unwrap(method))
