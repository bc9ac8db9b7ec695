"""What is mapped over is read as by `zip`, and no further than is needed."""

from __future__ import annotations

import operator
from collections import UserList, deque, namedtuple
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, count, cycle, islice, repeat
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from hippodrome.client.inputs import aligned, as_sequence, is_endless, same_length, slices
from hippodrome.client.submitting import Submissions
from hippodrome.client.views.balanced import LoadBalancedView
from hippodrome.client.views.direct import DirectView
from hippodrome.client.views.executor import ViewExecutor
from hippodrome.client.views.imap import LazyMapIterator
from hippodrome.client.views.partition import part
from hippodrome.client.views.remote import ParallelFunction
from hippodrome.protocol.messages import EngineId

MOST = 1000  # elements that a test may read of what has no end


class _Bounded:
    """Ends a test that would read on and on, which none that is written in C does."""

    n = 0

    def __next__(self) -> Any:
        self.n += 1
        assert self.n <= MOST, "too much is read"
        return super().__next__()  # type: ignore[misc]


class Count(_Bounded, count):  # type: ignore[type-arg]
    pass


class Cycle(_Bounded, cycle):  # type: ignore[type-arg]
    pass


class Repeat(_Bounded, repeat):  # type: ignore[type-arg]
    pass


class Read(Iterator[int]):
    """Numbers without an end, which are counted as they are read."""

    def __init__(self, most: int = MOST) -> None:
        self.n = 0
        self.most = most

    def __next__(self) -> int:
        self.n += 1
        assert self.n <= self.most, "too much is read"
        return self.n - 1


def lists(found: Iterable[Any]) -> list[list[Any]]:
    return [list(one) for one in found]


@pytest.mark.parametrize(
    "fresh",
    [
        lambda: (range(3), Repeat(1)),
        lambda: (Repeat(1), range(3)),
        lambda: (Count(), "abc", Cycle([1, 2])),
        lambda: ([1, 2, 3], ["a", "b"]),
        lambda: ([1, 2, 3], iter([4, 5]), {"k": 1, "l": 2, "m": 3}),
        lambda: ({5}, deque([1, 2]), np.arange(4)),
        lambda: (iter([1, 2]), iter([1, 2, 3])),
        lambda: (iter([]), Count()),
        lambda: ([], Count()),
        lambda: ("", ""),
        lambda: (Repeat(7, 2), Count()),
    ],
)
def test_input_is_what_zip_gives(fresh: Callable[[], tuple[Any, ...]]) -> None:
    expected = list(zip(*fresh(), strict=False))
    assert list(zip(*aligned(fresh()), strict=True)) == expected


def test_no_more_is_read_than_the_shortest_has() -> None:
    endless, first = Read(), Read()
    aligned((first, endless, range(10)))
    assert (first.n, endless.n) == (10, 10)
    shorter, longer = iter(range(5)), Read()
    aligned((longer, shorter))
    assert longer.n == 6, "as by zip, which reads the first before it knows that the second ends"


@pytest.mark.parametrize("endless", [Count(), Cycle("ab"), Repeat(1), Repeat("a, b")])
def test_what_cannot_end_is_an_error_rather_than_read(endless: Any) -> None:
    assert is_endless(endless)
    for call in (aligned, same_length, lambda sequences: as_sequence(sequences[0])):
        with pytest.raises(ValueError, match="no end"):
            call((endless,))
    assert not is_endless(Repeat(1, 3))
    assert not is_endless(chain(Count()))  # nobody knows


def test_the_error_of_an_input_is_raised() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise OSError("the input broke")

    for sequences in ((broken(),), (Count(), broken()), (broken(), range(5))):
        with pytest.raises(OSError, match="input broke"):
            aligned(sequences)
    assert lists(aligned((broken(), [7]))) == [[1], [7]]


class Liar(UserList[int]):
    """Says that it has another length than it has."""

    said = 7

    def __len__(self) -> int:
        return self.said


class ShortLiar(Liar):
    said = 1


class SlicingLiar(Liar):
    """Whose slices are honest."""

    def __getitem__(self, place: Any) -> Any:
        return self.data[place]


class Doubled(list[int]):
    """Shows something else than it holds."""

    def __iter__(self) -> Iterator[int]:
        return (2 * x for x in super().__iter__())


@pytest.mark.parametrize(
    "kind", [Liar, ShortLiar, SlicingLiar, Doubled, deque, set, iter, dict.fromkeys]
)
def test_what_is_shown_counts_and_not_what_is_said(kind: Callable[[list[int]], Any]) -> None:
    elements = kind([1, 2, 3])
    assert not slices(elements)
    shown = [2, 4, 6] if kind is Doubled else [1, 2, 3]
    assert lists(aligned((elements,))) == [shown]
    assert as_sequence(kind([1, 2, 3])) == shown


Pair = namedtuple("Pair", "first second")


@pytest.mark.parametrize(
    "elements", [np.arange(6.0).reshape(3, 2), Pair(1, 2), bytearray(b"ab"), UserList([1]), ()]
)
def test_parts_of_what_slices_are_its_slices(elements: Any) -> None:
    assert slices(elements)
    (cut,) = aligned((elements,))
    assert type(part(cut, 0, 2)) is type(elements[:1])


def test_series_are_cut_by_place_whatever_their_index() -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    series = pandas.Series([1, 2, 3, 4], index=[2.5, 1.5, 0.5, 0.0])
    (cut,) = aligned((series,))
    assert [list(part(cut, i, 2)) for i in range(2)] == [[1, 2], [3, 4]]
    assert type(part(cut, 0, 2)) is pandas.Series
    frame = pandas.DataFrame({"a": [1, 2, 3], "b": [4, 5, 6]})
    assert lists(aligned((frame,))) == [["a", "b"]], "as the built-in map sees it"
    assert list(part(as_sequence(frame), 1, 3)["b"]) == [5]


def test_something_of_no_dimension_is_a_type_error_as_for_map() -> None:
    with pytest.raises(TypeError):
        aligned((np.array(5),))
    with pytest.raises(TypeError):
        aligned((5, [1]))


def test_parts_of_different_lengths_are_told_without_reading_on() -> None:
    endless = Read(4)
    with pytest.raises(ValueError, match="same length"):
        same_length((range(3), endless))
    assert endless.n == 4
    assert lists(same_length((range(3), Repeat(0), iter("abc")))) == [
        [0, 1, 2],
        [0, 0, 0],
        ["a", "b", "c"],
    ]
    assert lists(same_length((Repeat(0), iter("ab")))) == [[0, 0], ["a", "b"]]
    assert same_length(()) == ()


# ---- all that maps


class NoCluster:
    """A client of which the posts are counted, and nothing else happens."""

    session = "fake"
    block = False

    def __init__(self, n_engines: int = 2) -> None:
        self.engines = [EngineId(i) for i in range(n_engines)]
        self.posted: list[Any] = []
        self._history: list[Any] = []
        self._io: Any = SimpleNamespace(
            post=self.posted.append,
            lend=lambda name, buffers: buffers,
            lends_in_place=False,
            scheme="",
        )
        self._submissions = Submissions(self._io, "fake_")

    def __len__(self) -> int:
        return len(self.engines)

    def _engines_of(self, targets: Any) -> list[EngineId]:
        return self.engines

    def _checked_targets(self, targets: Any) -> Any:
        return targets


@pytest.fixture(params=[LoadBalancedView, DirectView])
def view(request: pytest.FixtureRequest) -> Any:
    client: Any = NoCluster()
    client._history = request.param(client)._history
    return request.param(client)


MAPS: dict[str, Callable[..., Any]] = {
    "map": lambda view, *sequences: view.map(operator.add, *sequences),
    "map_async": lambda view, *sequences: view.map_async(operator.add, *sequences),
    "executor": lambda view, *sequences: ViewExecutor(view).map(operator.add, *sequences),
    "remote": lambda view, *sequences: view.remote()(operator.add).map(*sequences),
    "parallel": lambda view, *sequences: ParallelFunction(view, operator.add)(*sequences),
    "parallel map": lambda view, *sequences: ParallelFunction(view, operator.add).map(*sequences),
}


@pytest.mark.parametrize("name", MAPS)
def test_every_map_takes_something_endless_beside_something_that_ends(view: Any, name: str) -> None:
    for sequences in ((range(9), Repeat(1)), (Count(), [5] * 9), (iter(range(9)), Cycle([1]))):
        before = len(view.client.posted)
        assert MAPS[name](view, *sequences)
        assert len(view.client.posted) > before
    with pytest.raises(ValueError, match="no end"):
        MAPS[name](view, Count(), Repeat(1))


def test_only_what_is_needed_is_read_of_a_generator(view: Any) -> None:
    endless = Read(10)
    view.map_async(operator.add, endless, range(9))
    assert endless.n <= 10


def test_input_is_not_read_without_engines_or_a_function(view: Any) -> None:
    elements = iter(range(3))
    with pytest.raises(TypeError):
        view.map_async("no function", elements)
    assert list(elements) == [0, 1, 2]


def test_scattering_an_endless_sequence_is_an_error() -> None:
    client: Any = NoCluster()
    with pytest.raises(ValueError, match=r"itertools\.islice"):
        DirectView(client).scatter("a", Count())


# ---- imap


def test_without_engines_one_task_is_under_way() -> None:
    client: Any = NoCluster(n_engines=0)
    view = LoadBalancedView(client)
    submitted = []
    view._submit = lambda flags, f, args, kwargs, calls: submitted.append(args)  # type: ignore
    endless = Read(5)
    LazyMapIterator(view, abs, (endless,)).submit_more()
    assert (submitted, endless.n) == ([(0,)], 1)


def test_as_many_tasks_are_under_way_as_there_are_engines() -> None:
    client: Any = NoCluster(n_engines=3)
    view = LoadBalancedView(client)
    view._submit = lambda flags, f, args, kwargs, calls: args  # type: ignore
    mapped = LazyMapIterator(view, abs, (Read(10),))
    mapped.submit_more()
    assert mapped.under_way == [(0,), (1,), (2,)]
    mapped.submit_more()
    assert len(mapped.under_way) == 3


def test_nothing_endless_is_mapped_without_a_limit() -> None:
    client: Any = NoCluster()
    view = LoadBalancedView(client)
    with pytest.raises(ValueError, match="limit"):
        view.imap(abs, Count(), max_outstanding=0)
    for size, error in ((0, ValueError), (-1, ValueError), ("2", TypeError), (True, TypeError)):
        with pytest.raises(error, match="buffersize"):
            ViewExecutor(view).map(abs, Count(), buffersize=size)  # type: ignore[arg-type]
    assert list(islice(view.imap(abs, []), 1)) == []
