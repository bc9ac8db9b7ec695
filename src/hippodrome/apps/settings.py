"""Settings: one option, its value, and where that was written, so that errors can say where."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from traitlets import List, TraitError
from traitlets.config import Config, Configurable
from traitlets.config.loader import DeferredConfig, DeferredConfigString, LazyConfigValue

from hippodrome.apps.meaning import value_words
from hippodrome.errors import LaunchError


class UsageError(Exception):
    """The user asked for something that the program does not have; exit code 2."""


class WrongValue(UsageError, TraitError):
    """An option was set to what it does not take."""


@dataclass(frozen=True, slots=True)
class Setting:
    """An option that was set.

    Attributes:
        section: the class that has it, as it was written.
        trait: its name there.
        value: what it was set to; a text of the command line is a `DeferredConfig`.
        spelled: how it was written: ``--hwm`` or ``c.TaskScheduler.hwm``.
        file: the file that sets it; None for the command line.
        line: the line of the file, from 1; 0 if nobody knows.
    """

    section: str
    trait: str
    value: Any  # Any: whatever the trait holds
    spelled: str
    file: Path | None = None
    line: int = 0

    @property
    def source(self) -> str:
        """Where it was written, in words."""
        if self.file is None:
            return "the command line"
        return f"{self.file}, line {self.line}" if self.line else str(self.file)

    @property
    def label(self) -> str:
        """How errors call it."""
        return self.spelled if self.file is None else f"{self.source}: {self.spelled}"


def folded(settings: Iterable[Setting]) -> Config:
    """Return *settings* as traitlets takes them; later ones win."""
    config = Config()
    for setting in settings:
        # a copy, as a list that is to be extended remembers what it was first asked to extend
        section, value = config[setting.section], deepcopy(setting.value)
        if isinstance(value, LazyConfigValue) and setting.trait in section:
            value = value.merge_into(section[setting.trait])  # a list that is extended
        section[setting.trait] = value
    return config


def check_values(settings: Iterable[Setting], classes: Sequence[type[Configurable]]) -> None:
    """Check that each value is one that its option takes.

    Raises:
        WrongValue: one is not; says where, which, and what is right.
    """
    for setting in settings:
        for kind in classes:
            if setting.section in section_names(kind):
                _check_value(setting, kind)


def _check_value(setting: Setting, kind: type[Configurable]) -> None:
    trait = kind.class_traits(config=True).get(setting.trait)
    if trait is None:
        return
    try:
        if isinstance(trait, List) and isinstance(setting.value, str | bytes):
            trait.error(None, setting.value)  # traitlets would take its letters one by one
        kind(config=folded([replace(setting, section=kind.__name__)]))
    except LaunchError as error:
        raise WrongValue(f"{setting.label}: {error}") from error
    except (TraitError, ValueError, TypeError, OverflowError) as error:
        raise WrongValue(
            f"{setting.label} must be {value_words(trait)}, and not {_shown(setting.value)}"
        ) from error


def _shown(value: object) -> str:
    if isinstance(value, DeferredConfigString):
        value = str(value)
    if isinstance(value, DeferredConfig):
        value = list(value) if isinstance(value, list) else str(value)
    text = repr(value)
    return text if len(text) <= 200 else text[:200] + "..."


def section_names(kind: type[Configurable]) -> list[str]:
    """Return the names under which *kind* can be configured: its own and its bases'."""
    return list(_section_names(kind))


def _section_names(kind: type[Configurable]) -> Iterator[str]:
    for base in kind.__mro__:
        if issubclass(base, Configurable) and base.class_traits(config=True):
            yield base.__name__
