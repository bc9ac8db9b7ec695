"""Command lines: options to a traitlets `Config`, strictly.

A word that is no option of the program is an error with a suggestion, never a warning: a program
that goes on without what it was asked for does something else than its user believes.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from traitlets.config import Config, Configurable
from traitlets.config.loader import DeferredConfigString


class UsageError(Exception):
    """The user asked for something that the program does not have; exit code 2."""


@dataclass(frozen=True, slots=True)
class Flag:
    """An option without a value: what it sets to what."""

    target: str
    value: Any  # Any: whatever the trait holds
    help: str


@dataclass(frozen=True, slots=True)
class Syntax:
    """What a program's command line may hold.

    Attributes:
        aliases: option to the ``Class.trait`` that it sets.
        flags: option to what it sets.
        classes: whose traits can be set as ``--Class.trait=value``.
        arguments: what the words that are no options are called; empty if there may be none.
        rest: what the words after ``--`` are; empty if there may be none.
    """

    aliases: Mapping[str, str]
    flags: Mapping[str, Flag]
    classes: Sequence[type[Configurable]]
    arguments: str = ""
    rest: str = ""


@dataclass(slots=True)
class CommandLine:
    """What one command line says."""

    config: Config = field(default_factory=Config)
    arguments: list[str] = field(default_factory=list)
    wants_help: bool = False
    wants_version: bool = False


def parse(words: Sequence[str], syntax: Syntax) -> CommandLine:
    """Return what *words*, without the program's name, say.

    Raises:
        UsageError: an option is unknown, lacks its value, or has one too many.
    """
    line = CommandLine()
    left = list(words)
    while left:
        word = left.pop(0)
        if word == "--" and syntax.rest:
            line.arguments += left
            break
        if not word.startswith("-") or word == "-":
            _add_argument(line, syntax, word)
        elif word in ("-h", "--help", "--help-all"):
            line.wants_help = True
        elif word in ("-V", "--version"):
            line.wants_version = True
        else:
            _set(line.config, syntax, word, left)
    return line


def check(config: Config, classes: Iterable[type[Configurable]], source: str) -> None:
    """Check that a configuration names only options that there are.

    Args:
        config: as read from a file.
        classes: whose options there are.
        source: what the error calls the file.

    Raises:
        UsageError: a class or a trait is unknown.
    """
    known = {name: kind for kind in classes for name in _section_names(kind)}
    for section, values in config.items():
        if section not in known:
            hint = did_you_mean(section, known)
            raise UsageError(f"{source}: there is no class {section!r} here{hint}")
        traits = known[section].class_traits(config=True)
        for name in values:
            if name not in traits:
                hint = did_you_mean(name, traits)
                raise UsageError(f"{source}: {section} has no option {name!r}{hint}")


def did_you_mean(
    word: str, known: Iterable[str], show: Callable[[str], str] = lambda found: found
) -> str:
    """Return ``"; did you mean ...?"`` for the closest of *known*, or nothing."""
    by_lower = {name.lower(): name for name in known}
    found = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return f"; did you mean {show(by_lower[found[0]])}?" if found else ""


def _add_argument(line: CommandLine, syntax: Syntax, word: str) -> None:
    if not syntax.arguments:
        raise UsageError(f"unexpected argument {word!r}")
    line.arguments.append(word)


def _set(config: Config, syntax: Syntax, word: str, left: list[str]) -> None:
    """Set the option *word*, taking its value from *left* if it is not attached."""
    option, equals, value = word.partition("=")
    name = option.lstrip("-")
    if name in syntax.flags and not (equals and name in syntax.aliases):
        if equals:
            raise UsageError(f"{option} takes no value")
        flag = syntax.flags[name]
        section, _, trait = flag.target.partition(".")
        config[section][trait] = flag.value
        return
    if attached := _attached(word, syntax):
        name, value, equals = *attached, "="
    section, _, trait = _target(name, option, syntax).partition(".")
    if not equals:
        if not left:
            raise UsageError(f"{option} needs a value")
        value = left.pop(0)
    config[section][trait] = DeferredConfigString(value)


def _attached(word: str, syntax: Syntax) -> tuple[str, str] | None:
    """Split ``-n4``."""
    is_short = len(word) > 2 and word[1] != "-" and word[2] not in "=-"
    if is_short and word[1] in syntax.aliases and "." not in word.partition("=")[0]:
        return word[1], word[2:]
    return None


def _target(name: str, option: str, syntax: Syntax) -> str:
    if name in syntax.aliases:
        return syntax.aliases[name]
    targets = {
        f"{section}.{trait}"
        for kind in syntax.classes
        for section in _section_names(kind)
        for trait in kind.class_traits(config=True)
    }
    if name in targets:
        return name
    own = [*syntax.aliases, *syntax.flags, "help", "version"]
    hint = did_you_mean(name, targets if "." in name else own, _dashed)
    raise UsageError(f"there is no option {option}{hint or ' (see --help)'}")


def _dashed(name: str) -> str:
    return f"-{name}" if len(name) == 1 else f"--{name}"


def _section_names(kind: type[Configurable]) -> list[str]:
    """Return the names under which *kind* can be configured: its own and its bases'."""
    return [
        base.__name__
        for base in kind.__mro__
        if issubclass(base, Configurable) and base.class_traits(config=True)
    ]
