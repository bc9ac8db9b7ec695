"""The elements of a chunk as they travel: what they have in common arrives once for each."""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from hippodrome.protocol.frames import Buffer
from hippodrome.serialize import calling, current_namespace, dumps, loads
from hippodrome.serialize.namespaces import captures_of

_CONSTANT: Final = frozenset({type(None), bool, int, float, complex, str, bytes, range})


def apart(sequences: Iterable[Any]) -> tuple[Any, ...]:
    """Return the arguments of a chunk so that no call sees what another does to its elements.

    Args:
        sequences: anything that can be iterated over where it arrives.

    Returns:
        Of each, itself if its elements have nothing in common that can change, else its `Elements`.

    Raises:
        SerializationError: an element cannot be pickled.
    """
    return tuple(
        Elements(sequence, f"argument {i}") if _may_share(sequence) else sequence
        for i, sequence in enumerate(sequences)
    )


def _may_share(sequence: Any) -> bool:
    if not isinstance(sequence, list | tuple) and not _holds_objects(sequence):
        return False
    return len(sequence) > 1 and not all(map(_is_constant, sequence))


def _holds_objects(sequence: Any) -> bool:
    return bool(getattr(getattr(sequence, "dtype", None), "hasobject", False))


def _is_constant(element: Any) -> bool:
    kind = type(element)
    return kind in _CONSTANT or (kind is tuple and all(map(_is_constant, element)))


class Elements:
    """Elements, each pickled by itself. A buffer that several of them have travels once.

    Args:
        elements: what they are.
        name: what an error calls them.

    Raises:
        SerializationError: one of them cannot be pickled.
    """

    def __init__(self, elements: Sequence[Any], name: str) -> None:
        self._payloads: list[bytes] = []
        self._places: list[tuple[int, ...]] = []  # of each one's buffers
        self._buffers: list[memoryview] = []
        places: dict[object, int] = {}
        for i, element in enumerate(elements):
            pickled = dumps(element, f"{name}[{i}]")
            self._payloads.append(pickled.payload)
            self._places.append(
                tuple(self._place(memoryview(buffer), places) for buffer in pickled.buffers)
            )

    def _place(self, view: memoryview, places: dict[object, int]) -> int:
        key: object = id(view)
        if memoryview(view.obj).nbytes == view.nbytes:  # all that its owner has
            key = id(view.obj), view.format, view.shape
        place = places.get(key)
        if place is None:
            place = places[key] = len(self._buffers)
            self._buffers.append(view)
        return place

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        buffers = tuple(map(pickle.PickleBuffer, self._buffers))
        return _arrived, (self._payloads, self._places, buffers)


class Arrived:
    """Elements where they have arrived; each is unpickled when it is its turn."""

    def __init__(
        self, payloads: list[bytes], places: list[tuple[int, ...]], buffers: Sequence[Buffer]
    ) -> None:
        self._payloads = payloads
        self._places = places
        n_uses = Counter(place for own in places for place in own)
        self._buffers = [
            memoryview(buffer).toreadonly() if n_uses[place] > 1 else buffer  # copied at each use
            for place, buffer in enumerate(buffers)
        ]

    def __len__(self) -> int:
        return len(self._payloads)

    def __iter__(self) -> Iterator[Any]:
        for payload, own in zip(self._payloads, self._places, strict=True):
            yield loads(payload, [self._buffers[place] for place in own])


def _arrived(
    payloads: list[bytes], places: list[tuple[int, ...]], buffers: Sequence[Buffer]
) -> Arrived:
    return Arrived(payloads, places, buffers)


def call_arrived(f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call what has arrived as an element, where a task runs; return what it returns."""
    namespace = current_namespace()
    with calling(captures_of(f), {} if namespace is None else namespace):
        return f(*args, **kwargs)
