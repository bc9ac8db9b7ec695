"""Calls of views that cannot be meant: what they say, and when."""

from __future__ import annotations

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
