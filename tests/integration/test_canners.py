"""Objects that users have travel in a way of their own, to engines and back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

import hippodrome as ipp


class Guarded:
    """Has a lock, and so cannot be pickled."""

    def __init__(self, value: int) -> None:
        self.value = value
        self.lock = threading.Lock()


class CannedGuarded:
    def __init__(self, value: int) -> None:
        self.value = value


def register() -> None:
    ipp.can_map[Guarded] = lambda guarded: CannedGuarded(guarded.value)
    ipp.uncan_map[CannedGuarded] = lambda canned, namespace: Guarded(canned.value)


def forget() -> None:
    ipp.can_map.clear()
    ipp.uncan_map.clear()


def double(guarded: Guarded) -> Guarded:
    with guarded.lock:
        return Guarded(2 * guarded.value)


@pytest.fixture
def registered(client: Any) -> Iterator[None]:
    register()
    client[:].apply_sync(register)
    yield
    client[:].apply_sync(forget)
    forget()


def test_arguments_results_and_variables_are_canned(client: Any, registered: None) -> None:
    balanced, direct = client.load_balanced_view(), client[0]
    assert balanced.apply_sync(double, Guarded(3)).value == 6
    assert direct.apply_sync(double, guarded=Guarded(4)).value == 8
    for view in (balanced, client[:]):
        found = view.map_sync(double, [Guarded(n) for n in range(5)])
        assert [one.value for one in found] == [0, 2, 4, 6, 8]
    direct.push({"kept": [Guarded(7)]}, block=True)
    assert direct.pull("kept[0].lock.locked()", block=True) is False
    assert direct["kept"][0].value == 7


def test_on_engines_a_cell_may_register_too(client: Any) -> None:
    cell = """
import hippodrome as ipp
class Odd:
    def __reduce__(self): raise TypeError("odd")
ipp.can_map[Odd] = lambda odd: "canned"
"""
    client[0].execute(cell, block=True)
    try:
        client[0].execute("odd = [Odd()]", block=True)
        assert client[0]["odd"] == ["canned"]
    finally:
        client[0].apply_sync(forget)
    with pytest.raises(ipp.RemoteError, match="odd"):
        client[0].pull("odd", block=True)
