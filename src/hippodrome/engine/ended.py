"""How attempts ended, from then until the controller has acknowledged that it knows."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from hippodrome.engine.attempts import AttemptEnded, StartAttempt, data_of
from hippodrome.protocol.bundles import ids_of
from hippodrome.protocol.frames import Buffer
from hippodrome.protocol.messages import Datum, MsgId, Outcome, OutcomeBundle, Outcomes, Published


class EndedAttempts:
    """Outcomes that are ready to leave, and those that have left.

    Attributes:
        n_ready: how many are ready.
    """

    def __init__(self) -> None:
        self.n_ready: int = 0
        self._ready: list[Outcome | OutcomeBundle] = []
        self._buffers: list[Buffer] = []
        self._bundle: OutcomeBundle | None = None  # the last that is ready, if it can take more
        self._bundle_of = 0  # the bundle of attempts that it is of
        self._data: list[Datum] = []  # published by those that have ended
        self._data_buffers: list[Buffer] = []
        self._sent: deque[tuple[int, list[Outcome | OutcomeBundle]]] = deque()

    def add(self, start: StartAttempt, ended: AttemptEnded) -> None:
        """Take the outcome of an attempt."""
        self.n_ready += 1
        if ended.data:
            self._data += data_of(start, ended.data, self._data_buffers)
        is_plain = ended.status == "ok" and not (
            ended.buffers or ended.stdout or ended.stderr or ended.shown
        )
        if start.bundle and is_plain:
            bundle = self._bundle
            if bundle is None or start.bundle != self._bundle_of:
                self._bundle_of = start.bundle
                self._bundle = bundle = OutcomeBundle([], start.attempt, [], [], [])
                self._ready.append(bundle)
            bundle.msg_ids.append(start.msg_id)
            bundle.started.append(ended.started)
            bundle.run_s.append(ended.run_s)
            bundle.payloads.append(ended.payload)
            return
        self._bundle = None
        outcome = Outcome(
            start.msg_id,
            start.attempt,
            ended.status,
            ended.started,
            ended.started + ended.run_s,  # so that no duration is ever negative
            ended.run_s,
            ended.payload,
            len(ended.buffers),
            ended.failure,
            ended.stdout,
            ended.stderr,
            ended.shown,
        )
        self._ready.append(outcome)
        self._buffers.extend(ended.buffers)

    def add_not_begun(self, outcome: Outcome) -> None:
        """Take the outcome of an attempt that will not begin."""
        self.n_ready += 1
        self._ready.append(outcome)

    def take_published(self) -> tuple[Published, list[Buffer]] | None:
        """Return what those that have ended have published, if anything."""
        if not self._data:
            return None
        taken = Published(self._data, True), self._data_buffers
        self._data, self._data_buffers = [], []
        return taken

    def take_outcomes(self) -> tuple[Outcomes, list[Buffer]] | None:
        """Return what is ready, if anything is; say the number of its message to `note_sent`."""
        if not self._ready:
            return None
        taken = Outcomes(self._ready), self._buffers
        self._ready, self._buffers, self.n_ready = [], [], 0
        self._bundle = None  # what ends from now on leaves with the next
        return taken

    def note_sent(self, number: int, outcomes: Outcomes) -> None:
        """*outcomes* have left in the message with this number."""
        self._sent.append((number, outcomes.outcomes))

    def take_acknowledged(self, number: int) -> Iterator[list[Outcome | OutcomeBundle]]:
        """Forget, and yield, what each message up to *number* held."""
        while self._sent and self._sent[0][0] <= number:
            yield self._sent.popleft()[1]

    def forget_sent(self) -> None:
        """Nobody will acknowledge what has left."""
        self._sent.clear()
        self._bundle = None  # serial numbers begin anew

    def attempts(self) -> Iterator[tuple[MsgId, int]]:
        """Yield the attempts that have ended, until that is acknowledged."""
        for outcomes in (self._ready, *(outcomes for _, outcomes in self._sent)):
            for outcome in outcomes:
                for msg_id in ids_of(outcome):
                    yield msg_id, outcome.attempt

    def check(self) -> None:
        """Assert every invariant."""
        assert self.n_ready == sum(len(ids_of(outcome)) for outcome in self._ready)
        numbers = [number for number, _ in self._sent]
        assert numbers == sorted(numbers)
