"""Objects to one pickle and its buffers, and back."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import zmq

from hippodrome.errors import SerializationError
from hippodrome.serialize import Pickled, Reference, dumps, dumps_call, loads, pack, unpickling_in
from support.serializing import unpack


def test_small_arguments_are_packed_in_the_item():
    sent = dumps_call((3,), {"x": "y"})
    assert sent.n_buffers == 0
    assert loads(sent.payload) == ((3,), {"x": "y"})


def test_a_large_pickle_becomes_the_first_buffer():
    text = "a" * 20_000
    sent = dumps_call((text, np.zeros(1000)), {})
    assert (sent.payload, sent.n_buffers) == (b"", 2)
    (back, array), _ = unpack(sent)
    assert back == text
    assert array.shape == (1000,)


def test_a_small_pickle_with_buffers_stays_in_the_item():
    sent = dumps(np.zeros(1000))
    assert sent.payload
    assert [bytes(buffer) for buffer in sent.buffers] == [bytes(8000)]


def test_the_rule_of_packing():
    assert pack(b"p", [b"b"]) == Pickled(b"p", (b"b",))
    assert pack(b"p" * 16_384).n_buffers == 0
    assert pack(b"p" * 16_385, [b"b"]) == Pickled(b"", (b"p" * 16_385, b"b"))


def test_only_buffers_of_4_kib_go_out_of_band():
    assert dumps(np.zeros(4095, "u1")).n_buffers == 0
    assert dumps(np.zeros(4096, "u1")).n_buffers == 1


def test_large_buffers_are_not_copied_for_sending():
    array = np.zeros(1_000_000)
    (buffer,) = dumps({"nested": [array]}).buffers
    assert np.shares_memory(np.frombuffer(buffer), array)


@pytest.mark.parametrize("size", [0, 1, 10, 600, 10_000])
def test_arrays_that_arrive_can_be_written_to(size):
    for buffers in (bytes, bytearray, memoryview, lambda b: zmq.Frame(bytes(b))):
        sent = dumps(np.arange(size))
        array = loads(sent.payload, [buffers(buffer) for buffer in sent.buffers])
        array[:1] = 7
        assert array.flags.writeable


def test_arrays_use_the_memory_that_came():
    sent = dumps(np.zeros(1000))
    memory = bytearray(sent.buffers[0])
    array = loads(sent.payload, [memory])
    assert np.shares_memory(array, np.frombuffer(memory, "u1"))


def test_an_array_that_could_not_be_written_to_stays_so():
    for size in (10, 10_000):
        array = np.zeros(size)
        array.flags.writeable = False
        assert not unpack(dumps(array)).flags.writeable


def test_memoryviews_keep_format_and_shape():
    view = memoryview(np.arange(6000, dtype="f8").reshape(2, 3000))
    back = unpack(dumps_call((view, memoryview(b"abc")[::2]), {}))[0]
    assert (back[0].format, back[0].shape) == ("d", (2, 3000))
    assert back[0].tolist() == view.tolist()
    assert bytes(back[1]) == b"ac"


def test_lambdas_may_be_anywhere_among_the_arguments():
    args, kwargs = unpack(dumps_call(([{"f": lambda: 3}] * 100,), {"g": lambda: 4}))
    assert args[0][99]["f"]() == 3
    assert kwargs["g"]() == 4


def test_large_buffers_beside_lambdas_are_sent_once():
    sent = dumps_call((np.zeros(1000), lambda: 3), {})
    assert sent.n_buffers == 1
    assert unpack(sent)[0][1]() == 3


class Refuses:
    def __init__(self, error):
        self.error = error

    def __reduce__(self):
        raise self.error


class Odd(BaseException):
    pass


@pytest.mark.parametrize(
    "error", [ValueError("no"), SystemExit(1), GeneratorExit(), Odd("odd"), MemoryError()]
)
def test_whatever_reduce_raises_becomes_our_error(error):
    with pytest.raises(SerializationError, match="argument 0 of type Refuses") as caught:
        dumps_call((Refuses(error),), {})
    assert caught.value.__cause__ is error


def test_an_interrupt_while_pickling_passes():
    with pytest.raises(KeyboardInterrupt):
        dumps_call((Refuses(KeyboardInterrupt()),), {})


class Holder:
    def __init__(self, value):
        self.value = value


LOCK = threading.Lock()


@pytest.mark.parametrize(
    ("args", "kwargs", "part"),
    [
        ((1, 2, LOCK), {}, "argument 2 of type lock: TypeError"),
        ((), {"x": LOCK}, "keyword 'x' of type lock"),
        (({"sock": [0, 1, 2, LOCK]},), {}, "argument 0['sock'][3] of type lock"),
        ((Holder([LOCK]),), {}, "argument 0.value[0] of type lock"),
        (({LOCK: 1},), {}, "key <unlocked"),
        (({LOCK},), {}, "argument 0 element of type lock"),
        ((lambda: LOCK,), {}, "argument 0 (global 'LOCK') of type lock"),
        ((Refuses,), {"y": (i for i in "a")}, "keyword 'y' of type generator"),
    ],
)
def test_an_error_names_the_part(args, kwargs, part):
    with pytest.raises(SerializationError) as caught:
        dumps_call(args, kwargs)
    assert part in str(caught.value)


def test_endless_nesting_is_an_error():
    nested: list[object] = []
    for _ in range(100_000):
        nested = [nested]
    with pytest.raises(SerializationError, match="argument 0"):
        dumps_call((nested,), {})
    while nested:  # taken apart by hand: some Pythons cannot
        nested = nested.pop()


def test_an_error_about_a_cycle_ends():
    cycle: list[object] = [LOCK]
    cycle.insert(0, cycle)
    with pytest.raises(SerializationError, match="argument 0"):
        dumps_call((cycle,), {})


def test_a_reference_is_looked_up_where_it_arrives():
    sent = dumps_call(([{"x": Reference("a[0] + 1")}],), {})
    with unpickling_in({"a": [1]}):
        assert unpack(sent) == (([{"x": 2}],), {})
    assert unpack(sent) == (([{"x": Reference("a[0] + 1")}],), {})


def test_a_reference_is_made_from_a_string():
    assert repr(Reference("a")) == "<Reference: 'a'>"
    with pytest.raises(TypeError, match="string"):
        Reference(3)  # type: ignore[arg-type]


def test_a_reference_to_nothing_is_a_name_error():
    with unpickling_in({}), pytest.raises(NameError):
        unpack(dumps(Reference("nowhere")))


def test_namespaces_for_unpickling_nest():
    sent = dumps(Reference("x"))
    with unpickling_in({"x": 1}):
        with unpickling_in({"x": 2}):
            assert unpack(sent) == 2
        assert unpack(sent) == 1
