"""What has flags, which are changed for good, or for a while in one thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Generic, Self, TypeVar, Unpack

from hippodrome.briefly import brief_methods
from hippodrome.client.views.flags import AnyFlagValues, Flags

F = TypeVar("F", bound=Flags)

_changing = threading.Lock()  # what threads share of flags; held for moments only


@brief_methods()
class ViewFlag:
    """An attribute of a view that is one of its flags."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, view: Flagged[Any] | None, owner: type) -> Any:
        return self if view is None else getattr(view._flags, self._name)

    def __set__(self, view: Flagged[Any], value: Any) -> None:
        view.set_flags(**{self._name: value})


@brief_methods()
class Flagged(Generic[F]):
    """The part of a view that has its flags.

    Args:
        flags: at first.
        blocks_by_default: what stands for a `block` of None.
    """

    track: ViewFlag = ViewFlag()
    targets: ViewFlag = ViewFlag()
    label: ViewFlag = ViewFlag()

    def __init__(self, flags: F, blocks_by_default: bool) -> None:
        self._blocks_by_default = blocks_by_default
        self._shared_flags = flags
        self._own = threading.local()
        self._n_overlays = 0  # in all threads; most of the time none has one

    @property
    def block(self) -> bool:
        """Whether calls wait for their results.

        >>> view.block = True
        >>> view.apply(abs, -2)
        [2, 2]
        """
        return self._blocks(self._flags)

    @block.setter
    def block(self, value: bool | None) -> None:
        self.set_flags(block=value)

    def set_flags(self, **flags: Unpack[AnyFlagValues]) -> Self:
        """Change flags for all later calls, in every thread.

        Args:
            **flags: ``block``: whether calls wait for results; None is the client's `block`.
                ``targets``: engine ids, one or several. ``label``: a name for the tasks, which
                records have. ``track``: accepted. Only of load-balanced views are ``after``, tasks
                that must have ended before, and ``follow``, tasks on whose engine these must run:
                msg_ids, results or a `Dependency`; ``timeout``, seconds to wait for an engine;
                ``retries``, how often a task that failed is tried again.

        Returns:
            The view itself.

        Raises:
            KeyError: there is no such flag.
            TypeError: a value is of the wrong type.
            ValueError: a value is out of range.

        >>> lbv.set_flags(retries=2, label="sweep").retries
        2
        """
        changed = self._checked(dict(flags))
        if self._overlay is not None:
            self._own.flags = self._overlay.changed(changed)
        with _changing:  # another thread may change another flag
            self._shared_flags = self._shared_flags.changed(changed)
        return self

    def temp_flags(self, **flags: Unpack[AnyFlagValues]) -> AbstractContextManager[Self]:
        """Change flags within a ``with`` block, for calls in this thread only.

        Args:
            **flags: as for `set_flags`.

        Raises:
            KeyError, TypeError, ValueError: as from `set_flags`.

        >>> with view.temp_flags(block=True):
        ...     view.apply(abs, -2)
        [2, 2]
        """
        return self._overlaid(self._with(dict(flags)))

    @contextmanager
    def _overlaid(self, flags: F) -> Iterator[Self]:
        before = self._overlay
        self._own.flags = flags
        with _changing:
            self._n_overlays += 1
        try:
            yield self
        finally:
            self._own.flags = before
            with _changing:
                self._n_overlays -= 1

    @property
    def _overlay(self) -> F | None:
        return getattr(self._own, "flags", None)

    @property
    def _flags(self) -> F:
        return (self._overlay if self._n_overlays else None) or self._shared_flags

    def _with(self, changes: dict[str, Any]) -> F:
        """Return the flags in force here, with some changed; for one call."""
        return self._flags.changed(self._checked(changes)) if changes else self._flags

    def _checked(self, changes: dict[str, Any]) -> dict[str, Any]:
        """Return *changes* with targets turned into ids."""
        return changes

    def _blocks(self, flags: Flags) -> bool:
        return self._blocks_by_default if flags.block is None else flags.block
