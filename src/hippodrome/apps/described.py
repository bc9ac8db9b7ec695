"""Options in words, once for all who print them: the page of options, and the man pages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from hippodrome.apps.base import Program
from hippodrome.apps.controller_options import IPController
from hippodrome.apps.engine_options import IPEngine
from hippodrome.apps.helptext import names_of, own_targets
from hippodrome.apps.ipcluster import SUBCOMMANDS
from hippodrome.apps.meaning import Trait, choices, default_words, placeholder

PROGRAMS: Final[Mapping[str, type[Program]]] = {
    **{f"ipcluster {name}": program for name, program in SUBCOMMANDS.items()},
    "ipcontroller": IPController,
    "ipengine": IPEngine,
}
COMMON: Final = frozenset(Program.class_traits(config=True))  # what all programs take


@dataclass(frozen=True, slots=True)
class Option:
    """An option of a program.

    Attributes:
        spellings: what it is called on the command line, each with what stands for its value.
        help: what it means.
        choices: each value that it takes, and what that means, where there are a few.
        default: what holds where it is not set; empty if that is nothing.
        in_file: what a configuration file calls it, as ``Class.name``; empty if it cannot be there.
    """

    spellings: tuple[str, ...]
    help: str
    choices: Mapping[str, str]
    default: str
    in_file: str


def own_options(program: type[Program]) -> Iterator[Option]:
    """Yield the options that *program* has, and not all programs."""
    return (option for name, option in _options(program) if name not in COMMON)


def common_options() -> Iterator[Option]:
    """Yield the options of all programs, in the file under ``CLASS``, which is any of theirs."""
    for name, option in _options(IPController):
        if name in COMMON:
            yield replace(option, in_file=f"CLASS.{name}" if option.in_file else "")


def _options(program: type[Program]) -> Iterator[tuple[str, Option]]:
    syntax = program.syntax()
    for target, trait in own_targets(program).items():
        spellings = [
            _spelled(option, trait, is_flag=option.lstrip("-") not in syntax.aliases)
            for option in names_of(target, syntax)
        ] or [f"--{target}={placeholder(trait)}"]
        told = {name: text for name, text in choices(trait).items() if text}
        in_file = "" if trait.metadata.get("locates") else trait.metadata.get("in_file", target)
        yield (
            target.partition(".")[2],
            Option(tuple(spellings), trait.help, told, default_words(trait), in_file),
        )


def _spelled(option: str, trait: Trait, *, is_flag: bool) -> str:
    if is_flag:
        return option
    return f"{option}{' ' if len(option) == 2 else '='}{placeholder(trait)}"
