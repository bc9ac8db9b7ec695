"""The examples in public docstrings are run, on a cluster of two engines.

An example may use what is below in `names`, and what it makes itself, in a folder of its own. It
says no more than is so at each run: ``...`` stands for what differs.
"""

from __future__ import annotations

import doctest
from pathlib import Path
from typing import Any, Final

import pytest

import hippodrome as ipp
from support import docstrings

THINGS: Final = docstrings.public_things()
EXAMPLES: Final = [
    example
    for name, thing in THINGS.items()
    if (example := docstrings.example_of(name, thing)).examples
]
# Each public method of these classes has one. What has none yet is to be added here, not taken off.
COMPLETE: Final[tuple[str, ...]] = (
    "AsyncResult",
    "BroadcastView",
    "CallFuture",
    "DirectView",
    "Flagged",
    "HasHistory",
    "LoadBalancedView",
    "View",
)
# Of these there is nothing to show here.
WITHOUT: Final = {
    "DirectView.activate": "magics are for IPython",
    "View.spin": "nobody should call it any more",
}


@pytest.fixture
def names(client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The package, a client, a view of all its engines, and one that balances load."""
    monkeypatch.chdir(tmp_path)
    return {"ipp": ipp, "rc": client, "view": client[:], "lbv": client.load_balanced_view()}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_an_example_does_what_it_says(example: doctest.DocTest, names: dict[str, Any]) -> None:
    assert not docstrings.complaints_of(example, names)


def test_each_public_method_has_an_example() -> None:
    classes = {name.partition(".")[0] for name in THINGS}
    assert classes.issuperset(COMPLETE)
    wanted = {name for name in THINGS if "." in name and name.partition(".")[0] in COMPLETE}
    assert wanted - {example.name for example in EXAMPLES} <= WITHOUT.keys()


def test_an_example_that_is_wrong_is_found(names: dict[str, Any]) -> None:
    def wrong() -> None:
        """Return what is not so.

        >>> view.apply_sync(abs, -1)
        [1, 2]
        """

    assert "[1, 1]" in docstrings.complaints_of(docstrings.example_of("wrong", wrong), names)
