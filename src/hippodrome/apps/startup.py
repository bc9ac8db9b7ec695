"""The code that an engine executes first, put together from profile and options."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from hippodrome.apps.commandline import FlagOption
from hippodrome.errors import ClusterError

IGNORE_STARTUP_ERRORS: Final = FlagOption(
    "ignore_startup_errors", True, "Let engines serve even if what they execute first fails."
)

_CELLS: Final = ".ipy"  # of files that may have magics in them


def startup_source(
    profile_dir: Path,
    files: Iterable[str],
    lines: Sequence[str],
    script: str,
    command: str,
    *,
    ignores_errors: bool = False,
) -> str:
    """Return source text: the user's and the profile's startup files, then what the options say.

    Args:
        profile_dir: its ``startup/*.py`` and ``startup/*.ipy`` are executed in the order of their
            names, as IPython does.
        files: executed next.
        lines: executed next.
        script: a file, executed next; empty for none.
        command: source text, executed last.
        ignores_errors: execute the others if one of the files fails.

    Raises:
        ClusterError: a file cannot be read.
    """
    found = sorted(p for p in (profile_dir / "startup").glob("*.*") if p.suffix in (".py", _CELLS))
    execute = _guarded if ignores_errors else _executed
    parts = [_own_file(path) for path in filter(None, [os.environ.get("PYTHONSTARTUP")])]
    parts += [execute(path) for path in (*found, *map(_absolute, files))]
    parts += lines
    if script:
        parts.append(_executed(_absolute(script)))
    return "\n".join([*parts, command]) if parts else command


def _absolute(path: str) -> Path:
    return Path(path).expanduser().absolute()


def _executed(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ClusterError(f"cannot read the startup script {path}: {error}") from error
    source = repr(text)
    if path.suffix == _CELLS:
        source = f"get_ipython().transform_cell({source})"
    # compiled under its own name, so that its tracebacks name the file
    return f"exec(compile({source}, {str(path)!r}, 'exec'))"


def _guarded(path: Path) -> str:
    """Execute one of several files: if it fails, the others are executed all the same."""
    show = "__import__('traceback').print_exc()"
    return f"try:\n    {_executed(path)}\nexcept (Exception, SystemExit):\n    {show}"


def _own_file(path: str) -> str:
    """Execute what Python executes for each session of the user; if that fails, it goes on."""
    try:
        return _guarded(_absolute(path))
    except ClusterError as error:
        return f"__import__('sys').stderr.write({f'{error}{chr(10)}'!r})"
