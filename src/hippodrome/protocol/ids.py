"""The ids that several packages make or read.

A peer names itself by 32 hexadecimal digits. The id of a task is that of its client and a number,
``<client>_<number>``. Whoever reads ids has to do with any others, too.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import Final

from hippodrome.protocol.frames import Buffer
from hippodrome.protocol.messages import Digest, MsgId, PeerId
from hippodrome.protocol.ranges import SECRET_BYTES

DIGEST_BYTES: Final = 16

_REST: Final = re.compile(r"(?<![0-9a-f])([0-9a-f]{8})[0-9a-f]{24}(?![0-9a-f])")


def new_peer_id() -> PeerId:
    """Return an id that nobody else has."""
    return PeerId(secrets.token_hex(16))


def new_secret() -> bytes:
    """Return what proves that later connections are of the peer that has it."""
    return secrets.token_bytes(SECRET_BYTES)


def msg_id_of(client: str, number: int) -> MsgId:
    """Return the id of a client's task."""
    return MsgId(f"{client}_{number}")


def client_of(msg_id: MsgId) -> PeerId:
    """Return whose task it is; what the ids of all tasks of one client begin with."""
    return PeerId(msg_id.rpartition("_")[0])


def digest_of(data: Buffer) -> Digest:
    """Return the name of content."""
    return Digest(hashlib.blake2b(data, digest_size=DIGEST_BYTES).digest())


def short(text: str) -> str:
    """Return *text* with as much of the ids of peers in it as tells them apart for people."""
    return _REST.sub(r"\1", text)
