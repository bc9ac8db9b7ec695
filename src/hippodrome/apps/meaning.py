"""Options in words: what they take, what each choice means, and what holds without them.

The words are written beside the options, as metadata of the traits: ``value`` names what stands for
the value in a help text, ``choices`` tells what each of a few values means, ``default`` what holds
where the default value itself says nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from traitlets import Bool, Enum, Float, Int, List, TraitType, Unicode

Trait = TraitType[Any, Any]

_UNITS: Final = {"SECONDS": "seconds", "MILLISECONDS": "milliseconds", "BYTES": "bytes"}


def choices(trait: Trait) -> Mapping[str, str]:
    """Return the values that *trait* takes, and what each means; nothing if they are many."""
    told: Mapping[str, str] | None = trait.metadata.get("choices")
    if told is not None:
        return told
    if isinstance(trait, Enum):
        return dict.fromkeys(map(str, trait.values or ()), "")
    if isinstance(trait, Bool):
        return {"True": "", "False": ""}
    return {}


def placeholder(trait: Trait) -> str:
    """Return the word that stands for the value of *trait*."""
    told: str | None = trait.metadata.get("value")
    if told is not None:
        return told
    if isinstance(trait, Int):
        return "N"
    if isinstance(trait, Float):
        return "NUMBER"
    return "|".join(choices(trait)) or "VALUE"


def value_words(trait: Trait) -> str:
    """Return what *trait* takes, as in ``must be ...``."""
    given = choices(trait)
    if isinstance(trait, Bool):
        return "True or False"
    if isinstance(trait, Enum):
        return f"one of {', '.join(given)}"
    if isinstance(trait, Int | Float):
        noun = "a whole number" if isinstance(trait, Int) else "a number"
        auto = ", or auto" if placeholder(trait).endswith("|auto") else ""
        return noun + _bounds(trait) + _unit(trait) + auto
    if isinstance(trait, List):
        return "a list of texts, such as ['a', 'b']"
    if isinstance(trait, Unicode):
        return "a text"
    return str(trait.info())


def default_words(trait: Trait, *, told: bool = True) -> str:
    """Return what holds where *trait* is not set; empty if that is nothing.

    Args:
        trait: the option.
        told: whether what is written beside it counts, and not the value alone.
    """
    if told and (words := trait.metadata.get("default")):
        return str(words)
    value = trait.default()
    if isinstance(trait, Bool):
        return "yes" if value else ""
    if isinstance(value, float):
        return f"{value:g}"
    if value in ("", None, []):
        return ""
    return trait.default_value_repr().strip("'")


def _bounds(trait: Int[int, int] | Float[float, float]) -> str:
    low = None if trait.min in (None, -math.inf) else trait.min
    high = None if trait.max in (None, math.inf) else trait.max
    if low is None:
        return "" if high is None else f" of at most {high:g}"
    return f" of at least {low:g}" if high is None else f" from {low:g} to {high:g}"


def _unit(trait: Trait) -> str:
    unit = _UNITS.get(placeholder(trait))
    return f", in {unit}" if unit else ""
