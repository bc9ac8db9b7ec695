"""A message's tasks, or their ends, side by side as a page keeps them.

What equal tasks have in common is one object for all of them.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field

from hippodrome.protocol import messages as m
from hippodrome.store.batch import Ending, Submission
from hippodrome.store.groups import Begin, End
from hippodrome.store.large import Kept
from hippodrome.store.times import known_or_zero

NOBODY = m.PeerId("")


@dataclass(slots=True)
class Calls:
    """How tasks came.

    Attributes:
        msg_ids: their ids; the other lists are as long.
        begins: how each came.
        payloads: their arguments.
        buffers: by place, how many buffers a task has, and those that are kept.
    """

    msg_ids: list[m.MsgId]
    begins: list[Begin]
    payloads: list[bytes]
    buffers: dict[int, tuple[int, Kept]] = field(default_factory=dict)


@dataclass(slots=True)
class Ends:
    """How tasks ended; as in `Calls`, and in addition times as in `groups.Group`.

    Attributes:
        texts: places of those that showed something or failed.
    """

    msg_ids: list[m.MsgId]
    ends: list[End]
    payloads: list[bytes]
    started: array[float]
    until: array[float]
    buffers: dict[int, tuple[int, Kept]] = field(default_factory=dict)
    texts: set[int] = field(default_factory=set)


def calls_of(batch: Submission) -> Calls:
    """Return the tasks of a submission."""
    message = batch.message
    if isinstance(message, m.SubmitDirect):
        return _direct_calls(batch, message)
    if len(message.tasks) == 1 and isinstance(bundle := message.tasks[0], m.TaskBundle):
        return Calls(bundle.msg_ids, [_begin(batch, bundle)] * len(bundle.msg_ids), bundle.payloads)
    calls = Calls([], [], [])
    shared: dict[m.Digest, Begin] = {}  # by tasks without options
    for place, task in enumerate(message.tasks):
        begin = shared.get(task.function) if task.options is None else None
        if begin is None:
            begin = _begin(batch, task)
            if task.options is None:
                shared[task.function] = begin
        if isinstance(task, m.TaskBundle):
            calls.msg_ids += task.msg_ids
            calls.begins += [begin] * len(task.msg_ids)
            calls.payloads += task.payloads
            continue
        if task.n_buffers:
            calls.buffers[len(calls.msg_ids)] = task.n_buffers, batch.buffers.get(place)
        calls.msg_ids.append(task.msg_id)
        calls.begins.append(begin)
        calls.payloads.append(task.payload)
    return calls


def _begin(batch: Submission, task: m.Task | m.TaskBundle) -> Begin:
    return Begin(batch.client, "task", known_or_zero(batch.wall), task.function, task.options)


def _direct_calls(batch: Submission, message: m.SubmitDirect) -> Calls:
    begins, wall = [], known_or_zero(batch.wall)
    for target in message.targets:
        options = m.Options(targets=[target], label=message.label)
        begins.append(Begin(batch.client, "mux", wall, message.function, options))
    n = len(message.msg_ids)
    calls = Calls(message.msg_ids, begins, [message.payload] * n)
    if message.n_buffers:
        calls.buffers = dict.fromkeys(range(n), (message.n_buffers, batch.buffers.get(0)))
    return calls


def ends_of(batch: Ending) -> Iterator[Ends]:
    """Yield how the tasks of a message ended, in parts."""
    singles: list[int] = []
    for place, result in enumerate(batch.results):
        if isinstance(result, m.Result):
            singles.append(place)
            continue
        if singles:
            yield _ends_of_singles(batch, singles)
            singles = []
        yield _ends_of_bundle(batch, result)
    if singles:
        yield _ends_of_singles(batch, singles)


def _ends_of_bundle(batch: Ending, bundle: m.ResultBundle) -> Ends:
    uuid = batch.uuids.get(bundle.engine, NOBODY)
    received = known_or_zero(batch.wall)
    end = End("ok", bundle.engine, uuid, bundle.attempt, received, has_run_s=True)
    started, run_s = array("d", bundle.started), array("d", bundle.run_s)
    return Ends(bundle.msg_ids, [end] * len(bundle.msg_ids), bundle.payloads, started, run_s)


def _ends_of_singles(batch: Ending, places: list[int]) -> Ends:
    ends = Ends([], [], [], array("d"), array("d"))
    shared: dict[tuple[m.EngineId | None, int, str], End] = {}  # by those without any text
    for place in places:
        result = batch.results[place]
        assert isinstance(result, m.Result)
        has_text = (
            result.failure is not None or result.stdout or result.stderr or result.shown is not None
        )
        kind = (result.engine, result.attempt, result.status)
        end = None if has_text else shared.get(kind)
        if end is None:
            end = _end(batch, result)
            if not has_text:
                shared[kind] = end
        if has_text:
            ends.texts.add(len(ends.msg_ids))
        if result.n_buffers:
            ends.buffers[len(ends.msg_ids)] = result.n_buffers, batch.buffers.get(place)
        ends.msg_ids.append(result.msg_id)
        ends.ends.append(end)
        ends.payloads.append(result.payload)
        ends.started.append(result.started)
        ends.until.append(result.completed)
    return ends


def _end(batch: Ending, result: m.Result) -> End:
    uuid = NOBODY if result.engine is None else batch.uuids.get(result.engine, NOBODY)
    return End(
        result.status, result.engine, uuid, result.attempt, known_or_zero(batch.wall),
        result.failure, result.stdout, result.stderr, result.shown,
    )  # fmt: skip
