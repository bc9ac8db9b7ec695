"""Which namespace unpickled functions belong to, and what they see beyond it.

A function from a client's ``__main__`` has the engine's user namespace as its globals. Names
that it uses and that only the client defines, its *captures*, must be found after the globals
and before the builtins. Python has exactly one place there: a function takes the dict of its
builtins from ``globals["__builtins__"]`` when it is created. So it is created while that entry
is a copy of the builtins to which its captures are added. All dicts stay plain dicts, so that
global lookups stay as fast as they are anywhere; nothing is added to the user's namespace.

Functions that come into being while such a function runs (nested functions, lambdas, before
Python 3.12 comprehensions) look at the same entry; but where there is none, Python lets them
inherit the builtins of the function that makes them, so they see what that one captured. This is
why `calling` removes the entry: each function then has its own captures, and so has everything
that it makes, whether it was called, passed as an argument, or pushed long ago.
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


class calling:
    """Call a function of the user namespace in the body of this context manager.

    Removes ``__builtins__`` from the namespace for good: code that is executed there, rather
    than called, puts it back by itself.

    Args:
        f: what is called.
        namespace: the user namespace.
    """

    __slots__ = ("_namespace",)

    def __init__(self, f: object, namespace: Namespace) -> None:
        self._namespace = namespace

    def __enter__(self) -> None:
        if _ENTRY in self._namespace:
            del self._namespace[_ENTRY]

    def __exit__(self, *exc_info: object) -> None:
        """Leave the entry out: dicts whose keys come and go make lookups slow."""


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
