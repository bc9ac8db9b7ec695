"""Single requests, one step below views: for programs that bring views of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hippodrome.briefly import brief_methods
from hippodrome.client.owntasks import OwnTasks
from hippodrome.client.results.codec import engine_function
from hippodrome.client.results.result import AsyncResult
from hippodrome.client.views import targeting
from hippodrome.client.views.flags import TaskFlags
from hippodrome.serialize import Function, Pickled, Reference, dumps_call

Ident = int | str | bytes | None
Hook = Callable[[AsyncResult], object] | None


@brief_methods()
class Requests(OwnTasks):
    """The part of a `Client` that sends what others have put together."""

    def send_apply_request(
        self,
        socket: object,
        f: Callable[..., Any] | Reference,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        track: bool = False,
        ident: Ident = None,
        message_future_hook: Hook = None,
    ) -> AsyncResult:
        """Call ``f(*args, **kwargs)`` on one engine.

        Args:
            socket: accepted; *ident* says which way the request takes.
            f: the function, or a `Reference` to one that the engine has.
            args: its positional arguments, a list or tuple.
            kwargs: its keyword arguments.
            metadata: flags of this task as of a load-balanced view: ``label``, ``retries``,
                ``timeout``, ``after``, ``follow``, ``targets``. Targets may be uuids too.
            track: accepted; see `AsyncResult.sent`.
            ident: the engine, as its id or its uuid; None lets the scheduler choose one.
            message_future_hook: called with the result before the request is sent, and so
                before it can have ended.

        Returns:
            The result, now or later; its ``msg_id`` is that of the task.

        Raises:
            KeyError: there is no such flag.
            IndexError: there is no such engine.
            SerializationError: the function or an argument cannot be pickled.
            TypeError: an argument is of the wrong type.
            ValueError: a flag is out of range, or there are both an *ident* and targets.
            ControllerLost: there is no controller any more.

        >>> rc.send_apply_request(None, pow, [2, 5], ident=0).get()
        32
        """
        _check(args, (list, tuple), "args", "a list or tuple")
        _check(kwargs, (Mapping,), "kwargs", "a dict")
        function = self._submissions.pickle(f)
        call = dumps_call(tuple(args or ()), dict(kwargs or {}))
        return self._request(function, call, metadata, ident, message_future_hook)

    def send_execute_request(
        self,
        socket: object,
        code: str,
        silent: bool = True,
        metadata: Mapping[str, Any] | None = None,
        ident: Ident = None,
        message_future_hook: Hook = None,
    ) -> AsyncResult:
        """Run source text on one engine.

        Args:
            socket: accepted.
            code: as for `DirectView.execute`.
            silent: whether the value of a last expression is not shown.
            metadata: as for `send_apply_request`, as the others.
            ident: the engine.
            message_future_hook: called with the result before the request is sent.

        Returns:
            The result, now or later: an `ExecuteReply`.

        Raises:
            TypeError: an argument is of the wrong type; the others as from `send_apply_request`.

        >>> rc.send_execute_request(None, "a = 7", ident=0).wait()
        True
        """
        if not isinstance(code, str):
            raise TypeError(f"code must be source text, a str, not {type(code).__name__}")
        call = dumps_call((code, silent), {})
        return self._request(
            engine_function("execute"), call, metadata, ident, message_future_hook, code
        )

    def _request(
        self,
        function: Function,
        call: Pickled,
        metadata: Mapping[str, Any] | None,
        ident: Ident,
        hook: Hook,
        code: str | None = None,
    ) -> AsyncResult:
        flags = self._request_flags(metadata, ident)
        result = AsyncResult(self, self._submissions.new_ids(1), function.name, single=True)
        result._about.label, result._about.execute_input = flags.label or "", code
        try:
            if hook is not None:
                hook(result)
            self._send_request(flags, ident is not None, function, call, result)
        except BaseException:
            result.cancel()  # whoever was given it must not wait for ever
            raise
        return result

    def _send_request(
        self, flags: TaskFlags, is_direct: bool, function: Function, call: Pickled, to: AsyncResult
    ) -> None:
        """Send a request to the engine among *flags*, or to whichever of them is free."""
        out, books = self._submissions, (self._history,)
        if is_direct and flags == TaskFlags(targets=flags.targets, label=flags.label):
            out.to_named(to, function, [(call, flags.targets)], flags.label, books)
        else:  # what depends on others, or is tried again, is the scheduler's
            out.to_any(to, function, [call], flags.options(self._io.scheme), books)

    def _request_flags(self, metadata: Mapping[str, Any] | None, ident: Ident) -> TaskFlags:
        _check(metadata, (Mapping,), "metadata", "a dict")
        changes = dict(metadata or {})
        targets = changes.pop("targets", None)
        if ident is not None:
            if targets is not None:
                raise ValueError("give an ident or targets, not both")
            targets = [ident]
        if targets is not None:
            changes["targets"] = targeting.named(targets, self._io.engines)
        return TaskFlags().changed(changes)


def _check(value: object, kinds: tuple[type, ...], name: str, expected: str) -> None:
    """Raise TypeError unless *value* is of one of *kinds*, or None."""
    if value is not None and not isinstance(value, kinds):
        raise TypeError(f"{name} must be {expected}, not {type(value).__name__}")
