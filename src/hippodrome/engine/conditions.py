"""The conditions under which an engine started, brought back for what is imported late.

Tasks may change whatever they reach of their process: streams, folders, paths, builtins, limits.
That is theirs to do. But what an engine brings in later, such as IPython, is not written for a
process that has no folder, or whose ``sys.stdout`` is None. So it is brought in under the
conditions that were there before the first task, and finds its own modules where users have some
of the same name.
"""

from __future__ import annotations

import builtins
import io
import os
import sys
import time
import warnings
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import ExitStack, contextmanager, suppress
from importlib.machinery import PathFinder
from typing import Any, Final  # Any: whatever user code left there

_MODULES: Final = (builtins, io, os, os.path, time)  # which everybody uses
_OF_SYS: Final = ("argv", "displayhook", "excepthook", "stderr", "stdin", "stdout")
_VARIABLES: Final = ("HOME", "IPYTHONDIR", "LANG", "LC_ALL", "PATH", "TMPDIR", "XDG_CONFIG_HOME")
_RECURSION: Final = 3000
_UMASK: Final = 0o077
_ABSENT: Final = object()


class Conditions:
    """How this process is now, before the first task.

    Args:
        folder: of `sys.path`, where the user has modules.
    """

    def __init__(self, folder: str) -> None:
        self._names = [(vars(module), dict(vars(module))) for module in _MODULES]
        self._of_sys = {name: getattr(sys, name) for name in _OF_SYS}
        self._path = [entry for entry in sys.path if entry not in ("", folder)]
        self._finders = list(sys.meta_path), list(sys.path_hooks)
        self._main = sys.modules["__main__"]
        self._variables = {name: os.environ.get(name, _ABSENT) for name in _VARIABLES}

    @contextmanager
    def restored(self) -> Iterator[None]:
        """Bring the conditions back for the body, and then what user code had made of them."""
        with ExitStack() as stack:
            for names, before in self._names:
                stack.enter_context(_swapped(names, before))
            found = _texts(vars(sys).get("path"))
            ours = [*self._path, *(entry for entry in found if entry not in self._path)]
            finders, hooks = self._finders
            of_sys = {"path": ours, "meta_path": list(finders), "path_hooks": list(hooks)}
            stack.callback(_add_to_path, ours, list(ours))
            stack.enter_context(_swapped(vars(sys), self._of_sys | of_sys))
            stack.enter_context(_in_a_folder())
            stack.enter_context(_limited())
            stack.enter_context(_swapped(sys.modules, self._modules(found)))
            stack.enter_context(_swapped(os.environ, self._variables))
            stack.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
            yield

    def _modules(self, path: list[str]) -> dict[str, Any]:
        """Return the main module, and that those shall be absent which hide others of their name.

        Args:
            path: `sys.path` as user code has it.
        """
        theirs = {os.path.abspath(entry) for entry in path if entry not in self._path}
        hiding = {
            name
            for name, module in list(sys.modules.items())
            if "." not in name and _is_in(module, theirs) and self._has(name)
        }
        hidden = [name for name in list(sys.modules) if name.partition(".")[0] in hiding]
        return {"__main__": self._main, **dict.fromkeys(hidden, _ABSENT)}

    def _has(self, name: str) -> bool:
        """Return whether there is a module of that name that is not the user's."""
        return name != "__main__" and PathFinder.find_spec(name, self._path) is not None


def _is_in(module: object, folders: set[str]) -> bool:
    """Return whether *module* lies in one of *folders*, or was made by hand."""
    names = getattr(module, "__dict__", {})
    file = names.get("__file__")
    if type(file) is not str:
        return names.get("__spec__") is None
    folder = os.path.dirname(file)
    return folder in folders or os.path.dirname(folder) in folders


@contextmanager
def _swapped(names: MutableMapping[str, Any], values: Mapping[str, Any]) -> Iterator[None]:
    """Let *names* have these values for the body; those that are `_ABSENT` are not there."""
    before: dict[str, Any] = {}
    for name, value in values.items():
        found = names.get(name, _ABSENT)
        if found is not value:
            before[name] = found
            _put(names, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            _put(names, name, value)


def _put(names: MutableMapping[str, Any], name: str, value: Any) -> None:
    if value is _ABSENT:
        names.pop(name, None)
    else:
        names[name] = value


def _texts(path: object) -> list[str]:
    return [entry for entry in path if type(entry) is str] if isinstance(path, list) else []


def _add_to_path(ours: list[str], before: list[str]) -> None:
    """Add to the user's `sys.path` what has been added to ours: IPython lets "" be the first."""
    if isinstance(sys.path, list):
        sys.path[:0] = [entry for entry in ours if entry not in (*before, *_texts(sys.path))]


@contextmanager
def _in_a_folder() -> Iterator[None]:
    """Be elsewhere for the body if the working directory is gone, or closed to us."""
    with ExitStack() as stack:
        if _is_open():
            yield
            return
        with suppress(OSError):  # or we stay there
            here = os.open(".", getattr(os, "O_PATH", os.O_RDONLY))
            stack.callback(os.close, here)
            stack.callback(_go_back, here)
        os.chdir("/")
        yield


def _is_open() -> bool:
    try:
        os.scandir(os.getcwd()).close()
    except OSError:
        return False
    return True


def _go_back(folder: int) -> None:
    with suppress(OSError):
        os.fchdir(folder)


@contextmanager
def _limited() -> Iterator[None]:
    """Have room on the stack, and write files that we can read."""
    depth, mask = sys.getrecursionlimit(), os.umask(_UMASK)
    sys.setrecursionlimit(max(depth, _RECURSION))
    try:
        yield
    finally:
        os.umask(mask)
        with suppress(RecursionError):  # we are deeper than that already
            sys.setrecursionlimit(depth)
