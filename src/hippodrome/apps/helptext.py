"""What ``--help`` and ``--help-all`` show: options, choices, defaults, in words."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import Final

from hippodrome.apps.base import Program
from hippodrome.apps.commandline import INIT, QUESTIONS, Syntax, dashed
from hippodrome.apps.exitcodes import EXIT_CODES
from hippodrome.apps.meaning import Trait, default_words, placeholder

_COLUMN: Final = 26
_WIDTH: Final = 98


def help_text(program: type[Program]) -> str:
    """Return the help of *program*: its options that have short names."""
    syntax = program.syntax()
    own = {*program.own_aliases, *program.own_flags}
    common = {*program.aliases, *program.flags} - own
    groups = {
        "Options:": _options(syntax, own),
        "Which cluster, and what is logged:": _options(syntax, common),
        "Help and configuration:": _questions(),
        "Exit codes:": exit_codes(program),
        "Examples:": examples_of(program),
    }
    lines = [usage(program), "", *textwrap.wrap(program.description, _WIDTH)]
    for title, group in groups.items():
        if entries := list(group):
            lines += ["", title, *entries]
    return "\n".join([*lines, "", *_about_the_file(program)])


def full_help_text(program: type[Program]) -> str:
    """Return the help of *program*, with the options that have no short name."""
    syntax = program.syntax()
    short = {*syntax.aliases.values(), *(flag.target for flag in syntax.flags.values())}
    lines = [help_text(program), "", "Further options, in the file c.CLASS.NAME = VALUE:"]
    for target, trait in own_targets(program).items():
        if target not in short:
            lines += _entry(f"--{target}={placeholder(trait)}", trait_text(trait))
            lines += _choices(trait)
    lines += ["", "What the others are called in the file:"]
    for target in sorted(short):
        in_file = syntax.targets[target].metadata.get("in_file", target)
        lines += _entry(", ".join(names_of(target, syntax)), f"c.{in_file}")
    return "\n".join(lines)


def usage(program: type[Program]) -> str:
    """Return the line that says how *program* is called."""
    syntax = program.syntax()
    arguments = f" [{syntax.arguments}...]" if syntax.arguments else ""
    rest = f" [-- {syntax.rest}]" if syntax.rest else ""
    return f"usage: {program.name} [options]{arguments}{rest}"


def exit_codes(program: type[Program]) -> Iterator[str]:
    """Yield the lines that say what *program* may end with."""
    for code in program.exit_codes:
        yield from _entry(str(code), EXIT_CODES[code])


def own_targets(program: type[Program]) -> dict[str, Trait]:
    """Return each option of *program* once, as ``Class.trait``; those that are for users."""
    return {
        f"{kind.__name__}.{name}": trait
        for kind in program.syntax().classes
        for name, trait in sorted(kind.class_traits(config=True).items())
        if not (trait.metadata.get("internal") or trait.metadata.get("told_elsewhere"))
    }


def names_of(target: str, syntax: Syntax) -> list[str]:
    """Return the options that set *target*."""
    found = [option for option, aim in syntax.aliases.items() if aim == target]
    found += [option for option, flag in syntax.flags.items() if flag.target == target]
    return [dashed(option) for option in dict.fromkeys(sorted(found, key=len))]


def trait_text(trait: Trait) -> str:
    """Return what *trait* means and what holds where it is not set."""
    default = default_words(trait)
    return f"{trait.help} [default: {default}]" if default else trait.help


def _options(syntax: Syntax, names: set[str]) -> Iterator[str]:
    """Yield the entries of the options called *names*."""
    targets = syntax.targets
    by_target: dict[str, list[str]] = {}
    for option, target in syntax.aliases.items():
        if option in names:
            by_target.setdefault(target, []).append(option)
    for target, options in by_target.items():
        trait = targets[target]
        spelled = ", ".join(map(dashed, sorted(options, key=len)))
        yield from _entry(f"{spelled} {placeholder(trait)}", trait_text(trait))
        yield from _choices(trait)
    for option, flag in syntax.flags.items():
        if option in names and option not in syntax.aliases:
            yield from _entry(dashed(option), flag.help)


def _questions() -> Iterator[str]:
    yield from _entry(
        dashed(INIT), "Write a configuration file with all options first, if there is none."
    )
    for question, text in QUESTIONS.items():
        yield from _entry(dashed(question), text)


def _choices(trait: Trait) -> Iterator[str]:
    meanings: Mapping[str, str] = trait.metadata.get("choices") or {}
    told = {name: text for name, text in meanings.items() if text}
    width = max(map(len, told), default=0) + 2
    for name, text in told.items():
        body = textwrap.wrap(text, _WIDTH - _COLUMN - width - 2)
        for head, line in zip([name, *[""] * len(body)], body, strict=False):
            yield f"{' ' * (_COLUMN + 2)}{head:<{width}}{line}"


def examples_of(program: type[Program]) -> Iterator[str]:
    """Yield the examples, under the name by which the program was called."""
    called = program.name.partition(" ")[0]
    for line in program.examples.splitlines():
        before, _, after = line.partition(" ")
        yield f"  {called if before == 'ipcluster' else before} {after}".rstrip()


def _about_the_file(program: type[Program]) -> list[str]:
    return textwrap.wrap(
        f"Every option can be set in the profile's {program.syntax().family}_config.py, too; "
        f"{program.name} --generate-config writes one that says how.",
        _WIDTH,
        break_on_hyphens=False,
    )


def _entry(option: str, text: str) -> Iterator[str]:
    body = textwrap.wrap(text, _WIDTH - _COLUMN, break_on_hyphens=False)
    if len(option) < _COLUMN - 3:
        yield f"  {option:<{_COLUMN - 2}}{body[0]}"
        body = body[1:]
    else:
        yield f"  {option}"
    yield from (" " * _COLUMN + line for line in body)
