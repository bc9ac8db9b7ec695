"""Configuration files, read into settings that know their line.

``*.py`` is a program that sets ``c.Class.trait``, as everywhere in Jupyter; ``*.json`` holds
``{"Class": {"trait": value}}``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Final

from traitlets.config import Config

from hippodrome.apps.settings import Setting, UsageError

CONFIG_SUFFIXES: Final = (".py", ".json")  # of two that set the same, the later one wins


def read_config_file(path: Path) -> list[Setting]:
    """Return what the configuration file at *path* sets.

    Raises:
        FileNotFoundError: there is none.
        UsageError: it cannot be read, is damaged, or raised something; says in which line.
    """
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(path) from error
    except OSError as error:
        raise UsageError(f"cannot read the configuration file {path}: {error.strerror}") from error
    return list(_from_json(path, data) if path.suffix == ".json" else _from_python(path, data))


class _Noted(Config):
    """A `Config` that notes by which line of a configuration file each value was set."""

    def __init__(self, *args: Any, files: list[str] | None = None) -> None:
        self.__dict__["files"] = [] if files is None else files
        self.__dict__["places"] = {}
        super().__init__(*args)

    def __getitem__(self, key: str) -> Any:
        if not dict.__contains__(self, key):
            if key[:1].isupper():
                dict.__setitem__(self, key, _Noted(files=self.files))
            else:
                self.places[key] = self._place()  # of a list that is to be extended
        return super().__getitem__(key)

    def __setitem__(self, key: str, value: Any) -> None:
        self.places[key] = self._place()
        super().__setitem__(key, value)

    def _place(self) -> tuple[str, int]:
        """Return the innermost line of a configuration file that is being executed."""
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            if frame.f_code.co_filename in self.files:
                return frame.f_code.co_filename, frame.f_lineno
            frame = frame.f_back
        return "", 0


def _from_python(path: Path, data: bytes) -> Iterator[Setting]:
    config = _Noted()
    _execute(path, data, config)
    for section, values in config.items():
        if not isinstance(values, Config):
            raise UsageError(f"{path}: c.{section} is no class: write c.Class.option = value")
        places = values.places if isinstance(values, _Noted) else {}
        for name, value in values.items():
            file, line = places.get(name, config.places.get(section, ("", 0)))
            yield Setting(section, name, value, f"c.{section}.{name}", Path(file or path), line)


def _execute(path: Path, data: bytes, config: _Noted) -> None:
    """Execute a configuration file, and those that it loads."""

    def load_subconfig(name: str, path: str | None = None, profile: str | None = None) -> None:
        folder = _folder(base, path, profile)
        further = folder / name
        try:
            text = further.read_bytes()
        except OSError:
            return  # as traitlets has it
        exec(_compiled(further, text, config), namespace | {"__file__": str(further)})  # noqa: S102

    base = path.absolute().parent
    namespace: dict[str, Any] = {
        "c": config,
        "get_config": lambda: config,
        "load_subconfig": load_subconfig,
        "__file__": str(path.absolute()),
        "__name__": "__config__",
    }
    try:
        exec(_compiled(path, data, config), namespace)  # noqa: S102 - that is what it is for
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # it is a program, and may raise anything, SystemExit too
        raise UsageError(_failure(path, error, config.files)) from error


def _compiled(path: Path, data: bytes, config: _Noted) -> CodeType:
    config.files.append(str(path))
    return compile(data, str(path), "exec", dont_inherit=True)


def _folder(base: Path, path: str | None, profile: str | None) -> Path:
    """Return where a further file is: beside the first one, or in another profile."""
    if profile is not None:
        return base.parent / f"profile_{profile}"
    return base if path is None else Path(path)


def _failure(path: Path, error: BaseException, files: list[str]) -> str:
    """Say in which line the configuration file at *path* failed, and how."""
    where, line = str(path), 0
    if isinstance(error, SyntaxError) and error.filename in files:
        where, line, text = error.filename, error.lineno or 0, error.msg
    else:
        text = str(error)
        traceback = error.__traceback__
        while traceback is not None:
            if traceback.tb_frame.f_code.co_filename in files:
                where, line = traceback.tb_frame.f_code.co_filename, traceback.tb_lineno
            traceback = traceback.tb_next
    at = f", line {line}" if line else ""
    said = f": {text}" if text else ""
    return f"the configuration file {where}{at} failed: {type(error).__name__}{said}"


def _from_json(path: Path, data: bytes) -> Iterator[Setting]:
    try:
        text = data.decode("utf-8")
        content = json.loads(text)
    except UnicodeDecodeError as error:
        raise UsageError(f"the configuration file {path} is no text in UTF-8") from error
    except json.JSONDecodeError as error:
        raise UsageError(
            f"the configuration file {path}, line {error.lineno} is no JSON: {error.msg}"
        ) from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"the configuration file {path} is no JSON: {error}") from error
    if not isinstance(content, dict):
        raise UsageError(
            f'the configuration file {path} must hold {{"Class": {{"option": value}}}}'
        )
    for section, at, start in _members(text, _skip(text, 0)):
        if section == "version":
            continue  # Jupyter writes it
        if text[start] != "{":
            line = _line(text, at)
            raise UsageError(
                f"the configuration file {path}, line {line}: "
                f'"{section}" is no class: write {{"Class": {{"option": value}}}}'
            )
        for name, key_at, value_at in _members(text, start):
            value, _ = _DECODER.raw_decode(text, value_at)
            spelled = f"{section}.{name}"
            yield Setting(section, name, value, spelled, path, _line(text, key_at))


_DECODER = json.JSONDecoder()


def _members(text: str, start: int) -> Iterator[tuple[str, int, int]]:
    """Yield the keys of the object at *start*, with where key and value begin; it is valid JSON."""
    at = _skip(text, start + 1)
    while text[at] != "}":
        key_at = at
        key, at = _DECODER.raw_decode(text, at)
        at = _skip(text, _skip(text, at) + 1)
        yield key, key_at, at
        _, at = _DECODER.raw_decode(text, at)
        at = _skip(text, at)
        if text[at] == ",":
            at = _skip(text, at + 1)


def _skip(text: str, at: int) -> int:
    while text[at] in " \t\n\r":
        at += 1
    return at


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1
