"""What may follow on a command line that is being typed, read off what the programs would take.

Shells ask for it at each Tab (`completion`), so that it is true of the installed version and of the
profiles and clusters that there are now. A candidate that ends with ``=`` wants more; the words
`FILES` and `FOLDERS` leave it to the shell to propose paths.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from traitlets import Bool

from hippodrome import paths
from hippodrome.apps.base import Program
from hippodrome.apps.commandline import INIT, QUESTIONS, Syntax, dashed
from hippodrome.apps.helptext import trait_text
from hippodrome.apps.meaning import Trait, choices
from hippodrome.errors import ClusterError

FILES: Final = ":files"
FOLDERS: Final = ":folders"

Candidates = Iterator[tuple[str, str]]  # each with what it means, which may be empty

_LAUNCHER_GROUPS: Final = {
    "engine launcher": "hippodrome.engine_launchers",
    "controller launcher": "hippodrome.controller_launchers",
}
_LOCATING: Final = ("profile", "profile-dir", "ipython-dir")


def complete(
    words: Sequence[str], programs: Mapping[str, type[Program]], rest: Mapping[str, type[Program]]
) -> list[tuple[str, str]]:
    """Return what the last word may become, and what each of that means.

    Args:
        words: a command line up to the cursor; the first is the command, the last may be empty.
        programs: subcommands by name; with one that is called ``""`` there are no subcommands.
        rest: to which program the words after ``--`` are passed, by subcommand.
    """
    *before, word = words[1:] or [""]
    if "" in programs:
        return _fitting(word, _of_program(before, word, programs[""]))
    if before and before[0] == "help":
        before = before[1:]
        return [] if before else _fitting(word, _subcommands(programs))
    if not before:
        return _fitting(word, _first_words(programs))
    command, *before = before
    program = programs.get(command)
    if program is None:
        return []
    if "--" in before and command in rest:
        program, before = rest[command], before[before.index("--") + 1 :]
    return _fitting(word, _of_program(before, word, program))


def _fitting(word: str, candidates: Candidates) -> list[tuple[str, str]]:
    return [
        (text, meaning)
        for text, meaning in candidates
        if text.startswith(word) or text in (FILES, FOLDERS)
    ]


def _subcommands(programs: Mapping[str, type[Program]]) -> Candidates:
    for name, program in programs.items():
        yield name, program.description


def _first_words(programs: Mapping[str, type[Program]]) -> Candidates:
    yield from _subcommands(programs)
    yield "help", "Show the options of a subcommand."
    yield "--help", "Show the subcommands."
    yield "--help-all", "Show all options of all subcommands."
    yield "--version", "Show the version."


def _of_program(before: Sequence[str], word: str, program: type[Program]) -> Candidates:
    """Yield what may follow *before* on the command line of *program*."""
    syntax = program.syntax()
    targets = syntax.targets
    option, equals, _ = word.partition("=")
    if equals and (trait := _trait(option, syntax, targets)):
        for value, meaning in _values(trait, before):
            yield value if value in (FILES, FOLDERS) else f"{option}={value}", meaning
    elif before and (trait := _wanting(before[-1], syntax, targets)):
        yield from _values(trait, before[:-1])
    elif word.startswith("-"):
        yield from _options(syntax, targets, with_classes=word[2:3].isupper())
    elif program.argument_name == "CLUSTER_ID":
        yield from _cluster_ids(before)
    elif program.argument_name:
        yield from ((name, "") for name in program.argument_choices)
    else:
        yield from _options(syntax, targets)


def _trait(option: str, syntax: Syntax, targets: Mapping[str, Trait]) -> Trait | None:
    name = option.lstrip("-")
    flag = syntax.flags.get(name)
    is_switch = flag is not None and isinstance(flag.value, bool)
    target = syntax.aliases.get(name) or (flag.target if flag and is_switch else name)
    return targets.get(target) if option.startswith("-") else None


def _wanting(option: str, syntax: Syntax, targets: Mapping[str, Trait]) -> Trait | None:
    """Return the trait of an option whose value is the next word; None if it needs none."""
    trait = None if "=" in option else _trait(option, syntax, targets)
    return None if isinstance(trait, Bool) else trait


def _options(
    syntax: Syntax, targets: Mapping[str, Trait], *, with_classes: bool = False
) -> Candidates:
    for option, target in syntax.aliases.items():
        yield _with_value(dashed(option)), trait_text(targets[target])
    for option, flag in syntax.flags.items():
        if option not in syntax.aliases:
            yield dashed(option), flag.help
    yield dashed(INIT), "Write a configuration file first, if there is none."
    for question, meaning in QUESTIONS.items():
        yield dashed(question), meaning
    if syntax.rest:
        yield "--", f"What follows are {syntax.rest}."
    if with_classes:
        own = {kind.__name__ for kind in syntax.classes}
        for target, trait in targets.items():
            if target.partition(".")[0] in own and not trait.metadata.get("internal"):
                yield f"--{target}=", trait.help


def _with_value(option: str) -> str:
    return option if len(option) == 2 else f"{option}="


def _values(trait: Trait, before: Sequence[str]) -> Candidates:
    """Yield what an option may be set to."""
    match trait.metadata.get("completes"):
        case "file":
            yield FILES, ""
        case "folder":
            yield FOLDERS, ""
        case "profile":
            yield from ((name, "") for name in _profiles(_located(before)))
        case "cluster":
            yield from _cluster_ids(before)
        case "engine launcher" | "controller launcher" as group:
            from hippodrome.launch.find import launcher_names

            yield from ((name, "") for name in launcher_names(_LAUNCHER_GROUPS[group]))
        case _:
            yield from choices(trait).items()


def _located(before: Sequence[str]) -> dict[str, str]:
    """Return what the words before say of where the profile is."""
    found = {}
    for i, word in enumerate(before):
        option, equals, value = word.partition("=")
        name = option.lstrip("-")
        if option.startswith("-") and name in _LOCATING:
            following = before[i + 1] if i + 1 < len(before) else ""
            found[name] = value if equals else following
    return found


def _profiles(located: Mapping[str, str]) -> list[str]:
    folder = paths.ipython_dir(located.get("ipython-dir"))
    return sorted(path.name.removeprefix("profile_") for path in folder.glob("profile_*"))


def _cluster_ids(before: Sequence[str]) -> Candidates:
    """Yield the ids of the profile's clusters, by the names of their files."""
    located = _located(before)
    try:
        folder = paths.find_profile_dir(
            located.get("profile"), located.get("profile-dir"), located.get("ipython-dir")
        )
    except ClusterError:  # what is being typed may be anything
        return
    named = {*before}
    for name in sorted(_ids_in(folder / "security")):
        if name not in named:
            yield name, ""


def _ids_in(folder: Path) -> set[str]:
    found = {path.name[len("cluster-") : -len(".json")] for path in folder.glob("cluster-?*.json")}
    for role in ("client", "engine"):
        end = f"-{role}.json"
        for path in folder.glob(f"ipcontroller-?*{end}"):
            found.add(path.name[len("ipcontroller-") : -len(end)])
    return found
