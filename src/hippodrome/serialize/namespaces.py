"""Which namespace unpickled functions belong to, and what they see beyond it.

A function from a client's ``__main__`` has the engine's user namespace as its globals. Names
that it uses and that only the client defines, its *captures*, must be found after the globals
and before the builtins. Python has exactly one place there: a function takes the dict of its
builtins from ``globals["__builtins__"]`` when it is created. So it is created while that entry
is a copy of the builtins to which its captures are added. All dicts stay plain dicts, so that
global lookups stay as fast as they are anywhere; nothing is added to the user's namespace.

Functions that come into being while such a function runs (nested functions, lambdas, before
Python 3.12 comprehensions) look at the same entry at that moment; `calling` sets it for the time
of a call.
"""

from __future__ import annotations

import builtins
import functools
import operator
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
_ENTRY: Final = "__builtins__"
_CALL: Final = "__call__"
_MAX_WRAPPERS: Final = 20  # partials of methods of partials; more is a cycle

_namespace: ContextVar[Namespace | None] = ContextVar("namespace", default=None)
_loaded: ContextVar[tuple[Namespace, ...]] = ContextVar("loaded_captures", default=())


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
        if _loaded.get():
            _loaded.set(())

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
    """For the time of a call of *f*, let functions that it creates see what *f* captured.

    The captures of functions among the arguments, unpickled in this thread since the last
    call, are visible too. Where there are no captures, nothing is touched.

    Args:
        f: what `load_function` returned.
        namespace: the user namespace; its ``__builtins__`` is changed and restored.
    """

    __slots__ = ("_captures", "_namespace", "_previous")

    def __init__(self, f: object, namespace: Namespace) -> None:
        self._namespace = namespace
        self._captures = _captures_for_call(f, namespace)

    def __enter__(self) -> None:
        if self._captures is not None:
            self._previous = self._namespace.get(_ENTRY, ABSENT)
            self._namespace[_ENTRY] = self._captures

    def __exit__(self, *exc_info: object) -> None:
        if self._captures is not None:
            _restore(self._namespace, self._previous)


def builtins_of(f: object) -> Namespace | None:
    """Return the builtins with captures that *f* sees; None if it has no captures.

    Looks through partials, bound methods, wrappers and instances that can be called.
    """
    function: Any = _underlying(f)  # Any: typeshed does not know __builtins__
    if function is None or function.__builtins__ is BUILTINS:
        return None
    found: Namespace = function.__builtins__
    return found


def home() -> Namespace:
    """Return the globals for functions from ``__main__`` that are unpickled now."""
    namespace = _namespace.get()
    return vars(sys.modules["__main__"]) if namespace is None else namespace


def new_captures() -> Namespace:
    """Return builtins to which captures can be added."""
    captures = dict(BUILTINS)
    if _namespace.get() is not None:
        _loaded.set((*_loaded.get(), captures))
    return captures


def forget_loaded(kept: tuple[Namespace, ...] = ()) -> tuple[Namespace, ...]:
    """Replace the record of captures unpickled in this thread; return the one before."""
    before = _loaded.get()
    if before is not kept:
        _loaded.set(kept)
    return before


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
        _restore(namespace, previous)


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


def _captures_for_call(f: object, namespace: Namespace) -> Namespace | None:
    function: Any = f if type(f) is types.FunctionType else _underlying(f)
    own = None
    if function is not None and function.__builtins__ is not BUILTINS:
        own = function.__builtins__ if function.__globals__ is namespace else None
    loaded = _loaded.get()
    if not loaded:
        return own
    _loaded.set(())
    # What the function captured goes last, and so wins: it is the one that is called.
    sources = loaded if own is None else (*loaded, own)
    return sources[0] if len(sources) == 1 else functools.reduce(operator.or_, sources)


def _underlying(f: object) -> types.FunctionType | None:
    for _ in range(_MAX_WRAPPERS):
        if isinstance(f, types.FunctionType):
            return f
        if f is None or isinstance(f, types.BuiltinFunctionType):
            return None
        if isinstance(f, types.MethodType):
            f = f.__func__
        elif isinstance(f, functools.partial):
            f = f.func
        elif isinstance(f, type):
            f = vars(f).get("__init__") or vars(f).get("__new__")
        else:  # looked up statically: a __getattr__ may do anything
            wrapped = getattr(f, "__dict__", {}).get("__wrapped__")
            f = wrapped or next(filter(None, (vars(c).get(_CALL) for c in type(f).__mro__)), None)
    return None


def _restore(namespace: Namespace, previous: object) -> None:
    if previous is ABSENT:
        namespace.pop(_ENTRY, None)
    else:
        namespace[_ENTRY] = previous
