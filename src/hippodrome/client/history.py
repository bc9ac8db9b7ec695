"""The ids of all tasks that were submitted, kept small: a session may have millions.

A client makes its ids by counting, so that a number is enough to remember one. What is asked for
is made into an id again; ids of other clients are kept as they are.
"""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Iterable, MutableSequence, Sequence
from typing import ClassVar, Final, overload

from hippodrome.protocol.messages import MsgId

_FOREIGN: Final = 1 << 63  # above it are places in the list of foreign ids
_MOST_DIGITS: Final = 18  # of a number below that
_BLOCK_BITS: Final = 10
_LOW: Final = (1 << _BLOCK_BITS) - 1


class Members:
    """Which ids a history has: a byte for each number of those that lie close.

    Threads may enter ids at the same time, as each step is one of the interpreter's, and to enter
    one twice changes nothing.

    Attributes:
        n_entered: how many of the history's ids have been entered.
    """

    def __init__(self) -> None:
        self._blocks: dict[int, bytearray] = {}
        self._texts: set[str] = set()
        self.n_entered: int = 0

    def enter(self, numbers: array[int], foreign: dict[int, MsgId]) -> None:
        """Enter what follows those that have been entered."""
        first = self.n_entered
        new = numbers[first:]
        for number in new:
            if number < _FOREIGN:
                self._block(number >> _BLOCK_BITS)[number & _LOW] = 1
            elif (text := foreign.get(number - _FOREIGN)) is not None:  # else just removed
                self._texts.add(text)
        self.n_entered = first + len(new)

    def _block(self, place: int) -> bytearray:
        return self._blocks.get(place) or self._blocks.setdefault(place, bytearray(_LOW + 1))

    def has(self, number: int) -> bool:
        block = self._blocks.get(number >> _BLOCK_BITS)
        return block is not None and block[number & _LOW] == 1

    def has_text(self, text: str) -> bool:
        return text in self._texts


class History(MutableSequence[MsgId]):
    """A list of msg_ids that takes eight bytes for each.

    Args:
        prefix: what the client's own ids begin with; a decimal number follows.

    Attributes:
        _era: new whenever somebody else than the client has changed the list.
    """

    def __init__(self, prefix: str) -> None:
        self._era: object = object()
        self._n_edited = 0  # of the ids are of earlier eras
        self._prefix = prefix
        self._numbers = array("Q")
        self._foreign: dict[int, MsgId] = {}
        self._places = itertools.count()
        self._members = Members()  # for as long as nothing but appending happens

    def _pack(self, msg_id: MsgId) -> int:
        number = self._number_of(msg_id)
        if number is not None:
            return number
        place = next(self._places)  # no two threads get the same one
        self._foreign[place] = msg_id
        return _FOREIGN + place

    def _number_of(self, msg_id: str) -> int | None:
        """Return the number of an id of the client's own; None of another."""
        digits = msg_id[len(self._prefix) :]
        if digits.isdecimal() and len(digits) <= _MOST_DIGITS:
            number = int(digits)
            if f"{self._prefix}{number}" == msg_id:
                return number
        return None

    def _unpack(self, number: int) -> MsgId:
        if number >= _FOREIGN:
            return self._foreign[number - _FOREIGN]
        return MsgId(f"{self._prefix}{number}")

    def __contains__(self, msg_id: object) -> bool:
        """Tell whether *msg_id* is here, at a cost that does not grow with the history."""
        if not isinstance(msg_id, str):
            return False
        members = self._members
        members.enter(self._numbers, self._foreign)
        number = self._number_of(msg_id)
        return members.has_text(msg_id) if number is None else members.has(number)

    @overload
    def __getitem__(self, index: int) -> MsgId: ...
    @overload
    def __getitem__(self, index: slice) -> list[MsgId]: ...

    def __getitem__(self, index: int | slice) -> MsgId | list[MsgId]:
        if isinstance(index, slice):
            return list(map(self._unpack, self._numbers[index]))
        try:
            return self._unpack(self._numbers[index])
        except IndexError:
            raise IndexError(f"there is no task {index}: there are {len(self._numbers)}") from None

    def __setitem__(self, index: int | slice, value: MsgId | Iterable[MsgId]) -> None:
        if isinstance(index, slice):
            self._numbers[index] = array("Q", map(self._pack, value))  # type: ignore[arg-type]
        else:
            self._numbers[index] = self._pack(value)  # type: ignore[arg-type]
        self._edited()

    def __delitem__(self, index: int | slice) -> None:
        del self._numbers[index]
        if not self._numbers:
            self._foreign.clear()
        self._edited()

    def insert(self, index: int, value: MsgId) -> None:
        self._numbers.insert(index, self._pack(value))
        self._edited()

    def append(self, value: MsgId) -> None:
        self._numbers.append(self._pack(value))
        self._era, self._n_edited = object(), len(self._numbers)

    def _edited(self) -> None:
        self._era, self._n_edited = object(), len(self._numbers)
        self._members = Members()

    def _among(self, tasks: Iterable[tuple[MsgId, object]]) -> set[MsgId]:
        """Return which of *tasks* are here, at a cost that does not grow with the history.

        Args:
            tasks: each with the era in which it was entered. In the present one all are here; of
                others only what somebody has put here, or left.
        """
        era, is_edited = self._era, self._n_edited > 0
        return {m for m, entered in tasks if entered is era or (is_edited and m in self)}

    def _append_number(self, number: int) -> None:
        """Append the client's own id with this number."""
        self._numbers.append(number)

    def _append_numbers(self, first: int, n: int) -> None:
        """Append *n* of the client's own ids, from the one with number *first* on."""
        self._numbers.extend(range(first, first + n))

    def _place_of(self, block: Sequence[MsgId]) -> int | None:
        """Return where *block* begins; None if it is not here as a whole, in this order."""
        try:
            place = self._numbers.index(self._pack(block[0]))
        except ValueError:
            return None
        return place if self[place : place + len(block)] == list(block) else None

    def clear(self) -> None:
        del self[:]

    def __len__(self) -> int:
        return len(self._numbers)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, list | History):
            return len(self) == len(other) and all(map(str.__eq__, self, other))
        return NotImplemented

    __hash__: ClassVar[None] = None  # type: ignore[assignment]  # it may change

    # Lists can be added, so that scripts add histories.

    def __add__(self, other: Sequence[MsgId]) -> list[MsgId]:
        return [*self, *other]

    def __radd__(self, other: Sequence[MsgId]) -> list[MsgId]:
        return [*other, *self]

    def copy(self) -> list[MsgId]:
        return list(self)

    def __repr__(self) -> str:
        return repr(list(self))


class HasHistory:
    """A client or a view: what has a `history`."""

    _history: History

    @property
    def history(self) -> History:
        """The msg_ids of all tasks submitted here, in order; may be changed, or assigned to.

        >>> ar = lbv.apply_async(abs, -2)
        >>> lbv.history[-1] in ar.msg_ids
        True
        """
        return self._history

    @history.setter
    def history(self, msg_ids: Iterable[MsgId]) -> None:
        if msg_ids is not self._history:  # as after ``+=``
            self._history[:] = msg_ids
