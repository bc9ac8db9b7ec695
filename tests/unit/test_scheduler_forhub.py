"""What the hub is given of large buffers: some at a time, and segments by their names."""

from __future__ import annotations

import mmap

from hippodrome.scheduler.forhub import FUNCTION_BYTES, UNDER_WAY_BYTES, ForHub
from hippodrome.segments import reference
from hippodrome.segments.reference import LEAST_BYTES

TOKEN = b"t" * reference.TOKEN_BYTES
LIMIT = 1 << 30


def zeros(size_bytes: int) -> memoryview:
    """Return a buffer of any size that takes no memory until somebody looks."""
    return memoryview(mmap.mmap(-1, size_bytes))


LARGE = bytes(LEAST_BYTES)


def test_small_buffers_all_go() -> None:
    share = ForHub(TOKEN, LIMIT).share([b"a", b"b" * 1000])
    assert (share.frames, share.omitted, share.crowded) == ([b"a", b"b" * 1000], [], [])


def test_a_segment_is_kept_by_a_second_name_and_its_reference_goes() -> None:
    for_hub = ForHub(TOKEN, LIMIT)
    frames = [b"pickle", reference.encode(TOKEN, "a-0")]
    assert for_hub.share(frames).frames == frames
    assert for_hub.take_names() == ["a-0"]
    assert for_hub.take_names() == []


def test_where_nothing_large_is_kept_neither_goes() -> None:
    for_hub = ForHub(TOKEN)
    share = for_hub.share([b"a", reference.encode(TOKEN, "a-0"), LARGE])
    assert (share.frames, share.omitted) == ([b"a", b"", b""], [1, 2])
    assert for_hub.take_names() == []


def test_what_is_larger_than_all_that_may_be_kept_does_not_go() -> None:
    share = ForHub(TOKEN, LEAST_BYTES).share([LARGE, LARGE + b"x", b"small"])
    assert (share.frames, share.omitted) == ([LARGE, b"", b"small"], [1])


def test_no_more_is_on_its_way_than_some() -> None:
    for_hub = ForHub(TOKEN, LIMIT)
    half = zeros(UNDER_WAY_BYTES // 2)
    assert for_hub.share([half, half, LARGE, b"small"]).crowded == [2]
    for_hub.taken(half.nbytes)
    share = for_hub.share([LARGE, half])
    assert (share.frames, share.crowded) == ([LARGE, b""], [1])


def test_one_buffer_may_always_be_on_its_way() -> None:
    for_hub = ForHub(TOKEN, LIMIT)
    whole = zeros(UNDER_WAY_BYTES + 1)
    assert for_hub.share([whole]).crowded == []
    assert for_hub.share([LARGE]).crowded == [0]
    for_hub.taken(whole.nbytes)
    for_hub.taken(1000)  # more than it was sent
    assert for_hub.share([whole]).crowded == []


def test_functions_have_a_bound_of_their_own() -> None:
    for_hub = ForHub(TOKEN)
    share = for_hub.share([LARGE, zeros(FUNCTION_BYTES + 1), LARGE], n_functions=2)
    assert share.omitted == [1, 2]
