"""Reads rows out of the pages of an SQLite file, whatever has become of the rest of it.

SQLite itself gives up where a file is cut off, or a page is no page. Here each page is looked at by
itself, as SQLite's description of its file format has it: those that hold rows are told by their
first byte, and a row by what it says of its columns. What is damaged is passed over.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import Any, Final

Row = list[Any]  # Any: what SQLite stores
Bytes = Any  # bytes, or a map of a file

INDEX_INTERIOR: Final = 2
INDEX_LEAF: Final = 10  # tables WITHOUT ROWID are of these two kinds as well
TABLE_LEAF: Final = 13
MOST_COLUMNS: Final = 100
WAL_HEADER: Final = 32
FRAME_HEADER: Final = 24

_INTEGERS: Final = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}  # bytes, by the type of a column


class DamagedPage(Exception):
    """Something is not where it should be."""


class Pages:
    """The pages of a database, the latest of each.

    Args:
        data: the database.
        wal: what was written ahead, if there is any.
        size: bytes in a page.
    """

    def __init__(self, data: Bytes, wal: Bytes, size: int) -> None:
        self._data = data
        self._wal = wal
        self._size = size
        self._newer = newer_pages(wal, size)
        self._free = set(self._free_pages())

    def __iter__(self) -> Iterator[int]:
        """Yield the numbers of all pages that are there and in use."""
        n = max(len(self._data) // self._size, max(self._newer, default=0))
        return (number for number in range(1, n + 1) if number not in self._free)

    def page(self, number: int) -> bytes:
        """Return a page.

        Raises:
            Damaged: it is not there.
        """
        place = self._newer.get(number)
        source, start = (self._data, (number - 1) * self._size) if place is None else place
        page = bytes(source[start : start + self._size]) if number > 0 else b""
        if len(page) < self._size:
            raise DamagedPage(number)
        return page

    def rows(self) -> Iterator[Row]:
        """Yield all rows of all tables and indices, in no order."""
        for number in self:
            try:
                page = self.page(number)
                kind, cells = _cells(page, 100 if number == 1 else 0)
            except (DamagedPage, IndexError, struct.error):
                continue
            for start in cells:
                try:
                    yield self._row(page, kind, start)
                except (DamagedPage, IndexError, struct.error, OverflowError):
                    continue

    def _row(self, page: bytes, kind: int, start: int) -> Row:
        start += 4 if kind == INDEX_INTERIOR else 0  # which page is below
        size, start = _varint(page, start)
        if kind == TABLE_LEAF:
            _, start = _varint(page, start)  # its number
        return _columns(self._payload(page, start, size, is_table=kind == TABLE_LEAF))

    def _payload(self, page: bytes, start: int, size: int, *, is_table: bool) -> bytes:
        usable = self._size
        most = usable - 35 if is_table else (usable - 12) * 64 // 255 - 23
        if size <= most:
            here = page[start : start + size]
            if len(here) < size:
                raise DamagedPage(start)
            return here
        least = (usable - 12) * 32 // 255 - 23
        n_here = least + (size - least) % (usable - 4)
        n_here = n_here if n_here <= most else least
        parts, left = [page[start : start + n_here]], size - n_here
        number = int.from_bytes(page[start + n_here : start + n_here + 4], "big")
        while left > 0:
            after = self.page(number)
            parts.append(after[4 : 4 + min(left, usable - 4)])
            left -= len(parts[-1])
            number = int.from_bytes(after[:4], "big")
        return b"".join(parts)

    def _free_pages(self) -> Iterator[int]:
        """Yield the pages that hold nothing any more, as far as that can be told."""
        try:
            number = int.from_bytes(self.page(1)[32:36], "big")
            seen: set[int] = set()
            while number and number not in seen:
                seen.add(number)
                page = self.page(number)
                after, n = struct.unpack_from(">II", page)
                if n > self._size // 4 - 2:
                    return
                yield number
                yield from struct.unpack_from(f">{n}I", page, 8)
                number = after
        except (DamagedPage, struct.error):
            return


def newer_pages(wal: Bytes, size: int) -> Mapping[int, tuple[Bytes, int]]:
    """Return where in *wal* the pages are that were committed there, by their numbers."""
    newer: dict[int, tuple[Bytes, int]] = {}
    waiting: dict[int, tuple[Bytes, int]] = {}
    if len(wal) < WAL_HEADER or int.from_bytes(wal[8:12], "big") != size:
        return newer
    salts, start = bytes(wal[16:24]), WAL_HEADER
    while start + FRAME_HEADER + size <= len(wal) and bytes(wal[start + 8 : start + 16]) == salts:
        number, committed = struct.unpack_from(">II", wal, start)
        waiting[number] = wal, start + FRAME_HEADER
        if committed:
            newer.update(waiting)
            waiting.clear()
        start += FRAME_HEADER + size
    return newer


def _cells(page: bytes, start: int) -> tuple[int, tuple[int, ...]]:
    """Return of which kind a page is, and where its rows begin."""
    kind = page[start]
    if kind not in (INDEX_INTERIOR, INDEX_LEAF, TABLE_LEAF):
        raise DamagedPage(kind)
    (n,) = struct.unpack_from(">H", page, start + 3)
    first = start + (12 if kind == INDEX_INTERIOR else 8)
    n = min(n, (len(page) - first) // 2)
    return kind, struct.unpack_from(f">{n}H", page, first)


def _varint(data: bytes, start: int) -> tuple[int, int]:
    """Return a number of up to nine bytes, and where it ends."""
    value = 0
    for i in range(8):
        byte = data[start + i]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, start + i + 1
    return value << 8 | data[start + 8], start + 9


def _columns(payload: bytes) -> Row:
    header, at = _varint(payload, 0)
    if header > len(payload):
        raise DamagedPage(header)
    row: Row = []
    start = header
    while at < header and len(row) < MOST_COLUMNS:
        kind, at = _varint(payload, at)
        size = _INTEGERS.get(kind, 8 if kind == 7 else (kind - 12) // 2 if kind > 11 else 0)
        value = payload[start : start + size]
        if len(value) < size or kind in (10, 11):
            raise DamagedPage(kind)
        row.append(_value(kind, value))
        start += size
    if start != len(payload):
        raise DamagedPage(start)
    return row


def _value(kind: int, data: bytes) -> Any:
    if kind == 0:
        return None
    if kind in _INTEGERS:
        return int.from_bytes(data, "big", signed=True)
    if kind == 7:
        return struct.unpack(">d", data)[0]
    if kind in (8, 9):
        return kind - 8
    return data.decode(errors="replace") if kind % 2 else data
