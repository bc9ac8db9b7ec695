"""What becomes of an option that was written for ipyparallel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class Renamed:
    """It is there, under another name.

    Attributes:
        to: the option of the program's own class, or ``Class.trait``.
        remark: what is worth saying, as in ``--ports is ...``; empty if it means the same.
        via: makes the value that it has here, if that is another one.
    """

    to: str
    remark: str = ""
    via: Callable[[Any], Any] | None = None

    def made(self, value: Any) -> Any:  # Any: whatever the option holds
        """Return what *value* is here."""
        return value if self.via is None else self.via(value)


@dataclass(frozen=True, slots=True)
class Harmless:
    """Nothing needs it, and nothing is different without it."""

    why: str


@dataclass(frozen=True, slots=True)
class RefusedOption:
    """It is not there, and without it something else would happen than was asked for."""

    instead: str


Fate: TypeAlias = Renamed | Harmless | RefusedOption
