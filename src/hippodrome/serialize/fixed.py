"""Whether a function that was unpickled can be called twice and be the same both times.

It can if all that is reached from it is code and immutable: functions, constants, and what has a
name in a module. What is found by name is that module's, and has to be what the name stands for
at each call; functions that user code can get hold of have to be as they were. Both are in the
*guards*, which are quick to check. Whoever sent the pickle is not asked.
"""

from __future__ import annotations

import pickle
import sys
import types
from collections.abc import Iterable, Iterator, Mapping
from io import BytesIO
from opcode import opmap
from typing import Any, Final

from hippodrome.live import StandIn
from hippodrome.serialize.namespaces import BUILTINS, LEFT, NamespaceBuiltins, home

_ATOMS: Final = frozenset(
    {int, float, complex, str, bytes, bool, type(None), type(...), type(NotImplemented), range}
)
_CELL_WRITES: Final = frozenset(
    opmap[name] for name in ("STORE_DEREF", "DELETE_DEREF") if name in opmap
)
_GLOBAL_WRITES: Final = frozenset(opmap[name] for name in ("STORE_GLOBAL", "DELETE_GLOBAL"))
# By these names code gets at what nothing here looks at, in any function and in those whose
# globals came with them.
_INNARDS: Final = frozenset({"__globals__", "__closure__", "cell_contents", "__builtins__"})
_SCOPES: Final = frozenset({"globals", "exec", "eval", "vars"})
_HEAP_TYPE: Final = 1 << 9  # Py_TPFLAGS_HEAPTYPE
_OURS: Final = "hippodrome.serialize.rebuild"
_ALIASES: Final = frozenset({"types", "typing", "typing_extensions"})  # of types, in annotations

Name = tuple[str, str, object]  # module, name in it, what that is


class Guards:
    """The conditions that make a function what it was when it was unpickled.

    Args:
        named: what was found by name.
        modules: modules by their names.
        functions: functions that user code can get hold of.
    """

    __slots__ = ("_functions", "_modules", "_named")

    def __init__(
        self, named: Iterable[Name], modules: Mapping[str, object], functions: Iterable[Any]
    ) -> None:
        self._named = tuple(named)
        self._modules = tuple(modules.items())
        self._functions = tuple((f, f.__code__, f.__defaults__, _more(f)) for f in functions)

    def __bool__(self) -> bool:
        return bool(self._named or self._modules or self._functions)

    def hold(self) -> bool:
        """Return whether all of it is so; asked before each task."""
        modules = sys.modules
        for name, module in self._modules:
            if modules.get(name) is not module:
                return False
        try:
            for home, name, value in self._named:
                if getattr(modules[home], name) is not value:
                    return False
        except Exception:  # a module may do anything when it is asked
            return False
        for function, code, defaults, more in self._functions:
            if function.__code__ is not code or function.__defaults__ is not defaults:
                return False
            if (function.__dict__ or function.__kwdefaults__ or more) and not _same(function, more):
                return False
        return True


_Items = tuple[tuple[str, object], ...]
_More = tuple[_Items, _Items]


def _more(function: Any) -> _More | None:
    """Return attributes and keyword defaults of a function, of which most have none."""
    attributes, defaults = function.__dict__, function.__kwdefaults__ or {}
    return (tuple(attributes.items()), tuple(defaults.items())) if attributes or defaults else None


def _same(function: Any, then: _More | None) -> bool:
    now = _more(function) or ((), ())
    return all(map(_same_items, now, then or ((), ())))


def _same_items(now: _Items, then: _Items) -> bool:
    return len(now) == len(then) and all(
        key == old_key and value is old
        for (key, value), (old_key, old) in zip(now, then, strict=True)
    )


def load(data: bytes) -> tuple[Any, Guards | None]:
    """Return what was pickled, and its guards if it is fixed.

    Raises:
        Exception: whatever unpickling raises.
    """
    unpickler = _Unpickler(BytesIO(data))
    obj = unpickler.load()
    return obj, _guards(obj, unpickler.named)


class _Unpickler(pickle.Unpickler):
    """Notes what is found by name."""

    def __init__(self, file: BytesIO) -> None:
        super().__init__(file)
        self.named: dict[int, Name] = {}

    def find_class(self, module: str, name: str) -> Any:
        found = super().find_class(module, name)
        if module != _OURS:
            self.named[id(found)] = module, name, found
        return found


class _NotFixed(Exception):
    """Something may change."""


def _guards(obj: Any, named: Mapping[int, Name]) -> Guards | None:
    walk = _Walk(named)
    try:
        walk.take(obj)
    except (_NotFixed, RecursionError):
        return None
    return Guards(walk.used.values(), walk.modules, walk.exposed.values())


class _Walk:
    """Everything that is reached from a function."""

    def __init__(self, named: Mapping[int, Name]) -> None:
        self.used: dict[int, Name] = {}
        self.modules: dict[str, object] = {}
        self.exposed: dict[int, Any] = {}
        self._named = named
        self._seen: dict[int, object] = {}

    def take(self, value: Any) -> None:
        """Look at *value* and at all that is reached from it.

        Raises:
            _NotFixed: it may change.
        """
        kind = type(value)
        if kind in _ATOMS or _is_static(value) or kind is StandIn:
            return
        name = self._named.get(id(value))
        if name is not None:
            if "." in name[1]:
                raise _NotFixed  # what it is an attribute of may change, too
            self.used[id(value)] = name
        elif kind is types.FunctionType:
            self._take_function(value)
        elif kind is tuple or kind is frozenset:
            for item in value:
                self.expose(item)
        elif kind is types.ModuleType:
            module: types.ModuleType = value
            if sys.modules.get(module.__name__) is not module:
                raise _NotFixed
            self.modules[module.__name__] = module
        else:
            raise _NotFixed

    def expose(self, value: Any) -> None:
        """Take *value*, which user code can get hold of."""
        self.take(value)
        if type(value) is types.FunctionType and id(value) not in self._named:
            self.exposed[id(value)] = value

    def _take_function(self, function: Any) -> None:
        if id(function) in self._seen:
            return
        self._seen[id(function)] = function
        codes = list(_codes(function.__code__))
        names = frozenset().union(*(code.co_names for code in codes))
        if names & _INNARDS:
            raise _NotFixed
        self._take_cells(function, codes)
        self._take_globals(function, codes, names)
        for values in (
            function.__defaults__ or (),
            (function.__kwdefaults__ or {}).values(),
            function.__dict__.values(),
        ):
            for value in values:
                self.expose(value)
        for annotation in function.__annotations__.values():
            self._take_annotation(annotation)

    def _take_cells(self, function: Any, codes: Iterable[types.CodeType]) -> None:
        if not function.__closure__:
            return
        if any(_does(code, _CELL_WRITES) for code in codes):
            raise _NotFixed
        for cell in function.__closure__:
            try:
                content = cell.cell_contents
            except ValueError:  # it is empty, and stays so
                continue
            self.expose(content)

    def _take_globals(
        self, function: Any, codes: Iterable[types.CodeType], names: frozenset[str]
    ) -> None:
        builtins = function.__builtins__
        if builtins is not BUILTINS and type(builtins) is not NamespaceBuiltins:
            for name, value in builtins.items():
                if name != LEFT and BUILTINS.get(name, builtins) is not value:
                    self.expose(value)
        theirs = function.__globals__
        if theirs is home():
            return  # the user's namespace, which is shared
        if names & _SCOPES or any(_does(code, _GLOBAL_WRITES) for code in codes):
            raise _NotFixed
        for name, value in theirs.items():
            if name not in ("__builtins__", "__path__"):
                self.expose(value)

    def _take_annotation(self, value: Any) -> None:
        """Take an annotation, which is hardly ever looked at: aliases of types are fixed."""
        if type(value) is str or type(value).__module__ not in _ALIASES:
            self.expose(value)
            return
        for part in getattr(value, "__args__", None) or ():
            self._take_annotation(part)


def _is_static(value: object) -> bool:
    """Return whether *value* is a type that no Python code can change."""
    return type(value) is type and not value.__flags__ & _HEAP_TYPE


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    """Yield *code* and what is nested in it.

    Raises:
        _NotFixed: it has constants that no compiler makes.
    """
    yield code
    constants = list(code.co_consts)
    while constants:
        constant = constants.pop()
        if type(constant) is types.CodeType:
            yield from _codes(constant)
        elif type(constant) is tuple or type(constant) is frozenset:
            constants.extend(constant)
        elif type(constant) not in _ATOMS:
            raise _NotFixed


def _does(code: types.CodeType, operations: frozenset[int]) -> bool:
    return not operations.isdisjoint(code.co_code[::2])
