"""What docstrings refer to is there, under that name."""

from __future__ import annotations

import pytest

from hippodrome.client.view import View
from hippodrome.client.views.flags import AnyFlagValues
from support import references


def test_references_in_docstrings_lead_somewhere() -> None:
    assert list(references.broken()) == []


@pytest.mark.parametrize(
    "reference", ["AsyncResult.get", "LoadBalancedView.map", "concurrent.futures.Future"]
)
def test_what_is_there_is_found(reference: str) -> None:
    assert references.is_there(reference)


@pytest.mark.parametrize("reference", ["bridges.register_joblib_backend", "View.mapp", "Vieww"])
def test_what_is_not_there_is_not(reference: str) -> None:
    assert not references.is_there(reference)


@pytest.mark.parametrize("flag", sorted(AnyFlagValues.__annotations__))
def test_whoever_sets_flags_is_told_of_each(flag: str) -> None:
    assert f"``{flag}``" in (View.set_flags.__doc__ or "")
