"""Fixtures for all tests; the ones that start processes are for tests/integration."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest

from support.processes import Site

# Hundreds of processes start from these sources: what the first compiles is kept for the others.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


def pytest_collection_finish() -> None:
    """Let collections of garbage pass over what was imported, and the tests: it stays anyway.

    Whoever looks for what is left behind collects after each test, which takes 0.3 s otherwise.
    Nobody is found afterwards to refer to what was there before, and hypothesis asks for that when
    it is imported.
    """
    import hypothesis  # noqa: F401

    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let what a test has logged and printed be text that travels between processes of a run."""
    report = yield
    report.sections = [
        (name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections
    ]
    return report


@pytest.fixture(scope="module")
def module_site() -> Iterator[Site]:
    """A world that the tests of one module share."""
    with Site() as site, pytest.MonkeyPatch.context() as patch:
        for name, value in site.variables.items():
            patch.setenv(name, value)
        yield site


@pytest.fixture
def site() -> Iterator[Site]:
    """A world of the test's own, with nothing running in it; also this process lives in it."""
    with Site() as site, pytest.MonkeyPatch.context() as patch:
        for name, value in site.variables.items():
            patch.setenv(name, value)
        yield site


@pytest.fixture(scope="module")
def cluster(module_site: Site) -> Site:
    """A controller and two engines, shared by the tests of one module: kill nothing in it."""
    module_site.start_cluster(2)
    return module_site


@pytest.fixture
def own_cluster(site: Site) -> Site:
    """A controller and two engines for this test alone."""
    site.start_cluster(2)
    return site


@pytest.fixture
def client(cluster: Site) -> Iterator[Any]:
    """A client of the shared cluster."""
    yield from connected(cluster)


@pytest.fixture
def own_client(own_cluster: Site) -> Iterator[Any]:
    """A client of this test's own cluster."""
    yield from connected(own_cluster)


@pytest.fixture
def connect(site: Site) -> Iterator[Callable[..., Any]]:
    """Make clients of whatever runs at this test's site; they are closed afterwards."""
    import hippodrome as ipp

    clients: list[Any] = []

    def connect(**options: Any) -> Any:
        clients.append(ipp.Client(str(site.client_file), **options))
        return clients[-1]

    yield connect
    for client in clients:
        client.close()


def connected(site: Site) -> Iterator[Any]:
    import hippodrome as ipp

    with ipp.Client(str(site.client_file)) as rc:
        rc.wait_for_engines(2, timeout=10)
        yield rc
