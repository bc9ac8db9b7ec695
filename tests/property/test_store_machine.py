"""The store in memory does what a dict of records would do, however ids and messages come."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hippodrome.protocol import messages as m
from hippodrome.store import groups
from hippodrome.store.base import Absent, Found
from hippodrome.store.batch import Ending, Submission
from hippodrome.store.memory import MemoryStore
from hippodrome.store.msg_ids import MOST_DIGITS
from hippodrome.store.record import TaskRecord

ME = m.PeerId("me")
F = m.Digest(b"f")
LIMIT = 12
SIZE_LIMIT = 60

# Runs that touch, overlap, cross where buckets and joined digits end; and ids that are no run.
numbered = st.builds(
    lambda prefix, first, n, step: [f"{prefix}_{first + i * step}" for i in range(n)],
    st.sampled_from(["a", "b", "a_1", ""]),
    st.sampled_from([0, 1, 3, 8, 97, 254, 995, 998, 1000, 1005, 2046]),
    st.integers(1, 8),
    st.sampled_from([1, 1, 1, 2, -1]),
)
odd = st.lists(st.sampled_from(["", "a", "a_", "a_01", "a_-1", "b_x", "\n_1", "_"]), max_size=3)
msg_ids = st.one_of(numbered, odd, st.builds(lambda one, two: one + two, numbered, odd))


class Model:
    """What is known of one task."""

    def __init__(self, payload: bytes) -> None:
        self.payload = payload
        self.result: bytes | None = None

    @property
    def size_bytes(self) -> int:
        return len(self.payload) + len(self.result or b"")


class StoreMachine(RuleBasedStateMachine):
    """Messages of any shape come in any order; each is checked against the models."""

    def __init__(self) -> None:
        super().__init__()
        self.store = MemoryStore(LIMIT, SIZE_LIMIT)
        self.models: dict[str, Model] = {}  # in the order of submission
        self.ended: list[str] = []
        self.expired: set[str] = set()
        self.removed: set[str] = set()

    def new(self, msg_id: str) -> bool:
        """Tell whether an id may be used: no task ever had it, or has it still."""
        return msg_id in self.models or msg_id not in self.expired | self.removed

    @rule(ids=msg_ids, size=st.integers(0, 9), bundled=st.booleans())
    def submit(self, ids: list[str], size: int, bundled: bool) -> None:
        given = [m.MsgId(msg_id) for msg_id in ids if self.new(msg_id)]
        if not given:
            return
        payloads = [bytes([i]) * size for i in range(len(given))]
        tasks: list[m.Task | m.TaskBundle] = [m.TaskBundle(given, F, payloads)]
        if not bundled:
            tasks = [m.Task(one, F, p) for one, p in zip(given, payloads, strict=True)]
        self.store.put_submitted(Submission(ME, 1.0, m.Submit(tasks)))
        for msg_id, payload in zip(given, payloads, strict=True):
            self.models.setdefault(msg_id, Model(payload))

    @rule(ids=msg_ids, size=st.integers(0, 9), bundled=st.booleans())
    def end(self, ids: list[str], size: int, bundled: bool) -> None:
        given = [m.MsgId(msg_id) for msg_id in ids if self.new(msg_id)]
        if not given:
            return
        n, payloads = len(given), [bytes([i]) * size for i in range(len(given))]
        times = [float(i + 1) for i in range(n)]
        results: list[m.Result | m.ResultBundle] = [
            m.ResultBundle(given, m.EngineId(0), 1, times, times, payloads)
        ]
        if not bundled:
            results = [
                m.Result(one, "ok", m.EngineId(0), payload=p)
                for one, p in zip(given, payloads, strict=True)
            ]
        self.store.put_ended(Ending(ME, 2.0, results))
        for msg_id, payload in zip(given, payloads, strict=True):
            model = self.models.setdefault(msg_id, Model(b""))
            if model.result is None:
                model.result = payload
                self.ended.append(msg_id)
        self.cull()

    def cull(self) -> None:
        while len(self.ended) > LIMIT or (
            sum(self.models[msg_id].size_bytes for msg_id in self.ended) > SIZE_LIMIT
        ):
            msg_id = self.ended.pop(0)
            del self.models[msg_id]
            self.expired.add(msg_id)

    @precondition(lambda self: self.models)
    @rule(data=st.data())
    def remove(self, data: Any) -> None:
        known = st.sampled_from(sorted(self.models))
        given = data.draw(st.lists(known, max_size=6))
        self.store.remove([m.MsgId(msg_id) for msg_id in given])
        for msg_id in set(given) & set(self.ended):
            self.drop(msg_id)

    @rule()
    def remove_finished(self) -> None:
        self.store.remove_finished()
        for msg_id in list(self.ended):
            self.drop(msg_id)

    def drop(self, msg_id: str) -> None:
        self.ended.remove(msg_id)
        del self.models[msg_id]
        self.removed.add(msg_id)

    @invariant()
    def lists_what_there_is(self) -> None:
        listed: list[str] = []
        self.store.history(listed.extend)
        assert listed == [record.msg_id for record in self.store] == list(self.models)
        condition = self.store.condition()
        assert (condition.n_records, condition.n_finished, condition.n_culled) == (
            len(self.models),
            len(self.ended),
            len(self.expired),
        )

    @invariant()
    def finds_what_there_is(self) -> None:
        found: dict[m.MsgId, Any] = {}
        every = [*self.models, *self.expired, *self.removed, "never"]

        def take(answer: Found) -> None:
            found.update(answer)

        self.store.find([m.MsgId(msg_id) for msg_id in every], take)
        for msg_id, record in found.items():
            if msg_id in self.models:
                model = self.models[msg_id]
                assert isinstance(record, TaskRecord)
                assert record.payload == model.payload
                assert record.is_finished == (model.result is not None)
                assert record.result == (model.result or b"")
            elif msg_id in self.expired:
                assert record is Absent.EXPIRED
            else:
                assert record is Absent.UNKNOWN


TestStore = StoreMachine.TestCase
TestStore.settings = settings(max_examples=100, stateful_step_count=25, deadline=None)
assert (groups.MOST_TASKS, MOST_DIGITS) == (256, 18)  # what the numbers above are about
