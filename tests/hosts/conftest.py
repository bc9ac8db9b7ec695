"""Hosts to test on; a test that cannot have them says so, and why, in the summary of the run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from support.gridengine import GridEngine, why_no_gridengine
from support.hosts import Hosts, why_not
from support.processes import Site
from support.slurm import Slurm, why_no_slurm
from support.watched import module_leaves_nothing_behind, nothing_left_behind, warmed_up

__all__ = ["module_leaves_nothing_behind", "nothing_left_behind", "warmed_up"]

HERE = Path(__file__).parent
N_HOSTS = 3


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("hosts")


def skip_if(reason: str) -> None:
    if reason:
        pytest.skip(f"NOT TESTED: {reason}")


@pytest.fixture(scope="module")
def hosts(module_site: Site) -> Iterator[Hosts]:
    """Three hosts with sshd that tests of a module share, with a /dev/shm and sockets each."""
    with hosts_of(module_site, N_HOSTS, sshd=True) as hosts:
        yield hosts


@pytest.fixture
def make_hosts(site: Site) -> Iterator[Callable[..., Hosts]]:
    """Make hosts of this test's own, with arguments as of `Hosts`."""
    with ExitStack() as stack:
        yield lambda *names, **options: stack.enter_context(hosts_of(site, *names, **options))


@pytest.fixture(scope="module")
def slurm(hosts: Hosts) -> Iterator[Slurm]:
    """A Slurm over `hosts`; also this process finds it."""
    skip_if(why_no_slurm())
    with Slurm(hosts) as slurm, pytest.MonkeyPatch.context() as patch:
        for name, value in slurm.env.items():
            patch.setenv(name, value)
        yield slurm
        slurm.cancel_all()


@pytest.fixture(scope="module")
def gridengine(hosts: Hosts) -> Iterator[GridEngine]:
    """A Grid Engine over `hosts`; its programs must be called there."""
    skip_if(why_no_gridengine())
    with GridEngine(hosts) as gridengine:
        yield gridengine
        gridengine.cancel_all()


@contextmanager
def hosts_of(site: Site, *names: Any, **options: Any) -> Iterator[Hosts]:
    """Hosts whose programs live in the world of *site*; they all have to end before it does."""
    needed = ("sshd", "ssh", "ssh-keygen") if options.get("sshd") else ()
    skip_if(why_not("nft", "tc", *needed))
    own: dict[str, Any] = {"private": True, "hidden": [site.runtime_dir]}
    with Hosts(*names, variables=site.variables, **(own | options)) as hosts:
        yield hosts
        site.stop()
        hosts.wait_empty()
