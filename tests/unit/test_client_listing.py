"""What completion and ``dir`` show is what users may use, and nothing else."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest

import hippodrome as ipp
from hippodrome.client.results.metadata import KEYS
from support.results import QuietClient, single
from support.surface import SURFACE

FUTURE = {
    "add_done_callback", "cancel", "cancelled", "done", "exception", "result", "running",
    "set_exception", "set_result", "set_running_or_notify_cancel",
}  # fmt: skip
OURS = {"data", "interrupt", "raw", "timeline"}  # beside what users of ipyparallel know


def shown(thing: object) -> set[str]:
    return {name for name in dir(thing) if not name.startswith("_")}


def documented(owner: str) -> set[str]:
    words = SURFACE[owner].replace("(", " ( ").split()
    depth, names = 0, set()
    for word in words:
        depth += word.count("(") - word.count(")")
        if depth == 0 and word.isidentifier() and not word.startswith("_"):
            names.add(word)
    return names


def test_a_result_shows_what_users_may_call_and_its_metadata() -> None:
    client: Any = QuietClient()
    known = documented("AsyncResult") | FUTURE | OURS
    assert shown(single(client)) == known | set(KEYS)
    assert shown(ipp.AsyncResult) == known - {"msg_ids"}
    assert shown(ipp.AsyncMapResult) == known - {"msg_ids"} | {"return_exceptions"}
    assert shown(ipp.AsyncHubResult) == known - {"msg_ids"}


@pytest.mark.parametrize("name", ["asyncresult", "futures", "map", "remotefunction"])
def test_a_module_shows_what_it_offers(name: str) -> None:
    module = import_module(f"hippodrome.client.{name}")
    assert shown(module) == set(module.__all__)


def test_the_package_shows_what_it_offers() -> None:
    assert shown(ipp) >= {name for name in ipp.__all__ if not name.startswith("_")}
    assert not shown(ipp) & {"Any", "Final", "TYPE_CHECKING", "annotations", "import_module"}
    modules = shown(ipp) - set(ipp.__all__)
    assert all(import_module(f"hippodrome.{name}") for name in modules)
    assert "__version__" in dir(ipp)
