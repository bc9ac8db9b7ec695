"""The options of launchers, as traits: `hippodrome.launch.options` is the data.

The command line's ``--time=1h`` is of ``LaunchOptions``, whichever launcher is used, and wins over
files, where each launcher has a class of its own: ``c.SlurmLauncher.time``.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any, Final

from traitlets import List, TraitType, Unicode
from traitlets.config import Config, Configurable

from hippodrome.apps.settings import UsageError
from hippodrome.launch.base import ControllerLauncher, EngineSetLauncher
from hippodrome.launch.options import (
    LAUNCHER_OPTIONS,
    SECTIONS,
    SSH_CONTROLLER,
    SSH_LOGIN,
    LaunchOption,
    launchers_with,
    read_options,
    read_value,
)

ANY: Final = "LaunchOptions"


class LaunchOptionTrait(TraitType[Any, Any]):
    """An option of a launcher; None where it is not set."""

    default_value: Any = None

    def __init__(self, option: LaunchOption) -> None:
        super().__init__(help=option.help, allow_none=True)
        self.option = option

    def info(self) -> str:
        return self.option.kind.words

    def validate(self, obj: Any, value: Any) -> Any:  # Any: what users write
        try:
            return read_value(self.option, value)
        except ValueError:
            self.error(obj, value)

    def from_string(self, s: str) -> Any:
        return self.validate(None, s)


def option_aliases() -> dict[str, str]:
    """Return the options that ``ipcluster start`` has for launchers, and what each sets."""
    return {name.replace("_", "-"): f"{ANY}.{name}" for name in _every()}


@cache
def option_sections() -> tuple[type[Configurable], ...]:
    """Return the classes whose traits are the options: of the command line, and each launcher's."""
    traits = {name: _trait(option, in_file=_in_file(name)) for name, option in _every().items()}
    doc = {"__doc__": "Options of launchers of engines, whichever is used."}
    kinds = map(_section, SECTIONS)
    return (type(ANY, (Configurable,), doc | traits), *kinds, _kind_of(SSH_CONTROLLER, SSH_LOGIN))


def chosen_controller(kind: type[ControllerLauncher], config: Config) -> type[ControllerLauncher]:
    """Return the launcher of the controller with what files say for it.

    Raises:
        UsageError: it does not take that.
    """
    if kind.__name__ != SSH_CONTROLLER or SSH_CONTROLLER not in config:
        return kind
    from hippodrome.launch.overssh import SSHControllerLauncher  # which few need

    assert issubclass(kind, SSHControllerLauncher)
    found = _set(_kind_of(SSH_CONTROLLER, SSH_LOGIN), [SSH_CONTROLLER], config)
    try:
        return kind.configured({**found, **kind.preset})
    except (TypeError, ValueError) as error:
        raise UsageError(str(error)) from error


def chosen_options(kind: type[EngineSetLauncher], config: Config) -> dict[str, Any]:
    """Return what files and command line say for a launcher, read.

    Raises:
        UsageError: it does not take an option of the command line; says which does.
    """
    found: dict[str, Any] = {}
    if kind.name in SECTIONS:
        found = _set(_section(kind.name), SECTIONS[kind.name], config)
    found |= _set(option_sections()[0], [ANY], config)
    try:
        return read_options(kind.name or kind.__name__, kind.OPTIONS, found, whose="ipcluster")
    except (TypeError, ValueError) as error:
        raise UsageError(str(error)) from error


def _every() -> dict[str, LaunchOption]:
    """Return each option once, whoever takes it."""
    found: dict[str, LaunchOption] = {}
    for options in LAUNCHER_OPTIONS.values():
        for option in options:
            if option.is_short:
                found.setdefault(option.name, option)
    return found


@cache
def _section(launcher: str) -> type[Configurable]:
    """Return the class of one launcher, which is called by the last of its names.

    Its bases have the others, so that what is set of the last one wins.
    """
    options = LAUNCHER_OPTIONS[launcher]
    kind: type[Configurable] = Configurable
    for name in SECTIONS[launcher]:
        kind = _kind_of(name, options, kind, launcher)
    return kind


def _kind_of(
    name: str,
    options: Iterable[LaunchOption],
    base: type[Configurable] = Configurable,
    launcher: str = "ssh",
) -> type[Configurable]:
    """Return a class of this name with traits for *options*, whatever they are called."""
    named = [(called, option) for option in options for called in (option.name, *option.old)]
    traits = {called: _trait(option, told_elsewhere=True) for called, option in named}
    return type(name, (base,), {"__doc__": f"Options of {launcher}.", **traits})


def _set(kind: type[Configurable], sections: Iterable[str], config: Config) -> dict[str, Any]:
    """Return what *config* sets of a class, under whichever of its names."""
    made = kind(config=config)
    names = {name for section in sections if section in config for name in config[section]}
    return {name: getattr(made, name) for name in names}


def _trait(option: LaunchOption, **tags: Any) -> TraitType[Any, Any]:
    trait: TraitType[Any, Any] = LaunchOptionTrait(option)
    if option.kind.is_list:
        trait = List(Unicode(), help=option.help)
    shown = "" if option.default in (None, []) else str(option.default)
    words = option.default_words or shown
    return trait.tag(config=True, value=option.kind.placeholder, default=words, **tags)


def _in_file(name: str) -> str:
    """Return what a file calls an option: by the launcher's class, if only one has it."""
    having = launchers_with(name)
    section = SECTIONS[having[0]][-2] if len(having) == 1 else "LAUNCHER"
    return f"{section}.{name}"
