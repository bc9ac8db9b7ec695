"""Which namespace unpickled functions belong to, and what they see beyond it.

A function from a client's ``__main__`` has the engine's user namespace as its globals. Names
that it uses and that only the client defines, its *captures*, must be found after the globals
and before the builtins. Python has exactly one place there: a function takes the dict of its
builtins from ``globals["__builtins__"]`` when it is created. So it is created while that entry
is a copy of the builtins to which its captures are added. All dicts stay plain dicts, so that
global lookups stay as fast as they are anywhere; nothing is added to the user's namespace.

Functions that come into being while such a function runs (nested functions, lambdas, before
Python 3.12 comprehensions) take the entry that they find then. So `calling` puts the captures of
the function that is called there for the time of the call, and behind them those of all functions
that came otherwise, in arguments or pushed, for as long as those live. Nothing stays there between
calls, so that nothing is kept, and nobody finds what is not the namespace's. (To leave the entry
out, so that functions inherit from the one that makes them, would be neater; but C code that
imports something insists on finding it.)
"""

from __future__ import annotations

import builtins
import sys
import types
import weakref
from collections.abc import Iterable
from contextvars import ContextVar
from typing import Any, Final

Namespace = dict[str, Any]

BUILTINS: Final[Namespace] = vars(builtins)
ABSENT: Final = object()  # where None is a value
INTERACTIVE: Final = (
    "__hippodrome_interactive__"  # attribute of functions that `interactive` marked
)
LEFT: Final = "__hippodrome_left__"  # among captures: why some could not be pickled, by name
_OWN: Final = "__hippodrome_own__"  # among merged captures: those of what is called, apart
_ENTRY: Final = "__builtins__"

Captures = tuple[Namespace, ...]  # builtins to which captures were added, as functions have them

_namespace: ContextVar[Namespace | None] = ContextVar("namespace", default=None)
_collected: ContextVar[list[Namespace] | None] = ContextVar("collected", default=None)
# Functions with captures that are here and that no task calls by itself: by their ids, with the
# names of those.
ARRIVED: Final[dict[int, tuple[weakref.ref[Any], tuple[str, ...]]]] = {}


class unpickling_in:
    """Make *namespace* the place where functions and references unpickled meanwhile belong.

    Args:
        namespace: an engine's user namespace. It should have ``__name__`` set to ``"__main__"``.
            None where this is no engine.
    """

    __slots__ = ("_namespace", "_previous")

    def __init__(self, namespace: Namespace | None) -> None:
        self._namespace = namespace

    def __enter__(self) -> None:
        self._previous = set_namespace(self._namespace)

    def __exit__(self, *exc_info: object) -> None:
        set_namespace(self._previous)


def set_namespace(namespace: Namespace | None) -> Namespace | None:
    """Set the namespace for unpickling in this thread for good; return the one before.

    An engine does this once, on the thread that runs user code, and needs no `unpickling_in`.

    Args:
        namespace: an engine's user namespace; None where this is no engine.
    """
    previous = _namespace.get()
    _namespace.set(namespace)
    return previous


def current_namespace() -> Namespace | None:
    """Return the namespace for unpickling in this thread; None where this is no engine."""
    return _namespace.get()


class collecting:
    """Tell the captures of what is unpickled in the body from those of everything else.

    For functions that tasks call: what they bring along is theirs alone.
    """

    __slots__ = ()

    def __enter__(self) -> list[Namespace]:
        captures: list[Namespace] = []
        _collected.set(captures)
        return captures

    def __exit__(self, *exc_info: object) -> None:
        _collected.set(None)


def note_captures(function: Any, names: Iterable[str]) -> None:
    """Note that *function*, which is new here, has brought captures along."""
    captures: Namespace = function.__builtins__
    collected = _collected.get()
    if collected is not None:
        if not any(captures is other for other in collected):
            collected.append(captures)
        return
    key = id(function)

    def forget(ref: weakref.ref[Any]) -> None:
        found = ARRIVED.get(key)
        if found is not None and found[0] is ref:  # else the id belongs to another by now
            ARRIVED.pop(key, None)

    ARRIVED[key] = weakref.ref(function, forget), tuple(n for n in names if n != LEFT)


def forget_arrived(namespace: Namespace) -> None:
    """Let nobody find the captures of functions that have arrived in *namespace* so far."""
    for key, (ref, _) in ARRIVED.copy().items():
        function = ref()
        if function is None or function.__globals__ is namespace:
            ARRIVED.pop(key, None)


def captures_of(f: object) -> Captures:
    """Return the captures of *f*, if it is a function that has any."""
    if not isinstance(f, types.FunctionType):
        return ()
    captures: Namespace = getattr(f, _ENTRY)
    return () if captures is BUILTINS else (captures,)


class calling:
    """Call a function of the user namespace in the body of this context manager.

    Args:
        captures: those of what is called.
        namespace: the user namespace.
    """

    __slots__ = ("_before", "_captures", "_namespace")

    def __init__(self, captures: Captures, namespace: Namespace) -> None:
        self._captures = captures
        self._namespace = namespace
        self._before: Any = None  # a dict or a module

    def __enter__(self) -> None:
        captures, namespace = self._captures, self._namespace
        if ARRIVED:
            entry = _merged(captures, namespace)
        elif len(captures) == 1:
            entry = captures[0]
        elif captures:
            entry = _merged(captures, namespace)
        else:
            return
        self._before = namespace.get(_ENTRY, BUILTINS)
        namespace[_ENTRY] = entry

    def __exit__(self, *exc_info: object) -> None:
        if self._before is not None:
            self._namespace[_ENTRY] = self._before


def _merged(captures: Captures, namespace: Namespace) -> Namespace:
    """Return builtins with *captures*, and with what others captured behind them."""
    merged = dict(BUILTINS)
    left: dict[str, str] = {}
    for ref, names in list(ARRIVED.values()):
        function = ref()
        if function is not None and function.__globals__ is namespace:
            theirs = function.__builtins__
            merged.update((name, theirs[name]) for name in names if name in theirs)
            left.update(left_behind(theirs))
    for own in reversed(captures):
        merged.update(own)
        left.update(left_behind(own))
    if left:
        merged[LEFT] = left
    merged[_OWN] = captures
    return merged


def left_behind(captures: Namespace) -> dict[str, str]:
    """Return why names could not be captured, by name."""
    left = captures.get(LEFT)
    return left if type(left) is dict else {}


def brought(namespace: Namespace, name: str) -> object:
    """Return what the function that is being called has captured as *name*; ABSENT if nothing."""
    entry = namespace.get(_ENTRY)
    if type(entry) is not dict:
        return ABSENT
    for captures in entry.get(_OWN, (entry,)):
        value: object = captures.get(name, ABSENT)
        if value is not BUILTINS.get(name, ABSENT):
            return value
    return ABSENT


def home() -> Namespace:
    """Return the globals for functions from ``__main__`` that are unpickled now."""
    namespace = _namespace.get()
    return vars(sys.modules["__main__"]) if namespace is None else namespace


def new_captures() -> Namespace:
    """Return builtins to which captures can be added."""
    return dict(BUILTINS)


def new_function(
    code: types.CodeType,
    namespace: Namespace,
    captures: Namespace | None,
    cells: tuple[types.CellType, ...] | None,
) -> types.FunctionType:
    """Create a function with *namespace* as globals, and *captures* as builtins if given."""
    previous = namespace.get(_ENTRY, ABSENT)
    namespace[_ENTRY] = BUILTINS if captures is None else captures
    try:
        return types.FunctionType(code, namespace, None, None, cells)
    finally:
        if previous is ABSENT:
            namespace.pop(_ENTRY, None)
        else:
            namespace[_ENTRY] = previous


class NamespaceBuiltins(Namespace):
    """Builtins that look into the user namespace last.

    For functions of modules, which have globals of their own, when they use a name that their
    client does not define: it may have been pushed. Only those pay for the slower lookup.
    """

    def __init__(self, namespace: Namespace) -> None:
        super().__init__(BUILTINS)
        self._namespace = namespace

    def __missing__(self, name: str) -> object:
        return self._namespace[name]
