"""What this program knows of the code in a remote traceback: its lines, and the number of its cell.

A function of a notebook, or of a script that is not on the engine's host, comes without its source.
Its lines are filled in here, but never wrong ones: only from text that cannot have changed since
the function was made, and where a function of that name is in that line.
"""

from __future__ import annotations

import ast
import linecache
import os
import re
import stat
import sys
import time
from collections.abc import Iterator
from functools import lru_cache
from types import CodeType
from typing import Any, Final  # Any: IPython's shell

from msgspec.structs import replace

from hippodrome.display import running_shell
from hippodrome.protocol.messages import Failure

MOST_SOURCE_BYTES: Final = 1 << 20
_KEPT: Final = 16
_STARTED: Final = time.time()
_FRAME: Final = re.compile(r'([ |]*)File "([^"\n]{1,4096})", line (\d{1,9}), in ([^\n]{1,400})')
# the same as IPython shows it, and what it says where it has no source; both may have colours
_IPYTHON_FRAME: Final = re.compile(
    r"([ |]*)File ([^\n]{1,4096}?):(\d{1,9}), in ([\w.<>]{1,400})[^\n]{0,4096}"
)
_NO_SOURCE: Final = "Could not get source"
_COLORS: Final = re.compile(r"\x1b\[[0-9;]{0,16}m")

_NUMBER: Final = re.compile(r"In ?\[(\d{1,9})\]")

Text = tuple[str, ...]  # lines


def with_sources(failure: Failure) -> Failure:
    """Return *failure* with what is known here of the code in its traceback."""
    if "File " not in failure.traceback:
        return failure
    lines = failure.traceback.split("\n")
    return replace(failure, traceback="\n".join(_filled_in(lines)))


def cell_number() -> tuple[int, ...]:
    """Return the number of the cell that runs here, as arguments of a call; nothing in a script.

    The shell's own count is of the next cell in some releases, so the stack is asked.
    """
    found = ""
    frame = sys._getframe(1) if running_shell() is not None else None
    while frame is not None:  # the outermost: a function of another cell may make the call
        found = _cell_of(frame.f_code.co_filename) or found
        frame = frame.f_back
    number = _NUMBER.search(found)
    return (int(number[1]),) if number else ()


def _filled_in(lines: list[str]) -> Iterator[str]:
    following = iter([*lines[1:], ""])
    source = ""  # in the place of the line that says that there is none
    for line in lines:
        after, plain = next(following), _COLORS.sub("", line)
        if source and _NO_SOURCE in plain:
            yield source
            source = ""
            continue
        source = ""
        python, ipython = _FRAME.fullmatch(plain), _IPYTHON_FRAME.fullmatch(plain)
        if python is not None:
            yield from _named(python, line, after)
        elif ipython is not None:
            indent, file, number, name = ipython[1], ipython[2], int(ipython[3]), ipython[4]
            cell = _cell_of(file)
            place = line.replace("File ", "", 1).replace(
                f"{file}:{number}", f"{cell}, line {number}"
            )
            yield place if cell else line
            code = _line_of(file, number, name.rpartition(".")[2])
            source = f"{indent}----> {number} {code}" if code else ""
            if source and not after.strip("| "):  # which is how older releases of IPython show none
                yield source
                source = ""
        else:
            yield line


def _named(frame: re.Match[str], line: str, following: str) -> Iterator[str]:
    """Yield a frame as Python shows it, with its cell, and its code if that does not follow."""
    indent, file, number, name = frame[1], frame[2], int(frame[3]), frame[4]
    cell = _cell_of(file)
    yield f"{indent}{cell}, line {number}, in {name}" if cell else line
    if not following.startswith(f"{indent}  "):
        source = _line_of(file, number, name)
        if source:
            yield f"{indent}  {source}"


def _cell_of(file: str) -> str:
    """Return ``Cell In[3]`` for code of a cell here; empty for other code."""
    shell: Any = running_shell()
    if shell is None or file not in linecache.cache:
        return ""
    label = getattr(shell.compile, "format_code_name", lambda _: None)(file)
    return " ".join(label) if label else ""


def _line_of(file: str, number: int, name: str) -> str:
    """Return a line of code without its indentation; empty if it is not surely that."""
    text = _text_of(file)
    if text is None or not 0 < number <= len(text):
        return ""
    return text[number - 1].strip() if number in _lines_of(text, name) else ""


def _text_of(file: str) -> Text | None:
    entry: Any = linecache.cache.get(file)
    if entry is not None and len(entry) == 4 and entry[1] is None:  # no file: it stays as it is
        return tuple(entry[2])
    if file == "<string>":
        given = sys.orig_argv
        is_there = sys.argv[:1] == ["-c"] and "-c" in given[1:-1]
        return _split(given[given.index("-c") + 1]) if is_there else None
    if file == "<stdin>":
        return _read(0) if sys.argv[:1] in ([""], ["-"]) else None
    if any(getattr(module, "__file__", None) == file for module in list(sys.modules.values())):
        try:
            with open(file, "rb") as opened:
                return _read(opened.fileno())
        except OSError:
            return None
    return None


def _read(descriptor: int) -> Text | None:
    """Return what is in a file, if it has not changed since this program has begun."""
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_mtime > _STARTED:
            return None
        return _split(os.pread(descriptor, MOST_SOURCE_BYTES, 0).decode())
    except (OSError, ValueError):
        return None


def _split(text: str) -> Text:
    return tuple(text.splitlines())


@lru_cache(maxsize=_KEPT)
def _codes(text: Text) -> dict[str, frozenset[int]]:
    """Return the lines that functions of each name have."""
    whole = "\n".join(line.rstrip("\n") for line in text)
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    try:
        waiting: list[Any] = [compile(whole, "", "exec", flags=flags, dont_inherit=True)]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    found: dict[str, frozenset[int]] = {}
    while waiting:
        code = waiting.pop()
        own = {line for _, _, line in code.co_lines() if line}
        found[code.co_name] = found.get(code.co_name, frozenset()) | own
        waiting += [one for one in code.co_consts if isinstance(one, CodeType)]
    return found


def _lines_of(text: Text, name: str) -> frozenset[int]:
    return _codes(text).get(name, frozenset())
