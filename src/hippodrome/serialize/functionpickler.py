"""Functions to pickles, once per function.

A client calls one function many times, so its pickle is kept for as long as the function lives;
but a function is more than its code, so each call compares what went into the pickle with what is
there now. The pickle is used again only if all of that is identical and cannot change inside.
"""

from __future__ import annotations

import functools
import hashlib
import weakref
from collections.abc import Callable
from typing import Any, Final

from hippodrome.serialize.byvalue import Dumped, dump
from hippodrome.serialize.canners import can_map, canners
from hippodrome.serialize.culprit import refusal
from hippodrome.serialize.functions import Function, not_callable
from hippodrome.serialize.reference import Late, Reference
from hippodrome.serialize.snapshots import Snapshot, snapshots

DIGEST_BYTES: Final = 16


class FunctionPickler:
    """Pickles functions and remembers the pickles; for any number of threads."""

    def __init__(self) -> None:
        self._entries: dict[int, _Entry] = {}  # by id of the function, which the entry checks

    def pickle(self, f: Callable[..., Any] | Reference) -> Function:
        """Return *f* pickled.

        The same object as last time, if nothing that went into it has changed.

        Args:
            f: anything that can be called, or a `Reference` to it.

        Raises:
            SerializationError: something that it uses cannot be pickled.
            TypeError: it cannot be called, or `can_map` has a type that it cannot have.
        """
        entry = self._entries.get(id(f))
        if entry is not None and entry.ref() is f:
            if not can_map and entry.holds(f):
                return entry.function
            return self._pickle(f, entry.function)
        return self._pickle(f, None)

    def _pickle(self, f: Callable[..., Any] | Reference, before: Function | None) -> Function:
        if isinstance(f, Reference):
            f = Late(f.name)
        if not callable(f):
            raise not_callable(f)
        if can_map:
            canners()
        try:
            dumped = dump(f)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise refusal([(f"function {_name(f)}", f)], error) from error
        digest = hashlib.blake2b(dumped.data, digest_size=DIGEST_BYTES).digest()
        if before is not None and before.digest == digest:
            function = before
        else:
            function = Function(digest, dumped.data, _name(f))
        self._remember(f, function, dumped)
        return function

    def _remember(self, f: Callable[..., Any], function: Function, dumped: Dumped) -> None:
        try:
            ref = weakref.ref(f, self._forgetter(id(f)))
        except TypeError:  # cannot be referred to weakly: pickled at each call
            return
        self._entries[id(f)] = _Entry(ref, function, snapshots(f, dumped))

    def _forgetter(self, key: int) -> Callable[[weakref.ref[Any]], None]:
        entries = self._entries

        def forget(ref: weakref.ref[Any]) -> None:
            entry = entries.get(key)
            if entry is not None and entry.ref is ref:  # else the id belongs to another by now
                entries.pop(key, None)

        return forget


class _Entry:
    """A pickle, and the state of every function inside when it was made.

    ``snapshots`` is None if something inside may change without our seeing it.
    """

    __slots__ = ("function", "others", "own", "ref", "stable")

    def __init__(
        self, ref: weakref.ref[Any], function: Function, snapshots: list[Snapshot] | None
    ) -> None:
        self.ref = ref
        self.function = function
        self.stable = snapshots is not None
        f = ref()
        self.own = next((s for s in snapshots or () if s.ref() is f), None)
        self.others = tuple(s for s in snapshots or () if s is not self.own)

    def holds(self, f: Any) -> bool:
        if not self.stable or (self.own is not None and not self.own.holds(f)):
            return False
        for snapshot in self.others:
            function = snapshot.ref()
            if function is None or not snapshot.holds(function):
                return False
        return True


def _name(f: object) -> str:
    inner = f.func if isinstance(f, functools.partial) else f
    for attribute in ("__qualname__", "__name__"):
        name = getattr(inner, attribute, None)
        if isinstance(name, str):
            return name
    return type(inner).__qualname__
