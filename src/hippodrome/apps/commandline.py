"""Command lines: options to settings, strictly.

A word that is no option of the program is an error with a suggestion, never a warning: a program
that goes on without what it was asked for does something else than its user believes. What programs
for ipyparallel say and nothing here needs is taken, with a line that says so (`oldnames`).
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from traitlets import Bool, List, TraitType
from traitlets.config import Config, Configurable
from traitlets.config.loader import DeferredConfigList, DeferredConfigString

from hippodrome.apps.fates import Harmless, RefusedOption
from hippodrome.apps.oldnames import is_nothing, old_option, old_word
from hippodrome.apps.settings import Setting, folded, section_names
from hippodrome.apps.settings import UsageError as UsageError

# What is asked for instead of the program's work.
HELP: Final = "help"
HELP_ALL: Final = "help-all"
VERSION: Final = "version"
SHOW: Final = "show-config"
SHOW_JSON: Final = "show-config-json"
GENERATE: Final = "generate-config"
# ... and before it.
INIT: Final = "init"

QUESTIONS: Final[Mapping[str, str]] = {
    "generate-config": "Write a configuration file with all options as comments, and end.",
    "show-config": "Show what is in effect, and where each value comes from, and end.",
    "show-config-json": "The same as JSON.",
    "help-all": "Show all options, also those that have no short name, and end.",
    "help": "Show this, and end; also -h.",
    "version": "Show the version, and end; also -V.",
}
_BOOLEANS: Final = ("True", "False", "true", "false")


@dataclass(frozen=True, slots=True)
class FlagOption:
    """An option without a value: what it sets to what."""

    target: str
    value: Any  # Any: whatever the trait holds
    help: str


@dataclass(frozen=True, slots=True)
class Syntax:
    """The options that a program's command line may hold.

    Attributes:
        aliases: option to the ``Class.trait`` that it sets.
        flags: option to what it sets.
        classes: whose traits can be set as ``--Class.trait=value``.
        arguments: what the words that are no options are called; empty if there may be none.
        rest: what the words after ``--`` are; empty if there may be none.
        is_wrapper: whether these begin with the first word that is no option, also without ``--``.
        family: whose configuration file it reads: ``ipcluster``, ``ipcontroller``, ``ipengine``.
        elsewhere: says whose an option is that the program has not, and how it is given.
    """

    aliases: Mapping[str, str]
    flags: Mapping[str, FlagOption]
    classes: tuple[type[Configurable], ...]
    arguments: str = ""
    rest: str = ""
    is_wrapper: bool = False
    family: str = ""
    elsewhere: Callable[[str], str] = lambda option: ""

    @property
    def targets(self) -> dict[str, TraitType[Any, Any]]:
        """Every ``Class.trait`` that can be set, also by the names of base classes."""
        return {
            f"{section}.{name}": trait
            for kind in self.classes
            for name, trait in kind.class_traits(config=True).items()
            for section in section_names(kind)
        }

    def has(self, option: str) -> bool:
        """Return whether there is an *option* of this name."""
        return option in self.aliases or option in self.flags or option in self.targets


@dataclass(slots=True)
class CommandLine:
    """The values that one command line gives.

    Attributes:
        settings: the options, in their order.
        arguments: the words that are no options.
        question: what is asked for instead of the program's work; empty if nothing is.
        wants_files: whether configuration files are to be written first, where there are none.
        remarks: what was taken though nothing needs it, in words.
    """

    settings: list[Setting] = field(default_factory=list)
    arguments: list[str] = field(default_factory=list)
    question: str = ""
    wants_files: bool = False
    remarks: list[str] = field(default_factory=list)

    @property
    def config(self) -> Config:
        """The options as traitlets takes them."""
        return folded(self.settings)


def parse(words: Sequence[str], syntax: Syntax) -> CommandLine:
    """Return what *words*, without the program's name, say.

    Raises:
        UsageError: an option is unknown, lacks its value, or has one too many.
    """
    return _Reader(words, syntax).read()


def known_only(
    settings: Iterable[Setting], classes: Sequence[type[Configurable]]
) -> tuple[list[Setting], list[str]]:
    """Return those of *settings* that *classes* have, and in words what the others may mean."""
    known = {name: kind for kind in classes for name in section_names(kind)}
    found, remarks = [], []
    for setting in settings:
        kind = known.get(setting.section)
        traits = {} if kind is None else kind.class_traits(config=True)
        if setting.trait in traits:
            found.append(setting)
        elif kind is None:
            hint = did_you_mean(setting.section, known)
            remarks.append(f"{setting.source}: there is no class {setting.section!r} here{hint}")
        else:
            hint = did_you_mean(setting.trait, traits)
            remarks.append(
                f"{setting.source}: {setting.section} has no option {setting.trait!r}{hint}"
            )
    return found, list(dict.fromkeys(f"{remark} (passed over)" for remark in remarks))


def did_you_mean(
    word: str, known: Iterable[str], show: Callable[[str], str] = lambda found: found
) -> str:
    """Return ``"; did you mean ...?"`` for what *word* begins, else for the closest, or nothing."""
    by_lower = {name.lower(): name for name in known}
    begun = [name for name in by_lower if word and name.startswith(word.lower())]
    found = begun or difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return f"; did you mean {' or '.join(show(by_lower[one]) for one in found)}?" if found else ""


def dashed(name: str) -> str:
    """Return an option as it is written."""
    return f"-{name}" if len(name) == 1 else f"--{name}"


class _Reader:
    """Reads one command line, word by word."""

    def __init__(self, words: Sequence[str], syntax: Syntax) -> None:
        self._left = list(words)
        self._syntax = syntax
        self._targets = syntax.targets
        self._line = CommandLine()

    def read(self) -> CommandLine:
        line = self._line
        while self._left:
            word = self._left.pop(0)
            if word == "--" and self._syntax.rest:
                line.arguments += self._left
                break
            if self._syntax.is_wrapper and not word.startswith("-"):
                line.arguments += [word, *self._left]
                break
            if not word.startswith("-") or word == "-":
                self._add_argument(word)
            elif word in ("-h", "-V"):
                self._ask(HELP if word == "-h" else VERSION)
            elif (name := word.lstrip("-")) in QUESTIONS:
                self._ask(name)
            elif name == INIT:
                line.wants_files = True
            else:
                self._set(word)
        return line

    def _ask(self, question: str) -> None:
        """Note a question; the first one counts."""
        self._line.question = self._line.question or question

    def _add_argument(self, word: str) -> None:
        is_name = self._syntax.arguments and word != "&"
        if is_name:
            self._line.arguments.append(word)
        elif why := old_word(word, self._syntax.family):
            self._line.remarks.append(f"{word!r} is passed over: {why}")
        else:
            raise UsageError(f"unexpected argument {word!r} (see --help)")

    def _set(self, word: str) -> None:
        """Set the option *word*, taking its value from what is left if it is not attached."""
        option, equals, value = word.partition("=")
        name = option.lstrip("-")
        syntax = self._syntax
        if name in syntax.flags and not (equals and name in syntax.aliases):
            self._set_flag(option, syntax.flags[name], value if equals else None)
            return
        if attached := _attached(word, syntax):
            name, value, equals = *attached, "="
        target = syntax.aliases.get(name) or (name if name in self._targets else "")
        if not target:
            self._set_old(option, name, value if equals else None)
            return
        self._add(target, value if equals else self._value(option, target), option)

    def _set_flag(self, option: str, flag: FlagOption, value: str | None) -> None:
        if value is None and isinstance(flag.value, bool):
            value = self._boolean()
        if value is None:
            self._add(flag.target, flag.value, option)
        elif isinstance(flag.value, bool):
            self._add(flag.target, value, option)
        else:
            raise UsageError(f"{option} takes no value")

    def _set_old(self, option: str, name: str, value: str | None) -> None:
        """Do as the table of ipyparallel's options says, if *name* is one."""
        old = old_option(name, self._syntax.family, self._targets)
        if old is None:
            whose = self._syntax.elsewhere(name)
            raise UsageError(f"there is no option {option}{whose or self._hint(name)}")
        fate = old.fate
        if value is None and not isinstance(fate, RefusedOption):
            value = self._value(option) if old.takes_value else self._boolean() or "True"
        if isinstance(fate, RefusedOption):
            if value is None or not is_nothing(value):
                raise UsageError(f"there is no option {option} here: {fate.instead}")
        elif isinstance(fate, Harmless):
            self._line.remarks.append(f"{option} is not needed here: {fate.why}")
        else:
            if fate.remark:
                self._line.remarks.append(f"{option} is {fate.remark}")
            self._add(fate.to, fate.made(value), option)

    def _hint(self, name: str) -> str:
        own = [*self._syntax.aliases, *self._syntax.flags, *QUESTIONS]
        return did_you_mean(name, self._targets if "." in name else own, dashed) or " (see --help)"

    def _value(self, option: str, target: str = "") -> str:
        """Return the value of *option*, which is the next word."""
        if target and isinstance(self._targets[target], Bool):
            return self._boolean() or "True"
        if not self._left:
            raise UsageError(f"{option} needs a value")
        return self._left.pop(0)

    def _boolean(self) -> str | None:
        """Return the next word if it is one of the values of a switch."""
        return self._left.pop(0) if self._left and self._left[0] in _BOOLEANS else None

    def _add(self, target: str, value: Any, option: str) -> None:  # Any: as in `FlagOption`
        section, _, trait = target.partition(".")
        if isinstance(value, str):
            is_list = isinstance(self._targets[target], List)
            if self._targets[target].metadata.get("adds"):
                value = ",".join([*self._before(target), value])
            value = self._longer(target, value) if is_list else DeferredConfigString(value)
        self._line.settings.append(Setting(section, trait, value, option))

    def _longer(self, target: str, value: str) -> DeferredConfigList:
        """Return the list that *value* makes of what *target* was set to before."""
        earlier = self._before(target)
        return DeferredConfigList([*(earlier[-1] if earlier else ()), value])

    def _before(self, target: str) -> list[Any]:
        """Return the last value that *target* was set to before, if it was."""
        earlier = [s.value for s in self._line.settings if f"{s.section}.{s.trait}" == target]
        return earlier[-1:]


def _attached(word: str, syntax: Syntax) -> tuple[str, str] | None:
    """Split ``-n4``."""
    is_short = len(word) > 2 and word[1] != "-" and word[2] not in "=-"
    if is_short and word[1] in syntax.aliases and "." not in word.partition("=")[0]:
        return word[1], word[2:]
    return None
