"""Fixtures that watch tests with processes: nothing dies unasked, nothing stays behind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support import leaks, processes


@pytest.fixture(scope="session", autouse=True)
def warmed_up() -> None:
    leaks.warm_up()


@pytest.fixture(scope="module", autouse=True)
def module_leaves_nothing_behind(warmed_up: None) -> Iterator[None]:
    before = leaks.take_snapshot()
    yield
    left = leaks.left_behind(before)
    assert not left, "left behind by this module:\n" + "\n".join(left)


@pytest.fixture(autouse=True)
def nothing_left_behind(module_leaves_nothing_behind: None) -> Iterator[None]:
    directories = [site.runtime_dir for site in processes.sites]
    before = leaks.take_snapshot(*directories)
    yield
    dead = processes.dead_unasked()
    assert not dead, "\n".join(dead)
    left = leaks.left_behind(before, *directories)
    assert not left, "left behind:\n" + "\n".join(left)
