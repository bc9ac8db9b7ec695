"""The flags of a view: options that apply to its calls.

Flags are values: changing one makes a new set, so that a call in one thread sees either all of a
change or nothing of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, TypedDict, TypeVar

from hippodrome.client.dependency import Jobs, as_dependencies, check_sendable
from hippodrome.client.hints import check_truth, did_you_mean
from hippodrome.client.views.targeting import no_targets
from hippodrome.errors import UnknownNameError
from hippodrome.protocol.messages import EngineId, Options

if TYPE_CHECKING:
    from typing import Self

F = TypeVar("F", bound="Flags")

MOST_RETRIES: Final = (1 << 63) - 1
MOST_SECONDS: Final = float(1 << 62)  # more years than there were
PURE: Final = "pure"  # the scheme that decides nothing per task


@dataclass(frozen=True, slots=True)
class Flags:
    """The flags that every view has.

    Attributes:
        block: whether calls wait for their results; None is the client's `block` as it was when the
            view was made.
        track: whether to be told when the buffers of arguments may be reused.
        targets: engine ids: all that there are at each call, one, or a list.
        label: a name for the tasks, kept with their records.
    """

    block: bool | None = None
    track: bool = False
    targets: Any = "all"  # checked and turned into ids by the client when it is set
    label: str | None = None

    def changed(self, changes: dict[str, Any]) -> Self:
        """Return these flags with some of them changed.

        Raises:
            UnknownNameError: there is no such flag; a KeyError.
            TypeError: a value is of the wrong type.
            ValueError: a value is out of range.
        """
        names = self.__dataclass_fields__
        for name in changes:
            if name not in names:
                raise no_flag(name, names)
        return replace(self, **changes)

    def __post_init__(self) -> None:
        for name in ("block", "track"):
            check_truth(name, getattr(self, name))
        if self.label is not None and not isinstance(self.label, str):
            raise TypeError(f"label must be a str, not {type(self.label).__name__}")
        if self.label is not None:
            check_sendable("label", self.label)


@dataclass(frozen=True, slots=True)
class TaskFlags(Flags):
    """The flags that load-balanced views have besides.

    Attributes:
        targets: the engines that may be chosen; None is any.
        after: tasks that must have ended before.
        follow: tasks on whose engine this one must run.
        timeout: seconds to wait for an engine; None or 0 is for ever.
        retries: how often a task that failed may be tried again.
    """

    targets: Any = None
    after: Jobs | None = None
    follow: Jobs | None = None
    timeout: float | None = None
    retries: int = 0

    def __post_init__(self) -> None:
        super(TaskFlags, self).__post_init__()
        if self.timeout is not None and (
            isinstance(self.timeout, bool) or not isinstance(self.timeout, int | float)
        ):
            raise TypeError(f"timeout must be a number of seconds, not {self.timeout!r}")
        if self.timeout is not None and not 0 <= self.timeout <= float("inf"):
            raise ValueError(f"timeout must not be negative, as {self.timeout} is")
        if isinstance(self.retries, bool) or not isinstance(self.retries, int):
            raise TypeError(f"retries must be an int, not {self.retries!r}")
        if not 0 <= self.retries <= MOST_RETRIES:
            raise ValueError(f"retries must be between 0 and {MOST_RETRIES}, not {self.retries}")
        as_dependencies(self.after)
        as_dependencies(self.follow)

    def options(self, scheme: str = "") -> Options | None:
        """Return what the scheduler is told; None when it is all the default.

        Args:
            scheme: the scheduler's, if that is known.

        Raises:
            NoEnginesRegistered: *targets* is empty.
            RuntimeError: the scheme does not serve one of these flags.
        """
        if (
            self.after is None
            and self.follow is None
            and self.targets is None
            and not (self.retries or self.timeout or self.label)
        ):
            return None
        if scheme == PURE:
            self._check_nothing_to_decide()
        if self.targets is not None and not isinstance(self.targets, int) and not self.targets:
            raise no_targets()
        return Options(
            self.retries,
            min(self.timeout, MOST_SECONDS) if self.timeout else None,
            as_dependencies(self.after),
            as_dependencies(self.follow),
            None if self.targets is None else _as_list(self.targets),
            self.label or "",
        )

    def _check_nothing_to_decide(self) -> None:
        names = ("after", "follow", "targets", "timeout", "retries")
        given = [name for name in names if getattr(self, name) not in (None, 0)]
        if given:
            raise RuntimeError(
                f"the controller was started with the scheme 'pure', which does not serve "
                f"{', '.join(given)}: start it with another --scheme"
            )


class _EitherWay(TypedDict, total=False):
    track: bool
    label: str | None


class _OfTasks(TypedDict, total=False):
    after: Jobs | None
    follow: Jobs | None
    timeout: float | None
    retries: int


class FlagValues(_EitherWay, total=False):
    """Some of `Flags`, as keywords of a call."""

    block: bool | None


class TaskFlagValues(FlagValues, _OfTasks, total=False):
    """Some of `TaskFlags`, as keywords of a call."""


class OtherFlagValues(_EitherWay, _OfTasks, total=False):
    """Some of the flags of a view that is there, of which `block` has an argument of its own."""

    targets: Any


class AnyFlagValues(OtherFlagValues, total=False):
    """Some of the flags of a view that is there, as keywords of a call."""

    block: bool | None


class PartValues(OtherFlagValues, total=False):
    """Some of the flags of a view, and of the options of a `ParallelFunction`."""

    chunksize: int | None
    return_exceptions: bool


class MapValues(_EitherWay, total=False):
    """Some of the options of a map, as keywords of a call."""

    chunksize: int
    ordered: bool
    return_exceptions: bool


class LazyMapValues(_EitherWay, total=False):
    """Some of the options of a map, or of an `imap`, as keywords of a call."""

    ordered: bool
    return_exceptions: bool
    max_outstanding: int | str


@dataclass(frozen=True, slots=True)
class MapOptions:
    """The options of one map; see `View.map`."""

    chunksize: int
    ordered: bool
    return_exceptions: bool
    label: str | None

    def check_one_part(self) -> None:
        """Raise TypeError unless each engine gets its part in one piece."""
        if self.chunksize != 1:
            raise TypeError(
                "a direct view gives each engine one part of the sequences: chunksize is for "
                "load-balanced views"
            )

    def labelled(self, flags: F) -> F:
        """Return *flags* with the label of this map, if it has one of its own."""
        return flags if self.label is None else flags.changed({"label": self.label})


def no_flag(name: str, names: Iterable[str]) -> UnknownNameError:
    """Return the error that there is no flag *name*, but others, of which one may be meant."""
    if name in _OfTasks.__annotations__:
        instead = "; a balanced view has it: rc.load_balanced_view()"
    else:
        instead = did_you_mean(name, names) or f"; there are {', '.join(sorted(names))}"
    return UnknownNameError(f"there is no flag {name!r}{instead}")


def _as_list(targets: Any) -> list[EngineId]:
    return [EngineId(targets)] if isinstance(targets, int) else list(targets)
