"""What comes from the controller goes to those who wait for it, on the I/O thread."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec

from hippodrome.client.link.events import (
    ClientAction,
    DeliverAnswer,
    Publish,
    Resolve,
    ResolveAll,
    Show,
)
from hippodrome.client.link.freight import Freight
from hippodrome.client.link.widget_comms import CommRelay
from hippodrome.client.results.future import LazyFuture
from hippodrome.client.results.slots import deliver, deliver_all
from hippodrome.errors import ProtocolError
from hippodrome.protocol.frames import Buffer
from hippodrome.protocol.messages import Answer, Failure, Result
from hippodrome.protocol.reading import read
from hippodrome.segments.files import Segments

if TYPE_CHECKING:
    from hippodrome.client.results.result import AsyncResult

_decode_answer: Final = msgspec.msgpack.Decoder(strict=False).decode


class Reply(LazyFuture[Any]):  # Any: what the hub answers
    """The answer, now or later, to a question to the hub.

    Args:
        check_may_wait: raises on the thread that must not wait for it.
        what: is asked for, to people.

    Attributes:
        buffers: what came along with it.
    """

    def __init__(self, check_may_wait: Callable[[], None], what: str = "question") -> None:
        self._check_may_wait = check_may_wait  # type: ignore[method-assign]
        self.what: str = what
        self.buffers: Sequence[Buffer] = ()

    def __repr__(self) -> str:
        word = "cancelled" if self.cancelled() else "failed" if self._has_failed() else "done"
        return f"<{self.what}: {word if self.done() else 'pending'}>"


class Delivery:
    """Hands results, output and answers over as they came; nothing here runs code of the user.

    Attributes:
        now: the wall clock when this turn of the loop began.
        segments: the memory that processes of this host share, or what this one offers and gets of
            other hosts; None before the welcome.
        performers: what to do for each action.
    """

    def __init__(self) -> None:
        self.now: float = 0.0
        self.segments: Segments | Freight | None = None
        self.performers: Mapping[type[ClientAction], Callable[[Any], None]] = {
            Resolve: self._resolve,
            ResolveAll: self._resolve_all,
            Show: self._show,
            Publish: self._publish,
            DeliverAnswer: self._deliver,
        }
        self._comms = CommRelay()

    def share(self, segments: Segments | Freight | None) -> None:
        """Use *segments* from now on, in place of others."""
        if self.segments is not None:
            self.segments.close()
        self.segments = segments

    def _resolve(self, action: Resolve) -> None:
        waiter, index, result = cast("AsyncResult", action.waiter), action.index, action.result
        waiter._client._kept[result.msg_id] = (waiter, index)
        if result.shown is not None:
            self._comms.end(waiter, result)
        try:
            buffers = self._take_over(action.buffers)
        except (OSError, ValueError) as error:  # the latter: there is nothing in it
            failure = Failure("DeserializationError", f"a part of the result is gone: {error}")
            result = Result(result.msg_id, "error", result.engine, failure=failure)
            buffers = ()
        deliver(waiter, index, result, buffers, self.now)

    def _take_over(self, buffers: Sequence[Buffer]) -> Sequence[Buffer]:
        """Return *buffers* with what lies in segments in place of references.

        Raises:
            OSError: a segment is gone.
        """
        if not buffers or self.segments is None:
            return buffers
        return self.segments.take_over(buffers)

    def _resolve_all(self, action: ResolveAll) -> None:
        now, results, indices = self.now, action.results, action.indices
        waiters = cast("list[AsyncResult]", action.waiters)
        if not waiters:
            return
        first = waiters[0]
        places = zip(waiters, indices, strict=True)
        first._client._kept.update(zip((one.msg_id for one in results), places, strict=True))
        if waiters.count(first) == len(waiters):
            deliver_all(first, indices, results, now)
            return
        for waiter, index, result in zip(waiters, indices, results, strict=True):
            deliver(waiter, index, result, (), now)

    def _show(self, action: Show) -> None:
        waiter = cast("AsyncResult", action.waiter)
        if action.piece.comm is not None:
            self._comms.show(waiter, action.piece)
        else:
            waiter._tasks.show(action.index, action.piece, action.engine)

    def _publish(self, action: Publish) -> None:
        publish = cast("AsyncResult", action.waiter)._tasks.publish
        publish(action.index, action.datum, action.buffers)

    def _deliver(self, action: DeliverAnswer) -> None:
        reply = cast("Reply", action.waiter)
        answer: Answer = action.answer
        try:
            reply.buffers = self._take_over(action.buffers)
        except (OSError, ValueError) as error:
            failure = Failure("ResultExpired", f"a part of the answer is gone: {error}")
            answer = Answer(answer.number, error=failure)
        if answer.error is not None:
            reply.set_exception(_query_error(answer.error))
        else:
            self._set_answer(reply, answer.value)

    def _set_answer(self, reply: Reply, value: bytes) -> None:
        try:
            found = read(_decode_answer, value or b"\xc0", "an answer")
        except ProtocolError as error:
            reply.set_exception(error)
        else:
            reply.set_result(found)


def _query_error(failure: Failure) -> Exception:
    from hippodrome.serialize import restore_error

    return restore_error(failure)
