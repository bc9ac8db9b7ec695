"""A batch system that is asked: its commands run, with an end, and their answers are read."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Sequence

from hippodrome.errors import LaunchError
from hippodrome.launch.answers import of_jobs
from hippodrome.launch.batchsystem import BatchSystem, Reports
from hippodrome.launch.commands import CommandAnswer, ask
from hippodrome.launch.script import JobPlan

log: logging.Logger = logging.getLogger(__name__)

_TRY_AGAIN_S = 1.0


class SilentQueue(Exception):
    """The batch system does not answer, or what it answers cannot be read; the text says which."""


class Queue:
    """The queue of a batch system.

    Args:
        system: which one.
    """

    def __init__(self, system: BatchSystem) -> None:
        self._system = system
        self._query = system.query

    def submitting(self, plan: JobPlan) -> list[str]:
        """Return the command that puts a job into the queue."""
        if self._system.reads_stdin:
            return [*self._system.submit]
        path = plan.description if self._system.description else plan.script
        return [*self._system.submit, str(path)]

    def submit(self, plan: JobPlan, patience_s: float) -> str:
        """Put a job, whose script is there, into the queue, and return its id.

        Args:
            plan: the job.
            patience_s: for how long a system that is too busy is asked again, in seconds.

        Raises:
            LaunchError: it is refused.
        """
        command = self.submitting(plan)
        given = plan.script.read_text(encoding="utf-8") if self._system.reads_stdin else ""
        deadline = time.monotonic() + patience_s
        while True:
            answer = ask(command, given)
            match = self._system.job_id.search(answer.output) if answer.code == 0 else None
            if match is not None:
                return match[self._system.id_group].strip()
            is_busy = answer.code != 0 and self._system.busy.search(answer.trouble)
            if not is_busy or time.monotonic() >= deadline:
                raise LaunchError(self._refusal(command, answer))
            time.sleep(_TRY_AGAIN_S)

    def look(self, ids: Sequence[str]) -> Reports:
        """Return what the system says of jobs; nothing of those that it knows no more.

        Raises:
            SilentQueue: it says nothing that could be believed.
        """
        answer = ask(self._with_ids(ids))
        if answer.code and self._system.no_past.search(answer.trouble):
            self._query = self._system.without_past
            answer = ask(self._with_ids(ids))
        if answer.code != 0 and not self._is_partial(answer):
            raise SilentQueue(answer.trouble.strip()[-200:] or f"{self._query[0]} fails")
        reports = of_jobs(ids, self._read(self._system.parse, answer))
        return reports | self._past(set(ids) - reports.keys())

    def _is_partial(self, answer: CommandAnswer) -> bool:
        """Whether a command has failed only because some of the jobs are known no more."""
        return answer.code is not None and bool(self._system.gone.search(answer.trouble))

    def _read(self, parse: Callable[[str], Reports], answer: CommandAnswer) -> Reports:
        if not answer.output.strip() and self._is_partial(answer):
            return {}
        try:
            return parse(answer.output)
        except Exception as error:  # a parser meets whatever a site's wrapper writes
            log.debug("%s: %r", self._query[0], answer.output[:1000], exc_info=True)
            raise SilentQueue(f"{self._query[0]} answers what cannot be read") from error

    def _past(self, ids: Iterable[str]) -> Reports:
        """Return what is known of jobs that have left the queue, where that is asked for apart."""
        found: Reports = {}
        parse = self._system.parse_past
        for job_id in sorted(ids) if parse is not None else ():
            answer = ask([word.replace("{ids}", job_id) for word in self._system.past])
            if parse is not None and answer.code == 0 and answer.output.strip():
                with contextlib.suppress(SilentQueue):
                    found |= of_jobs([job_id], self._read(parse, answer))
        return found

    def cancel(self, ids: Sequence[str]) -> None:
        """Have jobs ended; whoever wants to know whether they are looks again."""
        if ids:
            answer = ask([*self._system.cancel, *ids])
            if answer.code != 0:
                log.debug("%s: %s", self._system.cancel[0], answer.trouble)

    def signal(self, name: str, ids: Sequence[str]) -> None:
        """Deliver a signal to all that runs in jobs, if the system can do that.

        Args:
            name: the signal's, without SIG.
            ids: which jobs.
        """
        if ids and self._system.signal:
            ask([*(word.format(signal=name) for word in self._system.signal), *ids])

    def _with_ids(self, ids: Sequence[str]) -> list[str]:
        command: list[str] = []
        for word in self._query:
            if word == "{ids}" and self._system.between_ids == " ":
                command += ids
            else:
                command.append(word.replace("{ids}", self._system.between_ids.join(ids)))
        return command

    def _refusal(self, command: Sequence[str], answer: CommandAnswer) -> str:
        said = answer.trouble or answer.output.strip() or f"exit code {answer.code}"
        title = self._system.title
        return f"{title} does not take the job: {said}; the command was: {' '.join(command)}"
