"""What ``--help`` shows."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING

from hippodrome.apps.base import Program

if TYPE_CHECKING:
    from traitlets.config import Configurable

_INDENT = " " * 26


def help_text(program: type[Program]) -> str:
    """Return the whole help of *program*."""
    syntax = program.syntax()
    arguments = f" [{syntax.arguments}...]" if syntax.arguments else ""
    rest = f" [-- {syntax.rest}]" if syntax.rest else ""
    lines = [
        f"usage: {program.name} [options]{arguments}{rest}",
        "",
        program.description,
        "",
        "Options:",
    ]
    classes = {kind.__name__: kind for kind in syntax.classes}
    for option, target in syntax.aliases.items():
        section, _, name = target.partition(".")
        lines += _entry(f"{_dashes(option)} VALUE", _trait_help(classes[section], name))
    for option, flag in syntax.flags.items():
        lines += _entry(_dashes(option), flag.help)
    lines += _entry("--version", "Show the version.")
    lines += _entry("--help", "Show this.")
    lines += [
        "",
        "Any option can be set in the configuration file, or here as --Class.trait=value:",
    ]
    for kind in syntax.classes:
        lines += [f"  {entry}" for entry in _traits(kind)]
    if program.examples:
        lines += ["", "Examples:", *(f"  {line}" for line in program.examples.splitlines())]
    return "\n".join(lines)


def _dashes(option: str) -> str:
    return f"-{option}" if len(option) == 1 else f"--{option}"


def _entry(option: str, text: str) -> Iterator[str]:
    body = textwrap.wrap(text, 70)
    if len(option) < len(_INDENT) - 3:
        yield f"  {option:<{len(_INDENT) - 2}}{body[0]}"
        body = body[1:]
    else:
        yield f"  {option}"
    yield from (_INDENT + line for line in body)


def _trait_help(kind: type[Configurable], name: str) -> str:
    trait = kind.class_traits(config=True)[name]
    default = trait.default_value_repr()
    return trait.help if default in ("''", "None", "[]") else f"{trait.help} [{default}]"


def _traits(kind: type[Configurable]) -> list[str]:
    return [f"--{kind.__name__}.{name}" for name in sorted(kind.class_traits(config=True))]
