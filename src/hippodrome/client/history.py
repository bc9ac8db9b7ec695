"""The ids of all tasks that were submitted, kept small: a session may have millions.

A client makes its ids by counting, so that a number is enough to remember one. What is asked for
is made into an id again; ids of other clients are kept as they are.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, MutableSequence, Sequence
from typing import ClassVar, Final, overload

from hippodrome.protocol.messages import MsgId

_FOREIGN: Final = 1 << 63  # above it are places in the list of foreign ids
_MOST_DIGITS: Final = 18  # of a number below that


class History(MutableSequence[MsgId]):
    """A list of msg_ids that takes eight bytes for each.

    Args:
        prefix: what the client's own ids begin with; a decimal number follows.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._numbers = array("Q")
        self._foreign: list[MsgId] = []

    def _pack(self, msg_id: MsgId) -> int:
        digits = msg_id[len(self._prefix) :]
        if digits.isdecimal() and len(digits) <= _MOST_DIGITS:
            number = int(digits)
            if f"{self._prefix}{number}" == msg_id:
                return number
        self._foreign.append(msg_id)
        return _FOREIGN + len(self._foreign) - 1

    def _unpack(self, number: int) -> MsgId:
        if number >= _FOREIGN:
            return self._foreign[number - _FOREIGN]
        return MsgId(f"{self._prefix}{number}")

    @overload
    def __getitem__(self, index: int) -> MsgId: ...
    @overload
    def __getitem__(self, index: slice) -> list[MsgId]: ...

    def __getitem__(self, index: int | slice) -> MsgId | list[MsgId]:
        if isinstance(index, slice):
            return list(map(self._unpack, self._numbers[index]))
        return self._unpack(self._numbers[index])

    def __setitem__(self, index: int | slice, value: MsgId | Iterable[MsgId]) -> None:
        if isinstance(index, slice):
            self._numbers[index] = array("Q", map(self._pack, value))  # type: ignore[arg-type]
        else:
            self._numbers[index] = self._pack(value)  # type: ignore[arg-type]

    def __delitem__(self, index: int | slice) -> None:
        del self._numbers[index]
        if not self._numbers:
            self._foreign.clear()

    def insert(self, index: int, value: MsgId) -> None:
        self._numbers.insert(index, self._pack(value))

    def append(self, value: MsgId) -> None:
        self._numbers.append(self._pack(value))

    def append_number(self, number: int) -> None:
        """Append the client's own id with this number."""
        self._numbers.append(number)

    def append_block(self, msg_ids: Sequence[MsgId]) -> None:
        """Append ids that the client has made in one go; see `Client._new_msg_ids`."""
        if msg_ids:
            first = self._pack(msg_ids[0])
            self._numbers.extend(range(first, first + len(msg_ids)))

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
        """The msg_ids of all tasks submitted here, in order; may be changed, or assigned to."""
        return self._history

    @history.setter
    def history(self, msg_ids: Iterable[MsgId]) -> None:
        if msg_ids is not self._history:  # as after ``+=``
            self._history[:] = msg_ids
