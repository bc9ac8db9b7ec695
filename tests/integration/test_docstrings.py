"""The examples in public docstrings are run, on a cluster of two engines.

An example may use what is below in `names`, and what it makes itself, in a folder of its own. It
says no more than is so at each run: ``...`` stands for what differs.
"""

from __future__ import annotations

import doctest
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

import hippodrome as ipp
from support import docstrings
from support.processes import Site

THINGS: Final = docstrings.public_things()
EXAMPLES: Final = [
    example
    for name, thing in THINGS.items()
    if (example := docstrings.example_of(name, thing)).examples
]
# What users call and read has one, but for these.
WITHOUT: Final = {
    "AlreadyDisplayedError": "only IPython raises it",
    "AuthenticationError": "it takes a connection file with the keys of another cluster",
    "Client.activate": "magics are for IPython",
    "ClusterControl.spin": "nobody should call it any more",
    "ClusterControl.spin_thread": "nobody should call it any more",
    "ClusterControl.stop_spin_thread": "nobody should call it any more",
    "CompositeError.derive": "Python calls it",
    "DeserializationError": "it takes a class that is there on the engines and not here",
    "DirectView.activate": "magics are for IPython",
    "LazyFuture.set_exception": "the client calls it",
    "LazyFuture.set_result": "the client calls it",
    "ProtocolError": "it takes a peer that is broken",
    "ProtocolVersionError": "it takes a peer of another version",
    "ResultExpired": "it takes results that are too large to be kept",
    "TaskRejectError": "it takes a client that is broken",
    "TimeoutError": "it is Python's",
    "View.spin": "nobody should call it any more",
    "dependent.layers": "engines call it",
    "dependent.met": "engines call it",
    "load_ipython_extension": "IPython calls it",
    "load_jupyter_server_extension": "Jupyter servers call it",
}


@pytest.fixture(scope="module")
def running(module_site: Site) -> Iterator[ipp.Cluster]:
    """A cluster of one engine, with an id of its own."""
    cluster = ipp.Cluster(n=1).start_cluster_sync()
    yield cluster
    cluster.stop_cluster_sync()


@pytest.fixture
def names(
    client: Any, running: ipp.Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """The package, a client, a view of all its engines, one that balances load, a `Cluster`."""
    monkeypatch.chdir(tmp_path)
    views = {"view": client[:], "lbv": client.load_balanced_view()}
    return {"ipp": ipp, "rc": client, "cluster": running, **views}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_an_example_does_what_it_says(example: doctest.DocTest, names: dict[str, Any]) -> None:
    complaints = docstrings.complaints_of(example, names)
    assert not complaints, complaints


def test_whatever_users_call_has_an_example() -> None:
    assert THINGS.keys() - {example.name for example in EXAMPLES} == WITHOUT.keys()


def test_an_example_that_is_wrong_is_found(names: dict[str, Any]) -> None:
    def wrong() -> None:
        """Return what is not so.

        >>> view.apply_sync(abs, -1)
        [1, 2]
        """

    assert "[1, 1]" in docstrings.complaints_of(docstrings.example_of("wrong", wrong), names)
