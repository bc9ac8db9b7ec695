"""Which functions a peer has been sent."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from hippodrome.protocol.messages import Digest

KNOWN_PER_ENGINE: Final = 1000


class Known:
    """Which functions a peer has been sent; it may have dropped some, and then asks again."""

    def __init__(self, limit: int = KNOWN_PER_ENGINE) -> None:
        self._limit = limit
        self._digests: OrderedDict[Digest, None] = OrderedDict()

    def is_new(self, digest: Digest) -> bool:
        """Tell whether *digest* has to be sent; it counts as known from then on."""
        if digest in self._digests:
            self._digests.move_to_end(digest)
            return False
        self._digests[digest] = None
        if len(self._digests) > self._limit:
            self._digests.popitem(last=False)
        return True
