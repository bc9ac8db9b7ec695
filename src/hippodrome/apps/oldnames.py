"""What was written for ipyparallel, in configuration files and on command lines, and its fate here.

What has another name here is taken under that. What changes nothing that anyone could see is taken
too, with a line that says so. What would change the result is refused, with what to do instead.
What is neither here nor in the tables (`oldtables`) is none of ipyparallel's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Any, Final

from traitlets.config import Configurable

from hippodrome.apps.fates import Fate, Harmless, RefusedOption, Renamed
from hippodrome.apps.oldtables import ANY, OLD_CLASSES, OLD_OPTIONS, OLD_SWITCHES, OLD_WORDS
from hippodrome.apps.settings import Setting, UsageError


@dataclass(frozen=True, slots=True)
class OldOption:
    """An option of ipyparallel: what becomes of it, and whether it has a value."""

    fate: Fate
    takes_value: bool


def old_option(name: str, family: str, targets: Collection[str]) -> OldOption | None:
    """Return what is known of an option that is none of this program's own; None for nothing.

    Args:
        name: the option without its dashes.
        family: ``ipcluster``, ``ipcontroller`` or ``ipengine``.
        targets: what of the program can be set, as ``Class.trait``.
    """
    section, _, trait = name.rpartition(".")
    if section:
        fate = _fate(section, trait, family)
        takes_value = True
    elif name in OLD_SWITCHES.get(family, {}):
        fate, takes_value = OLD_SWITCHES[family][name], False
    else:
        fate, takes_value = OLD_OPTIONS.get(family, {}).get(name), True
    if isinstance(fate, Renamed):
        target = _target(fate.to, targets)
        fate = replace(fate, to=target) if target else None
    return None if fate is None else OldOption(fate, takes_value)


def old_word(word: str, family: str) -> str:
    """Return why an argument can be passed over; empty if it cannot."""
    return OLD_WORDS.get(family, {}).get(word, "")


def with_own_names(
    settings: Iterable[Setting], program: type[Configurable], family: str, siblings: Sequence[str]
) -> tuple[list[Setting], list[str]]:
    """Return the settings of a file with ipyparallel's names replaced by those of *program*.

    Args:
        settings: as read from a file.
        program: whose options they become.
        family: which programs the file is for: ``ipcluster``, ``ipcontroller`` or ``ipengine``.
        siblings: the programs that read the file. What is for others is left out.

    Returns:
        the settings, those that were renamed first, and what was passed over, in words.

    Raises:
        UsageError: one would change the result, and cannot be had.
    """
    own = program.__name__
    given = program.class_traits(config=True)
    renamed, others, passed = [], [], []
    for setting in settings:
        is_own = setting.section == own and setting.trait in given
        fate = None if is_own else _fate(setting.section, setting.trait, family)
        if isinstance(fate, Renamed):
            if fate.to in given and _concerns(setting.section, own):
                value = fate.made(setting.value)
                found = replace(setting, section=own, trait=fate.to, value=value)
                renamed.append((_rank(setting.section, family), found))
        elif setting.section != own and setting.section in siblings:
            continue
        elif fate is None:
            others.append(setting)
        elif family != "ipcluster" or _STARTS in given:  # stopping must not depend on launchers
            if isinstance(fate, RefusedOption) and not is_nothing(setting.value):
                raise UsageError(f"{setting.label} cannot be had here: {fate.instead}")
            passed.append((setting, fate))
    in_order = [setting for _, setting in sorted(renamed, key=itemgetter(0))]
    return [*in_order, *others], list(_remarks(passed))


def _fate(section: str, trait: str, family: str) -> Fate | None:
    for kind in (family, ANY):
        names: Mapping[str, Fate] = OLD_CLASSES.get(kind, {}).get(section, {})
        fate = names.get(trait) or names.get(ANY)
        if fate is not None:
            return fate
    return None


def _rank(section: str, family: str) -> int:
    """Return the place of a class in the table: of two that set the same, the later one wins."""
    order = list(OLD_CLASSES.get(family, ()))
    return order.index(section) if section in order else -1


def _target(name: str, targets: Collection[str]) -> str:
    """Return which of *targets* is called *name* in the program's own class, its first one."""
    if name in targets:
        return name
    return next((target for target in targets if target.partition(".")[2] == name), "")


def _concerns(section: str, program: str) -> bool:
    """Whether *program* heeds what is set of a class: start heeds the engines' options, too."""
    return not (section == "IPClusterStart" and program != "IPClusterStart")


def is_nothing(value: Any) -> bool:  # Any: whatever the file holds
    """Whether an option is set to nothing, as in files that list all there are."""
    return value is None or value is False or value in ("", "False", "false", "0", 0, [], {}, b"")


def _remarks(passed: Iterable[tuple[Setting, Harmless | RefusedOption]]) -> Iterator[str]:
    """Say what was passed over, in a line for each reason and file."""
    by_reason: dict[tuple[str, str], list[Setting]] = {}
    for setting, fate in passed:
        why = fate.why if isinstance(fate, Harmless) else _SET_TO_NOTHING
        by_reason.setdefault((str(setting.file), why), []).append(setting)
    for (file, why), found in by_reason.items():
        names = ", ".join(dict.fromkeys(setting.spelled for setting in found))
        lines = ", ".join(str(setting.line) for setting in found if setting.line)
        noun = "lines" if "," in lines else "line"
        where = f"{file}, {noun} {lines}" if lines else file
        verb = "is" if names.count(",") == 0 else "are"
        yield f"{where}: {names} {verb} not needed here: {why}"


_STARTS: Final = "engine_timeout"  # an option of what starts something
_SET_TO_NOTHING: Final = "it sets what there is not to nothing"
