"""Views whose tasks go to whichever engine the scheduler chooses."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, Unpack

from hippodrome.briefly import brief_methods
from hippodrome.client.chunk import Chunk
from hippodrome.client.elements import apart
from hippodrome.client.hints import check_callable, check_sequences
from hippodrome.client.inputs import check_ends, iterator_of
from hippodrome.client.integrations import register_joblib_backend
from hippodrome.client.interruption import OwnCalls
from hippodrome.client.link.events import SubmittedBundle, TaskSubmitted
from hippodrome.client.link.outstanding import BYTES_PER_MESSAGE, TASKS_PER_MESSAGE
from hippodrome.client.results.mapresult import AsyncMapResult
from hippodrome.client.results.result import AsyncResult
from hippodrome.client.view import (
    Function,
    View,
    function_name,
)
from hippodrome.client.views.flagged import ViewFlag
from hippodrome.client.views.flags import MapOptions, TaskFlags, TaskFlagValues
from hippodrome.client.views.partition import check_chunksize
from hippodrome.protocol.messages import Digest, Task, TaskBundle
from hippodrome.serialize import dumps_call
from hippodrome.serialize.pickling import Pickled

if TYPE_CHECKING:
    from hippodrome.client.client import Client
    from hippodrome.client.views.imap import LazyMapIterator


@brief_methods()
class LoadBalancedView(View[TaskFlags]):
    """Calls functions on engines that the scheduler chooses.

    Args:
        client: whose engines.
        targets: ids of the engines that may be chosen; by default any.
        **flags: of `TaskFlags`, all others.
    """

    after: ViewFlag = ViewFlag()
    follow: ViewFlag = ViewFlag()
    timeout: ViewFlag = ViewFlag()
    retries: ViewFlag = ViewFlag()

    def __init__(
        self, client: Client, targets: Any = None, **flags: Unpack[TaskFlagValues]
    ) -> None:
        super().__init__(client, TaskFlags())
        self.set_flags(targets=targets, **flags)

    def __len__(self) -> int:
        targets = self.targets
        return len(self.client) if targets is None else len(targets)

    def imap(
        self,
        f: Function,
        /,
        *sequences: Iterable[Any],
        ordered: bool = True,
        max_outstanding: int | str = "auto",
        return_exceptions: bool = False,
    ) -> LazyMapIterator:
        """Call *f* with the elements of *sequences*, which may be endless, as results are taken.

        Args:
            f: the function.
            *sequences: read no further than is needed.
            ordered: whether results keep the order of the elements, or come first come.
            max_outstanding: how many tasks may be under way; ``"auto"`` is one for each engine,
                0 is no limit.
            return_exceptions: whether errors take the place of results.

        Returns:
            An iterator over the results, which has a ``cancel`` method.
        """
        from hippodrome.client.views.imap import LazyMapIterator

        return LazyMapIterator(self, f, sequences, ordered, max_outstanding, return_exceptions)

    def register_joblib_backend(
        self, name: str = "ipyparallel", make_default: bool = False
    ) -> None:
        """Let joblib run calls on this view; see `bridges.register_joblib_backend`."""
        register_joblib_backend(name, make_default, self)

    def _checked(self, changes: dict[str, Any]) -> dict[str, Any]:
        if changes.get("targets") is None:
            return changes
        targets = changes["targets"]
        if isinstance(targets, str) and targets == "all":
            return changes | {"targets": None}
        return changes | {"targets": self.client._ids_of(targets)}

    def _submit(
        self,
        flags: TaskFlags,
        f: Function,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        calls: OwnCalls | None = None,
    ) -> AsyncResult:
        client = self.client
        function = client._pickler.pickle(f)
        pickled = dumps_call(args, kwargs)
        number = client._new_number()
        msg_id = client._numbered(number)
        result = AsyncResult(client, [msg_id], function.name, single=True)
        if calls is not None:
            calls.add(result)
        options = flags.options(client._io.scheme)
        if options is not None:
            result._options = options
            result._label = options.label
        task = Task(msg_id, Digest(function.digest), pickled.payload, len(pickled.buffers), options)
        buffers = client._io.lend(msg_id, pickled.buffers)
        if buffers:
            result.note_sending(pickled.buffers, buffers)
        client._io.post(TaskSubmitted(task, function.data, buffers, result))
        client._history.append_number(number)
        self._history.append_number(number)
        return result

    def _submit_map(
        self,
        flags: TaskFlags,
        f: Function,
        sequences: tuple[Any, ...],
        options: MapOptions,
        calls: OwnCalls | None = None,
    ) -> AsyncMapResult:
        """Submit a task for each chunk."""
        check_sequences(sequences)
        check_callable(f)
        check_chunksize(options.chunksize)
        check_ends(sequences)
        elements = zip(*map(iterator_of, sequences), strict=False)
        if options.chunksize == 1:
            return self._submit_tasks(flags, f, list(elements), None, options, calls)
        chunks = [list(zip(*chunk, strict=True)) for chunk in _chunks(elements, options.chunksize)]
        sizes = [len(chunk[0]) for chunk in chunks]
        f = Chunk(f, options.return_exceptions)
        return self._submit_tasks(flags, f, [apart(c) for c in chunks], sizes, options, calls)

    def _submit_tasks(
        self,
        flags: TaskFlags,
        f: Function,
        calls: list[Any],
        sizes: list[int] | None,
        options: MapOptions,
        own: OwnCalls | None = None,
    ) -> AsyncMapResult:
        result = AsyncMapResult(
            self.client,
            self.client._new_msg_ids(len(calls)),
            function_name(f),
            sizes=sizes,
            ordered=options.ordered,
            return_exceptions=options.return_exceptions,
        )
        return self._post_all(options.labelled(flags), f, calls, result, own)

    def _post_all(
        self,
        flags: TaskFlags,
        f: Function,
        calls: list[Any],
        result: AsyncMapResult,
        own: OwnCalls | None,
    ) -> AsyncMapResult:
        if own is not None:
            own.add(result)
        client, msg_ids = self.client, result.msg_ids
        options = flags.options(client._io.scheme)
        function = client._pickler.pickle(f)
        digest = Digest(function.digest)
        pickled = [dumps_call(tuple(args), {}) for args in calls]
        if options is not None:
            result._options = options
            result._label = options.label
        post, blob = client._io.post, function.data
        index = 0
        for n, has_buffers in _runs(pickled):
            if not has_buffers:
                payloads = [call.payload for call in pickled[index : index + n]]
                bundle = TaskBundle(msg_ids[index : index + n], digest, payloads, options)
                post(SubmittedBundle(bundle, blob, result, index))
            else:
                msg_id, call = msg_ids[index], pickled[index]
                task = Task(msg_id, digest, call.payload, len(call.buffers), options)
                buffers = client._io.lend(msg_id, call.buffers)
                result.note_sending(call.buffers, buffers)
                post(TaskSubmitted(task, blob, buffers, result, index))
            index += n
        client._history.append_block(msg_ids)
        self._history.append_block(msg_ids)
        return result


def _runs(calls: Iterable[Pickled]) -> Iterator[tuple[int, bool]]:
    """Yield how many of *calls* go together, in order, and whether that is one with buffers."""
    n = size_bytes = 0
    for call in calls:
        size_bytes += len(call.payload)
        if n and (call.buffers or n == TASKS_PER_MESSAGE or size_bytes > BYTES_PER_MESSAGE):
            yield n, False
            n, size_bytes = 0, len(call.payload)
        if call.buffers:
            yield 1, True
        else:
            n += 1
    if n:
        yield n, False


def _chunks(elements: Iterable[Any], size: int) -> Iterable[list[Any]]:
    return iter(functools.partial(_take, iter(elements), size), [])


def _take(elements: Any, size: int) -> list[Any]:
    return list(islice(elements, size))
