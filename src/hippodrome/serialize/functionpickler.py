"""Functions to pickles, once per function.

A client calls one function many times, so its pickle is kept for as long as the function lives;
but a function is more than its code, so each call compares what went into the pickle with what is
there now. The pickle is used again only if all of that is identical and cannot change inside.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable
from typing import Any, Final

from hippodrome.errors import CaptureWarning
from hippodrome.protocol.ids import digest_of
from hippodrome.serialize.byvalue import Dumped, dump
from hippodrome.serialize.canners import can_map, canners
from hippodrome.serialize.culprit import refusal
from hippodrome.serialize.functions import Function, check_may_leave, not_callable
from hippodrome.serialize.notices import LARGE_BYTES, notice
from hippodrome.serialize.reference import Late, Reference
from hippodrome.serialize.snapshots import Snapshot, snapshots

KEPT_BYTES: Final = 64 << 20
ENTRY_BYTES: Final = 1024  # of one besides its pickle


class FunctionPickler:
    """Pickles functions and remembers the pickles; for any number of threads.

    Args:
        limit_bytes: how much is kept; what has not been asked for since others came goes first.
    """

    def __init__(self, limit_bytes: int = KEPT_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._entries: dict[int, _Entry] = {}  # by id of the function, which the entry checks
        self._kept_bytes = 0  # or less: functions die at any time, and take theirs along

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
                entry.is_used = True
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
        except (KeyboardInterrupt, CaptureWarning):
            raise
        except BaseException as error:
            raise refusal([(f"function {_name(f)}", f)], error) from error
        if dumped.live:
            check_may_leave(f)
        if dumped.generators or len(dumped.data) > LARGE_BYTES:
            notice(f, _name(f), dumped)
        digest = digest_of(dumped.data)
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
        entry = _Entry(ref, function, snapshots(f, dumped))
        self._entries.pop(id(f), None)  # so that the new one is the last
        self._entries[id(f)] = entry
        self._kept_bytes += entry.size_bytes
        if self._kept_bytes > self._limit_bytes:
            self._forget_some()

    def _forget_some(self) -> None:
        """Forget what has not been used, oldest first, down to three quarters: it takes time."""
        entries = self._entries.copy()  # from which nothing is taken while it is read
        kept_bytes = sum(entry.size_bytes for entry in entries.values())
        if kept_bytes > self._limit_bytes:
            # those that were not used first, else the oldest
            for key, entry in sorted(entries.items(), key=lambda item: item[1].is_used):
                if kept_bytes <= self._limit_bytes * 3 // 4:
                    break
                if self._entries.pop(key, None) is not None:
                    kept_bytes -= entry.size_bytes
            for entry in entries.values():
                entry.is_used = False
        self._kept_bytes = kept_bytes

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

    __slots__ = ("function", "is_used", "others", "own", "ref", "size_bytes", "stable")

    def __init__(
        self, ref: weakref.ref[Any], function: Function, snapshots: list[Snapshot] | None
    ) -> None:
        self.ref = ref
        self.function = function
        self.size_bytes: int = len(function.data) + ENTRY_BYTES
        self.is_used: bool = False
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
