"""What is said of functions that take along much, or what is random."""

from __future__ import annotations

import random
import warnings

import numpy as np
import pytest

import hippodrome as ipp
from hippodrome import serialize
from hippodrome.client.chunk import Chunk
from hippodrome.errors import LargeCaptureWarning, RandomCaptureWarning
from hippodrome.serialize import notices
from support.serializing import Engine, Main


@pytest.fixture
def main(monkeypatch):
    notices._said.clear()
    main = Main(monkeypatch)
    main.run("""
        import functools, random
        import numpy as np
        from random import gauss, random as draw
        from numpy.random import rand
        data = np.zeros(2_000_000)
        small = np.zeros(1_000_000)
        many = [{"n": 1}] * 5 + [{"table": data}]
        rng = np.random.default_rng(1)
        class Model:
            def __init__(self): self.weights, self.rng, self.n = data, rng, 1
            def step(self, x): return x
        model = Model()
        def inner(): return data
        def in_closure():
            own = random.Random(1)
            return lambda: own
    """)
    return main


def said_of(f):
    """Return what pickling *f* warns of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        serialize.FunctionPickler().pickle(f)
    return [(found.category, str(found.message)) for found in caught]


@pytest.mark.parametrize(
    ("make", "where"),
    [
        ("lambda: data", "16 MB: <lambda> (global 'data') of type ndarray"),
        ("lambda: inner()", "<lambda> (global 'inner') (global 'data') of type ndarray"),
        ("lambda: many", "(global 'many')[5]['table'] of type ndarray"),
        ("lambda x=data: x", "(default 0) of type ndarray"),
        ("functools.partial(print, data)", "print.args[0] of type ndarray"),
        (
            "functools.partial(print, a=b'1' * 20_000_000)",
            "20 MB: print.keywords['a'] of type bytes",
        ),
        ("Model().step", "Model.step.__self__.weights of type ndarray"),
    ],
)
def test_more_than_10_mb_are_named_with_their_size(main, make, where):
    ((category, text), *_) = said_of(eval(make, main.names))
    assert category is LargeCaptureWarning
    assert where in text
    assert "ipp.Reference('data')" in text


@pytest.mark.parametrize(
    ("make", "where", "how"),
    [
        ("lambda: rng", "(global 'rng') of type Generator", "default_rng([seed, i])"),
        ("lambda: [rng for _ in 'a']", "(global 'rng')", "default_rng"),
        ("in_closure()", "(its variable 'own') of type Random", "random.Random(f'{seed} {i}')"),
        ("functools.partial(print, rng.normal)", "print.args[0]", "default_rng"),
        ("rng.normal", "Generator.normal.__self__ of type", "default_rng"),
        ("lambda r=np.random.RandomState(1): r", "of type RandomState", "RandomState([seed, i])"),
        ("lambda: [{'r': rng}]", "(global 'rng')", "default_rng"),
    ],
)
def test_a_generator_that_each_task_would_copy_is_named(main, make, where, how):
    ((category, text),) = said_of(eval(make, main.names))
    assert category is RandomCaptureWarning
    assert where in text
    assert how in text


def test_an_objects_own_generator_is_found(main):
    main.run("del Model.__init__\nmodel = Model()\nmodel.parts = [1, rng]")
    ((category, text),) = said_of(main["model"].step)
    assert category is RandomCaptureWarning
    assert "Model.step.__self__.parts[1] of type Generator" in text


def test_it_is_said_once_for_each_function(main):
    main.run("def f(): return rng\ndef g(): return rng")
    assert len(said_of(main["f"])) == 1
    assert said_of(main["f"]) == []
    assert len(said_of(main["g"])) == 1
    assert len(said_of(lambda: 1)) == 0


def test_what_maps_send_in_chunks_is_named_by_itself(main):
    main.run("def f(x): return rng, data")
    found = said_of(Chunk(main["f"]))
    assert [category for category, _ in found] == [LargeCaptureWarning, RandomCaptureWarning]
    assert all(text.startswith("f takes along") for _, text in found)


def test_less_is_not_worth_a_word(main):
    assert said_of(eval("lambda: small", main.names)) == []


def test_the_warning_is_of_the_programs_line_and_can_be_silenced(main):
    main.run("def f(): return rng")
    with pytest.warns(ipp.CaptureWarning) as caught:
        serialize.FunctionPickler().pickle(main["f"])
    assert caught[0].filename == __file__
    notices._said.clear()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ipp.CaptureWarning)
        serialize.FunctionPickler().pickle(main["f"])


def test_who_wants_warnings_to_be_errors_gets_them_as_such(main):
    main.run("def f(x): return rng")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for f in (main["f"], Chunk(main["f"])):
            notices._said.clear()
            with pytest.raises(RandomCaptureWarning, match="f takes along"):
                serialize.FunctionPickler().pickle(f)


def test_functions_of_the_modules_are_those_of_the_engine(main):
    engine = Engine()
    assert said_of(eval("lambda: (draw(), gauss(0, 1), rand())", main.names)) == []
    random.seed(1)
    np.random.seed(1)
    f = eval("lambda: (draw, gauss, rand)", main.names)
    draw, gauss, rand = engine.call_there(f)
    assert draw == random.random
    assert gauss == random.gauss
    assert rand == np.random.rand
    first = engine.call(eval("lambda: (draw(), gauss(0, 1), rand())", main.names))
    random.seed(1)
    np.random.seed(1)
    assert first == (random.random(), random.gauss(0, 1), np.random.rand())
    (one, other) = engine.call(eval("lambda: (draw(), draw())", main.names))
    assert one != other
    assert engine.call(random.randint, 1, 1) == 1


def test_methods_of_a_users_own_generator_keep_it(main):
    engine = Engine()
    main.run("own = random.Random(5)\nmethod = own.random\ndef f(): return method()")
    with pytest.warns(RandomCaptureWarning):
        assert engine.call(main["f"]) == random.Random(5).random()
