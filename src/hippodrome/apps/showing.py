"""What is in effect, option by option, and where each value was written."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

from traitlets.config import Configurable

from hippodrome.apps.base import Effective, Program
from hippodrome.apps.meaning import default_words
from hippodrome.apps.settings import Setting, section_names

NOBODY: str = "default"


def as_text(program: type[Program], found: Effective) -> str:
    """Return what is in effect for *program*, for people."""
    lines = ["Files, the later ones win:"]
    lines += [
        f"  {path}{'' if is_there else ' (not there)'}" for path, is_there in found.files.items()
    ]
    for kind in program.syntax().classes:
        if not (rows := list(_rows(kind, found))):
            continue
        lines += ["", f"{kind.__name__}:"]
        width = max(len(name) + len(_shown(value)) for name, value, _ in rows) + 3
        for name, value, source in rows:
            setting = f"{name} = {_shown(value)}"
            lines.append(f"  {setting:<{min(width, 50)}}  # {source}")
    lines += ["", *found.remarks] if found.remarks else []
    return "\n".join(lines)


def as_json(program: type[Program], found: Effective) -> str:
    """Return what is in effect for *program*: by class and option ``value`` and ``source``."""
    shown = {
        kind.__name__: {
            name: {"value": value, "source": source} for name, value, source in _rows(kind, found)
        }
        for kind in program.syntax().classes
    }
    return json.dumps(shown, indent=2, default=str)


def _rows(kind: type[Configurable], found: Effective) -> Iterator[tuple[str, Any, str]]:
    """Yield each option's name, value and source."""
    made = kind(config=found.config)
    names = section_names(kind)
    for name, trait in sorted(kind.class_traits(config=True).items()):
        if trait.metadata.get("internal"):
            continue
        sources = [s for s in found.settings if s.trait == name and s.section in names]
        if trait.metadata.get("told_elsewhere") and not sources:
            continue
        if sources:
            yield name, getattr(made, name), _source(max(sources, key=_by_nearness(names)))
        elif name == "ipython_dir" and isinstance(made, Program):
            yield name, str(made.ipython_home), _ipython_dir_source()
        elif name == "profile_dir" and isinstance(made, Program):
            yield name, str(made.find_profile_dir()), "ipython_dir and profile"
        else:
            yield name, getattr(made, name), _default(default_words(trait), getattr(made, name))


def _by_nearness(names: list[str]) -> Any:  # Any: a key for `max`
    """Order settings as traitlets does: that of the class itself wins over that of a base."""
    return lambda setting: -names.index(setting.section)


def _source(setting: Setting) -> str:
    return setting.source if setting.file else f"{setting.source}: {setting.spelled}"


def _default(words: str, value: object) -> str:
    """Say what a default means, where the value does not."""
    return NOBODY if value not in ("", 0) or not words else f"{NOBODY}: {words}"


def _ipython_dir_source() -> str:
    return "$IPYTHONDIR" if os.environ.get("IPYTHONDIR") else NOBODY


def _shown(value: object) -> str:
    return repr(value)
