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
that were loaded before, for what was pushed or passed along. (To leave the entry out, so that
functions inherit from the one that makes them, would be neater; but C code that imports something
insists on finding it.)
"""

from __future__ import annotations

import builtins
import sys
import types
from contextvars import ContextVar
from typing import Any, Final

Namespace = dict[str, Any]

BUILTINS: Final[Namespace] = vars(builtins)
ABSENT: Final = object()  # where None is a value
INTERACTIVE: Final = (
    "__hippodrome_interactive__"  # attribute of functions that `interactive` marked
)
LEFT: Final = "__hippodrome_left__"  # among captures: names of those that could not be pickled
_ENTRY: Final = "__builtins__"
_STAMP: Final = "__hippodrome_stamp__"  # among builtins: counts what was shared with them

_namespace: ContextVar[Namespace | None] = ContextVar("namespace", default=None)


class unpickling_in:
    """Make *namespace* the place where functions and references unpickled meanwhile belong.

    Args:
        namespace: an engine's user namespace. It should have ``__name__`` set to ``"__main__"``.
    """

    __slots__ = ("_namespace", "_previous")

    def __init__(self, namespace: Namespace) -> None:
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


def has_captures(f: object) -> bool:
    """Tell whether *f* has builtins of its own, so that it must be called within `calling`."""
    return getattr(f, _ENTRY, BUILTINS) is not BUILTINS


class calling:
    """Call a function of the user namespace in the body of this context manager.

    Args:
        f: what is called.
        namespace: the user namespace.
    """

    __slots__ = ("_namespace", "_own", "_shared")

    def __init__(self, f: object, namespace: Namespace) -> None:
        self._own: Namespace = getattr(f, _ENTRY, BUILTINS)
        self._namespace = namespace

    def __enter__(self) -> None:
        own = self._own
        if own is BUILTINS:
            return
        self._shared = self._namespace.get(_ENTRY, BUILTINS)
        if isinstance(self._shared, dict) and own.get(_STAMP) != self._shared.get(_STAMP):
            for name, value in self._shared.items():
                own.setdefault(name, value)
            own[_STAMP] = self._shared[_STAMP]
        self._namespace[_ENTRY] = own

    def __exit__(self, *exc_info: object) -> None:
        if self._own is not BUILTINS:
            self._namespace[_ENTRY] = self._shared


def share(captures: Namespace, namespace: Namespace) -> None:
    """Let functions find *captures* that come into being in *namespace* later on."""
    shared = namespace.get(_ENTRY)
    if not isinstance(shared, dict) or shared is BUILTINS:
        shared = namespace[_ENTRY] = dict(BUILTINS)
    shared.update((name, value) for name, value in captures.items() if name != LEFT)
    shared[_STAMP] = shared.get(_STAMP, 0) + 1


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
