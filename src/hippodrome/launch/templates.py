"""Scripts that users have written for ipyparallel's batch launchers. Pure: text in, text out.

A template is filled as IPython's ``EvalFormatter`` does it: what stands in braces is an expression,
as ``{n//4}`` is, with a format after a colon; braces that are meant are doubled. What the user has
set, and the template does not say, is added to it, so that a template loses no queue and no time.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hippodrome.errors import LaunchError

# Words that start a program several times.
_MANY: Final = re.compile(r"\b(srun|mpiexec|mpirun|mpiexec\.hydra|pbsdsh|blaunch|aprun|jsrun)\b")
_COUNTS: Final = re.compile(r"(?<!\{)\{[^{}]*\bn\b[^{}]*\}")


@dataclass(frozen=True, slots=True)
class Said:
    """How a template says itself what an option would.

    Attributes:
        option: the option.
        line: the line that is added if it does not.
        says: what such a line looks like.
    """

    option: str
    line: str
    says: re.Pattern[str]


class _Formatter(string.Formatter):
    """Takes expressions where others take names."""

    def get_field(self, field_name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        # the template is the user's, as their configuration file is, which is a program too
        return eval(field_name, {"__builtins__": _BUILTINS}, dict(kwargs)), field_name  # noqa: S307


_BUILTINS: Final = {
    each.__name__: each for each in (abs, bool, float, int, len, max, min, range, round, str, sum)
}


def filled(template: str, values: Mapping[str, Any], where: str) -> str:
    """Return a template with its expressions evaluated.

    Args:
        template: the text.
        values: what expressions may use.
        where: what errors call it.

    Raises:
        LaunchError: an expression cannot be evaluated, or braces do not match.
    """
    try:
        if any(name == "" for _, name, _, _ in string.Formatter().parse(template)):
            raise ValueError("there is nothing in {}")  # noqa: TRY301 - as of other mistakes
        return _Formatter().vformat(template, (), values)
    except NameError as error:
        known = ", ".join(sorted(values))
        raise LaunchError(
            f"{where}{_line(template, error)}: {error}; there are: {known}, and what namespace "
            "adds; braces that are meant are doubled"
        ) from error
    except Exception as error:  # it evaluates what somebody has written
        raise LaunchError(
            f"{where} cannot be filled: {type(error).__name__}: {error}; braces that are meant "
            "are doubled, as in ${{HOME}}"
        ) from error


def _line(template: str, error: NameError) -> str:
    for number, line in enumerate(template.splitlines(), start=1):
        if error.name and re.search(rf"\{{[^{{}}]*\b{re.escape(error.name)}\b", line):
            return f", line {number}"
    return ""


def starts_all(template: str) -> bool:
    """Whether ``{program_and_args}`` is run once, so that it has to start all engines.

    It is run for each engine where the template says how many there are, or uses a command that
    starts others several times, or asks for an array of jobs.
    """
    is_array = re.search(
        r"^#(PBS\s+-[tJ]|\$\s+-t|BSUB\s+-J\s*\S+\[|SBATCH\s+(-a|--array))", template, re.M
    )
    return not (_COUNTS.search(template) or _MANY.search(template) or is_array)


def completed(
    script: str, template: str, directive: str, said: Iterable[Said], given: Mapping[str, Any]
) -> str:
    """Return a script with lines for what is set and its template does not say.

    Args:
        script: the template, filled.
        template: as the user wrote it: where it uses ``{queue}``, it says it.
        directive: how a line for the batch system begins.
        said: how each option is said.
        given: what is set.
    """
    own = [line for line in script.splitlines() if line.lstrip().startswith(directive.strip())]
    missing = [
        directive + one.line
        for one in said
        if one.option in given
        and not any(one.says.search(line) for line in own)
        and not re.search(rf"\{{[^{{}}]*\b{one.option}\b", template)
    ]
    return with_lines(script, missing)


def with_lines(script: str, lines: Sequence[str]) -> str:
    """Return a script with lines after its first one, if that says what runs it, else before."""
    if not lines:
        return script
    first, end, rest = script.partition("\n")
    if not first.startswith("#!"):
        return "\n".join([*lines, script])
    return "\n".join([first, *lines, rest if end else ""])


def without_indent(template: str) -> str:
    """Return a template whose lines for the batch system begin in the first column.

    Texts in configuration files are often indented with the code around them, and a batch system
    takes an indented line for a comment.
    """
    return "\n".join(_lines(template.splitlines())) + "\n" * template.endswith("\n")


def _lines(lines: Sequence[str]) -> Iterator[str]:
    begun = list(lines)
    while begun and not begun[0].strip():  # what follows three quotes
        del begun[0]
    for line in begun:
        plain = line.lstrip()
        is_for_system = re.match(r"#(!|PBS\b|\$|BSUB\b|SBATCH\b|flux:|OAR\b)", plain)
        yield plain if is_for_system else line
