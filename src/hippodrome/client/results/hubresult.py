"""Results of tasks that somebody else submitted, or whose result was fetched before."""

from __future__ import annotations

import time

from hippodrome.client.results.description import HubDescription
from hippodrome.client.results.future import T
from hippodrome.client.results.result import AsyncResult
from hippodrome.client.results.slot import Slot
from hippodrome.client.results.slots import overhear
from hippodrome.errors import ControllerLost
from hippodrome.protocol.frames import Buffer
from hippodrome.protocol.messages import Failure, Fetched, Result

Found = tuple[Fetched, tuple[Buffer, ...]]


class AsyncHubResult(AsyncResult[T]):
    """The result, now or later, of tasks about which this client has to ask the hub.

    >>> with ipp.Client() as yesterday:
    ...     ar = yesterday.load_balanced_view().apply_async(pow, 2, 5)
    ...     ar.wait()
    True
    >>> rc.get_result(ar.msg_ids[0]).get()
    32
    """

    _description = HubDescription
    _about: HubDescription

    def _take(self, index: int, found: Found) -> bool:
        """Take what the hub said of one task; return whether that has ended."""
        fetched, buffers = found
        about = self._about
        about.label = about.label or fetched.label
        if fetched.submitted:
            about.begin_at(fetched.submitted)
        if fetched.result is None:
            return False
        # the I/O thread may pass on those of other tasks meanwhile
        overhear(self, index, Slot(fetched.result, buffers, fetched.received or time.time()))
        if not self.owner:
            self._client._kept.setdefault(self.msg_ids[index], (self, index))
        return True

    def _lose(self, index: int, error: Exception) -> None:
        """Take it that the hub will not tell any more of this task."""
        name = "ControllerLost" if isinstance(error, ControllerLost) else "ResultExpired"
        why = Failure(name, str(error))
        lost = Result(self.msg_ids[index], "lost", None, failure=why)
        overhear(self, index, Slot(lost, (), time.time()))
