"""Whether there is a controller, and this process is the one that is connected to it."""

from __future__ import annotations

import threading

from hippodrome.errors import ClusterError, ControllerLost


class Standing:
    """How a connection stands, as its thread says and every thread reads.

    Each attribute is replaced by one thread alone, and read once by who uses it, so that what a
    reader decides by was true a moment ago: the controller may be lost, or be back, right after. A
    call that is let through all the same is failed by the core.

    Attributes:
        is_over: whether the controller, or this client, is gone for good.
        was_shut_down: whether the controller has ended because somebody asked it to.
    """

    def __init__(self) -> None:
        self.is_over: bool = False
        self.was_shut_down: bool = False
        self._lost: ControllerLost | None = None
        self._is_forked = False
        self._is_leaving = False
        self._thread = threading.current_thread()  # the one that must not wait

    @property
    def is_lost(self) -> bool:
        """Whether the controller is not there, for now or for good."""
        return self._lost is not None

    @property
    def state(self) -> str:
        """Where the connection stands, in a word or two."""
        if self._is_forked:
            return "of another process"
        if self._is_leaving:
            return "closed"
        if self.was_shut_down:
            return "shut down"
        return "connected" if self._lost is None else "controller lost"

    def check_there(self) -> None:
        """Raise what `post` would raise, if anything."""
        if self._lost is not None or self._is_forked:
            self._raise_trouble()

    def check_may_wait(self) -> None:
        """Raise RuntimeError on the I/O thread, and ClusterError in a forked process."""
        if self.is_current_thread:
            raise RuntimeError(
                "this would wait on the client's I/O thread for ever: in a callback, use results "
                "that are there, or hand over to another thread"
            )
        if self._is_forked:
            self._raise_trouble()

    @property
    def is_current_thread(self) -> bool:
        return threading.get_ident() == self._thread.ident

    def why_lost(self) -> ControllerLost:
        """Return the error that tells why there is no controller."""
        return self._lost or ControllerLost("the client was closed")

    def on_fork(self) -> None:
        """This is the child now: it has neither the thread nor a right to the sockets."""
        self._is_forked = True

    def _raise_trouble(self) -> None:
        if self._is_forked:
            raise ClusterError(
                "this process was forked from the one that made the client, and has no connection "
                "of its own: make a new Client here"
            )
        lost = self._lost  # which the thread forgets when the controller is back
        if lost is not None:
            raise ControllerLost(str(lost))

    def _end(self, was_asked: bool) -> None:
        self.is_over, self.was_shut_down = True, was_asked
