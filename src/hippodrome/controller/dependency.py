"""ipyparallel's name for what says on which engines, and after what, a task may run."""

from __future__ import annotations

from hippodrome.client.dependency import Dependency
from hippodrome.errors import UnmetDependency
from hippodrome.serialize.dependents import depend, dependent, require

__all__ = ["Dependency", "UnmetDependency", "depend", "dependent", "require"]
