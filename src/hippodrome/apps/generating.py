"""Configuration files with all options as comments."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

from traitlets.config import Configurable

from hippodrome.apps.base import Program
from hippodrome.apps.meaning import Trait, choices, default_words, value_words
from hippodrome.errors import ClusterError

_WIDTH = 96


def write_config_file(program: type[Program], folder: Path) -> Path:
    """Write the configuration file of *program* to a profile's folder, made if missing.

    Raises:
        FileExistsError: it is there.
        ClusterError: it cannot be written.
    """
    path = folder / f"{program.config_name or program.name}_config.py"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError as error:
        raise FileExistsError(
            f"{path} is there, and stays as it is: move it away to have another written"
        ) from error
    except OSError as error:
        raise ClusterError(f"cannot write {path}: {error.strerror}") from error
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(config_text(program.config_name or program.name, program.family_classes()))
    return path


def write_missing_file(program: type[Program], folder: Path) -> None:
    """Write the configuration file of *program* unless it is there; say so if it is written."""
    try:
        path = write_config_file(program, folder)
    except FileExistsError:
        return
    print(f"{program.name}: wrote {path}", file=sys.stderr)


def config_text(name: str, classes: Sequence[type[Configurable]]) -> str:
    """Return a configuration file that sets nothing, and tells of every option.

    Args:
        name: the program that reads it.
        classes: whose options it has.
    """
    lines = [
        f"# The configuration of {name}. It is a program in Python: remove the # before a line",
        "# to set an option. What the command line says wins over it.",
        "",
        "c = get_config()  # noqa: F821",
    ]
    told: set[tuple[object, str]] = set()
    for kind in classes:
        own = [
            (name, trait) for name, trait in _options(kind) if (trait.this_class, name) not in told
        ]
        if not own:
            continue
        told.update((trait.this_class, name) for name, trait in own)
        lines += ["", "", *_comment((kind.__doc__ or kind.__name__).splitlines()[0])]
        for name, trait in own:
            lines += ["", *_entry(kind.__name__, name, trait)]
    return "\n".join(lines) + "\n"


def _options(kind: type[Configurable]) -> list[tuple[str, Trait]]:
    """Return what the file can set: not where it is, nor what only our own programs say."""
    return [
        (name, trait)
        for name, trait in sorted(kind.class_traits(config=True).items())
        if not any(trait.metadata.get(tag) for tag in ("internal", "locates", "in_file"))
    ]


def _entry(section: str, name: str, trait: Trait) -> Iterator[str]:
    yield from _comment(f"{trait.help.rstrip(':.')}: {value_words(trait)}.")
    for choice, meaning in choices(trait).items():
        if meaning:
            yield from _comment(f"  {choice}: {meaning}.")
    words = default_words(trait)
    if words and words != default_words(trait, told=False):
        yield from _comment(f"By default: {words}.")
    yield f"# c.{section}.{name} = {trait.default()!r}"


def _comment(text: str) -> list[str]:
    indent = " " * (len(text) - len(text.lstrip()))
    return textwrap.wrap(
        text.strip(), _WIDTH, initial_indent=f"# {indent}", subsequent_indent=f"# {indent}"
    )
