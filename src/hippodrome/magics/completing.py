"""Completion of the options of ``%%px`` and its family, in IPython and in notebooks."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable, Mapping
from typing import Any, Final  # Any: IPython's shell and its event, which are not typed

_NAMES: Final = ("--targets", "-t")
_SIGNALS: Final = ("--signal-on-interrupt",)


def complete(shell: Any, magics: Mapping[str, Callable[..., Any]]) -> None:
    """Let *shell* complete the options of some magics.

    Args:
        shell: an IPython.
        magics: what has a ``parser`` as IPython's decorators make one, by what is typed to call it,
            as ``%%px``.
    """
    for name, magic in magics.items():
        words = _Words(magic.parser)  # type: ignore[attr-defined]
        shell.set_hook("complete_command", words, str_key=name)


class _Words:
    """What may stand in the place of the word that is being typed.

    Args:
        parser: of the magic.
    """

    def __init__(self, parser: ArgumentParser) -> None:
        self._values: dict[str, list[str]] = {}
        for action in parser._actions:
            choices = [] if action.choices is None else [str(one) for one in action.choices]
            self._values |= dict.fromkeys(action.option_strings, choices)

    def __call__(self, shell: Any, event: Any) -> list[str]:
        before = event.text_until_cursor.split()
        if not event.text_until_cursor.endswith(tuple(" \t")):
            before = before[:-1]
        values = self._values_of(before[-1]) if before else []
        return values or [name for name in self._values if name.startswith("--")]

    def _values_of(self, option: str) -> list[str]:
        if option in _NAMES:
            return ["all"]
        if option in _SIGNALS:
            return ["SIGINT", "SIGTERM", "SIGKILL", "none"]
        return self._values.get(option, [])
