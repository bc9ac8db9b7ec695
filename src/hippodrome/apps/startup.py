"""The code that an engine executes first, put together from profile and options."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from hippodrome.errors import ClusterError


def startup_source(
    profile_dir: Path, files: Iterable[str], lines: Sequence[str], script: str, command: str
) -> str:
    """Return source text: the profile's startup files, then what the options say.

    Args:
        profile_dir: its ``startup/*.py`` are executed in the order of their names, as IPython does.
        files: executed next.
        lines: executed next.
        script: a file, executed next; empty for none.
        command: source text, executed last.

    Raises:
        ClusterError: a file cannot be read.
    """
    found = sorted((profile_dir / "startup").glob("*.py"))
    parts = [_guarded(path) for path in (*found, *map(_absolute, files))]
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
    # compiled under its own name, so that its tracebacks name the file
    return f"exec(compile({text!r}, {str(path)!r}, 'exec'))"


def _guarded(path: Path) -> str:
    """Execute one of several files: if it fails, the others are executed all the same."""
    show = "__import__('traceback').print_exc()"
    return f"try:\n    {_executed(path)}\nexcept Exception:\n    {show}"
