"""A task depends on others, and on such of their outcomes as count."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

from hippodrome.client.results.result import AsyncResult
from hippodrome.protocol.messages import Dependencies, MsgId

Job: TypeAlias = "str | AsyncResult"
Jobs: TypeAlias = "Job | Dependency | Iterable[Job]"


class Dependency(set[str]):
    """A set of msg_ids, with what is asked of these tasks.

    Args:
        dependencies: a msg_id, an `AsyncResult`, another `Dependency`, or several of the first
            two.
        all: whether all of the tasks must have ended in a way that counts, or any one.
        success: whether ending with a result counts.
        failure: whether ending with an error counts.

    Raises:
        ValueError: *dependencies* is or holds something else, or nothing at all would count.

    >>> first = lbv.apply_async(int, "two")
    >>> with lbv.temp_flags(after=ipp.Dependency(first, success=True, failure=True)):
    ...     lbv.apply_sync(abs, -2)
    2
    """

    def __init__(
        self,
        dependencies: Jobs = (),
        all: bool = True,  # noqa: A002 - the published name
        success: bool = True,
        failure: bool = False,
    ) -> None:
        if not (success or failure):
            raise ValueError("a dependency must count success, failure, or both")
        super().__init__(msg_ids_of(dependencies))
        self.all = all
        self.success = success
        self.failure = failure

    def check(self, completed: Iterable[str], failed: Iterable[str] | None = None) -> bool:
        """Whether the dependency is met, when these tasks have completed and those failed.

        >>> ipp.Dependency(["a", "b"]).check(completed=["a"])
        False
        """
        counted: set[str] = set()
        if self.success:
            counted.update(completed)
        if self.failure:
            counted.update(failed or ())
        return not self or (self <= counted if self.all else not self.isdisjoint(counted))

    def unreachable(self, completed: Iterable[str], failed: Iterable[str] | None = None) -> bool:
        """Whether the dependency can never be met any more.

        >>> ipp.Dependency(["a", "b"]).unreachable(completed=["a"], failed=["b"])
        True
        """
        spent: set[str] = set()
        if not self.success:
            spent.update(completed)
        if not self.failure:
            spent.update(failed or ())
        return bool(self) and (not self.isdisjoint(spent) if self.all else self <= spent)

    def as_dict(self) -> dict[str, Any]:
        """Return the dependency as plain values.

        >>> ipp.Dependency("a").as_dict()
        {'dependencies': ['a'], 'all': True, 'success': True, 'failure': False}
        """
        return {
            "dependencies": sorted(self),
            "all": self.all,
            "success": self.success,
            "failure": self.failure,
        }

    def as_message(self) -> Dependencies:
        """Return the dependency as the scheduler is told of it.

        >>> ipp.Dependency("a").as_message().msg_ids
        ['a']
        """
        msg_ids = [MsgId(msg_id) for msg_id in sorted(self)]
        return Dependencies(msg_ids, self.all, self.success, self.failure)


def as_dependencies(jobs: Jobs | None) -> Dependencies | None:
    """Return what the scheduler is told of a flag's value; None if it asks for nothing.

    Raises:
        ValueError: it is no dependency.
    """
    if jobs is None:
        return None
    dependency = jobs if isinstance(jobs, Dependency) else Dependency(jobs)
    for msg_id in dependency:
        check_sendable("msg_id", msg_id)
    return dependency.as_message() if dependency else None


def check_sendable(name: str, text: str) -> None:
    """Check what is given as *name*, while that can still be told to whom has given it.

    Raises:
        ValueError: UTF-8 cannot say *text*; it has parts of what was no text.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{name} cannot be sent: {error}") from None


def msg_ids_of(jobs: Any) -> list[str]:  # Any: this is where it is checked
    """Return the msg_ids that *jobs* names.

    Raises:
        ValueError: it names something else.
    """
    if isinstance(jobs, AsyncResult):
        return list(jobs.msg_ids)
    if isinstance(jobs, str):
        return [jobs]
    if not isinstance(jobs, Iterable):
        raise ValueError(  # noqa: TRY004 - the published type
            f"{jobs!r} is no dependency: give msg_ids, AsyncResults or a Dependency"
        )
    found: list[str] = []
    for job in jobs:
        if not isinstance(job, str | AsyncResult | Dependency):
            raise ValueError(  # noqa: TRY004 - the published type
                f"{job!r} is no dependency: give msg_ids or AsyncResults"
            )
        found += msg_ids_of(job) if not isinstance(job, str) else [job]
    return found
