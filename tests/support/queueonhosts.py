"""What batch systems on the hosts of a lab have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

from support import leaks
from support.hosts import Hosts


class QueueOnHosts(ABC):
    """A batch system that ends with its hosts.

    Attributes:
        cancel: the program that ends a job.
    """

    cancel: ClassVar[str]
    hosts: Hosts

    def __enter__(self) -> Self:
        self._begin()
        return self

    def __exit__(self, *exc_info: object) -> None:
        del exc_info  # it ends with its hosts

    @abstractmethod
    def _begin(self) -> None:
        """Start its daemons, and wait until they serve."""

    @abstractmethod
    def tell(self, *command: str) -> str:
        """Run one of its programs and return what it says; fail if it does."""

    @abstractmethod
    def jobs(self) -> list[Any]:  # Any: each has its own fields, and an id
        """Return the jobs that wait, run, or end just now."""

    def wait_empty(self, within_s: float = 30.0) -> None:
        """Wait until no job is left; fail with those that are."""
        left = leaks.settle(self.jobs, within_s)
        assert not left, f"jobs are left: {left}"

    def cancel_all(self) -> None:
        """Cancel whatever there is, and wait until it has ended."""
        for number in dict.fromkeys(job.id for job in self.jobs()):
            self.tell(self.cancel, number)
        self.wait_empty()
