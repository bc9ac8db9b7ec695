"""Every integration test is watched: nothing may die unasked, nothing may stay behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from support import records
from support.watched import module_leaves_nothing_behind, nothing_left_behind, warmed_up

__all__ = ["module_leaves_nothing_behind", "nothing_left_behind", "warmed_up"]


@pytest.fixture
def n_done_by_engines() -> Callable[[Any], int]:
    """How many tasks of a view engines have done; a fixture, as engines import modules of tests."""
    return records.n_done_by_engines


@pytest.fixture(scope="module")
def event_loop() -> Iterator[None]:
    from support import frontends  # with Jupyter, which few tests need

    with frontends.event_loop():
        yield


@pytest.fixture
def attach(client: Any, event_loop: None) -> Iterator[Callable[..., Any]]:
    """Attach frontends to the first engine, or to whatever a connection file tells."""
    from support import frontends

    with frontends.attaching(client[0]) as attach:
        yield attach


@pytest.fixture
def frontend(attach: Callable[..., Any]) -> Any:
    """A frontend of the first engine."""
    from support import frontends

    found = attach()
    found.wait_for_ready(timeout=frontends.TIMEOUT_S)
    return found
