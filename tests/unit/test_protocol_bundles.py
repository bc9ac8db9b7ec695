"""A bundle holds one item of each of its lists for each task, or it is malformed."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from hippodrome.errors import ProtocolError
from hippodrome.protocol import messages as m
from hippodrome.protocol.bundles import Bundle, check, check_all, deal

IDS = [m.MsgId("a"), m.MsgId("b"), m.MsgId("c")]
D, P, T = m.Digest(b"f"), [b"1", b"2", b"3"], [1.0, 2.0, 3.0]
BUNDLES: list[Bundle] = [
    m.TaskBundle(IDS, D, P),
    m.AttemptBundle(IDS, 1, D, P),
    m.OutcomeBundle(IDS, 1, T, T, P),
    m.ResultBundle(IDS, m.EngineId(0), 1, T, T, P),
]
COLUMNS = [
    (bundle, field)
    for bundle in BUNDLES
    for field in bundle.__struct_fields__
    if isinstance(getattr(bundle, field), list)
]


def names(value: Any) -> str:
    return value if isinstance(value, str) else type(value).__name__


@pytest.mark.parametrize("bundle", BUNDLES, ids=names)
def test_a_bundle_with_lists_of_one_length_is_well(bundle: Bundle) -> None:
    check_all([bundle])
    assert list(deal([bundle], [])) == [()]


@pytest.mark.parametrize(("bundle", "field"), COLUMNS, ids=names)
@pytest.mark.parametrize("n", [0, 2, 4])
def test_a_bundle_with_too_few_or_too_many_of_anything_is_refused(
    bundle: Bundle, field: str, n: int
) -> None:
    column = (getattr(bundle, field) * 2)[:n]
    odd = msgspec.structs.replace(bundle, **{field: column})
    with pytest.raises(ProtocolError, match="a bundle of"):
        check(odd)
    with pytest.raises(ProtocolError, match="a bundle of"):
        deal([bundle, odd], [])
