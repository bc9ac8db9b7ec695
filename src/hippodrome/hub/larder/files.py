"""Large buffers as files: one each, with a checksum, and with whose it is.

A file has its name from the moment on at which it is whole. Its head is `MAGIC`, the length of what
follows, and that: msgpack of the size, the CRC-32 of the content and the owners. Nothing is
believed that was read.
"""

from __future__ import annotations

import os
import re
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from hippodrome.process.descriptors import write_all
from hippodrome.protocol.frames import Buffer
from hippodrome.protocol.messages import MsgId
from hippodrome.store.large import Large

MAGIC: Final = b"hippobuf"
MOST_HEAD: Final = 16 << 20
CHUNK: Final = 1 << 20
PART: Final = ".part"

_LENGTH: Final = struct.Struct("<I")
_NAME: Final = re.compile(r"[1-9][0-9]{0,18}")


class _Head(msgspec.Struct, array_like=True, frozen=True):
    size_bytes: int
    checksum: int
    owners: list[MsgId]


_decode: Final = msgspec.msgpack.Decoder(_Head).decode


class DamagedFile(Exception):
    """A file does not hold what was written."""


def write(path: Path, owners: Sequence[MsgId], data: Buffer) -> None:
    """Write a buffer, all of it or nothing.

    Raises:
        OSError: it cannot be written.
    """
    view = memoryview(data).cast("B")
    checksum = 0
    for start in range(0, len(view), CHUNK):
        checksum = zlib.crc32(view[start : start + CHUNK], checksum)
    body = msgspec.msgpack.encode(_Head(len(view), checksum, list(owners)))
    part = path.with_name(path.name + PART)
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(part, flags, 0o600)
        try:
            write_all(descriptor, MAGIC + _LENGTH.pack(len(body)) + body)
            write_all(descriptor, view)
        finally:
            os.close(descriptor)
        os.rename(part, path)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise


def read(path: Path, large: Large) -> bytearray:
    """Return a buffer.

    Raises:
        OSError: it cannot be read.
        Damaged: it is not what was written.
    """
    with path.open("rb", buffering=0) as file:
        head = _read_head(file.fileno())
        if head.size_bytes != large.size_bytes:
            raise DamagedFile("its size is wrong")
        data = bytearray(head.size_bytes)
        view, done, checksum = memoryview(data), 0, 0
        while done < len(view):
            n = file.readinto(view[done : done + CHUNK])
            if not n:
                raise DamagedFile("it was cut off")
            checksum = zlib.crc32(view[done : done + n], checksum)
            done += n
    if checksum != head.checksum:
        raise DamagedFile("its checksum is wrong")
    return data


def _read_head(descriptor: int) -> _Head:
    start = os.read(descriptor, len(MAGIC) + _LENGTH.size)
    if len(start) < len(MAGIC) + _LENGTH.size or not start.startswith(MAGIC):
        raise DamagedFile("it is something else")
    (length,) = _LENGTH.unpack_from(start, len(MAGIC))
    if length > MOST_HEAD:
        raise DamagedFile("its head is damaged")
    body = os.read(descriptor, length)
    try:
        return _decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise DamagedFile("its head is damaged") from error


def scan(directory: Path) -> Iterator[tuple[Large, list[MsgId]]]:
    """Yield the buffers of a directory, oldest first; remove what is none.

    Raises:
        OSError: the directory cannot be read.
    """
    for name in sorted(os.listdir(directory), key=lambda name: (len(name), name)):
        path = directory / name
        if name.endswith(PART) and _NAME.fullmatch(name.removesuffix(PART)):
            _remove(path)  # its writer was killed
        if not _NAME.fullmatch(name):
            continue  # not ours
        try:
            with path.open("rb", buffering=0) as file:
                head = _read_head(file.fileno())
        except DamagedFile:
            _remove(path)
            continue
        except OSError:
            continue
        yield Large(int(name), head.size_bytes), head.owners


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()
