"""Whatever goes in comes out."""

from __future__ import annotations

import datetime
import enum
import functools

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hippodrome.serialize import dumps, dumps_call
from support.serializing import unpack

# On a busy machine drawing may be slow, which says nothing about what is tested.
QUICKLY = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
ATOMS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.complex_numbers(allow_nan=False)
    | st.text()
    | st.binary()
    | st.datetimes()
    | st.timedeltas()
    | st.decimals(allow_nan=False)
    | st.uuids()
)
KEYS = st.text() | st.integers() | st.tuples(st.integers(), st.text()) | st.none() | st.binary()
OBJECTS = st.recursive(
    ATOMS,
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(KEYS, inner)
        | st.sets(KEYS)
        | st.frozensets(KEYS)
    ),
    max_leaves=25,
)
SCALARS = (
    hnp.boolean_dtypes()
    | hnp.integer_dtypes(endianness="=")
    | hnp.floating_dtypes(endianness="=")
    | hnp.complex_number_dtypes(endianness="=")
    | hnp.datetime64_dtypes(endianness="=")
    | hnp.timedelta64_dtypes(endianness="=")  # NumPy itself swaps others, at times
    | hnp.byte_string_dtypes()
    | hnp.unicode_string_dtypes(endianness="=")
)
DTYPES = SCALARS | hnp.nested_dtypes(SCALARS, max_itemsize=400)
SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=30)


@QUICKLY
@given(OBJECTS)
def test_any_object_comes_back(obj):
    assert unpack(dumps(obj)) == obj


@QUICKLY
@given(st.lists(OBJECTS, max_size=4), st.dictionaries(st.text(), OBJECTS, max_size=4))
def test_any_arguments_come_back(args, kwargs):
    assert unpack(dumps_call(tuple(args), kwargs)) == (tuple(args), kwargs)


@QUICKLY
@given(OBJECTS)
def test_any_object_beside_a_lambda_comes_back(obj):
    back, f, view = unpack(dumps([obj, lambda: 1, memoryview(b"a")]))
    assert back == obj
    assert f() == 1
    assert view == b"a"


@st.composite
def layouts(draw):
    """Draw an array in any memory order: C, Fortran, strided, reversed."""
    array = draw(hnp.arrays(draw(DTYPES), draw(SHAPES)))
    change = draw(
        st.sampled_from([lambda a: a, np.asfortranarray, np.transpose, lambda a: a[..., ::2]])
    )
    return change(array) if array.ndim else array


@QUICKLY
@given(layouts())
def test_any_array_comes_back(array):
    back = unpack(dumps({"a": [array]}))["a"][0]
    assert (back.dtype, back.shape) == (array.dtype, array.shape)
    assert back.tobytes() == array.tobytes()
    assert back.flags.writeable
    assert back.flags.f_contiguous == array.flags.f_contiguous or not array.flags.contiguous


@QUICKLY
@given(st.lists(OBJECTS, min_size=1, max_size=5))
def test_arrays_of_objects_come_back(objects):
    array = np.empty(len(objects), object)
    array[:] = [(item,) for item in objects]
    assert unpack(dumps_call((array,), {}))[0][0].tolist() == array.tolist()


def test_large_arrays_of_any_kind_come_back():
    for dtype in (
        "f4",
        "M8[ns]",
        "m8[s]",
        "c16",
        "S7",
        "U5",
        "?",
        [("a", "i4"), ("b", "f8", (2,))],
    ):
        for order in "CF":
            array = np.zeros((90, 91), dtype, order)
            back = unpack(dumps(array))
            assert back.dtype == array.dtype
            assert back.flags.f_contiguous == array.flags.f_contiguous
            assert np.array_equal(back, array)
            back[0] = back[1]


def test_arrays_of_the_other_byte_order_keep_their_values():
    for size in (2, 10_000):
        array = np.arange(size, dtype=">i4")
        assert np.array_equal(unpack(dumps(array)), array)
        assert np.array_equal(unpack(dumps(array[::2])), array[::2])


def test_odd_things_come_back():
    class Color(enum.Enum):
        RED = 1

    color, zone, partial, view = unpack(
        dumps([Color.RED, datetime.UTC, functools.partial(max, 1), {}.keys()])
    )
    assert color is Color.RED
    assert zone is datetime.UTC
    assert partial(2) == 2
    assert list(view) == []
