"""Whether two processes have defined a class of ``__main__`` in the same way.

Such a class travels by value, with a *mark*: the digest of its definition. A receiver that has
defined it too, by ``%%px --local`` or by running the same script, takes its own.

No code of users runs for this. What cannot be compared without makes a class like no other.
"""

from __future__ import annotations

import copyreg
import enum
import functools
import hashlib
import marshal
import sys
import types
import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from hippodrome.serialize.globalnames import global_names
from hippodrome.serialize.namespaces import Namespace, current_namespace, home
from hippodrome.serialize.steady import BESIDES, bases_of, module_of, vars_of, watch

# Qualified name, digest, and global names without which its methods could not do their work.
Mark = tuple[str, bytes, tuple[str, ...]]

_MAX_PARTS: Final = 20_000
_DIGEST_BYTES: Final = 16
_PLAIN_FORM: Final = 0  # of `marshal`: equal values are equal bytes
_CODE_FLAGS: Final = 0x3FF  # what code is; not which `__future__` it saw
_ATOMS: Final = frozenset({int, float, complex, str, bytes, bool, type(None), type(...)})
_MAPPINGS: Final = (dict, types.MappingProxyType)
_LAZY: Final = frozenset({"__annotations__", "__annotate_func__"})  # empty, if once asked for
_CACHE: Final = type(functools.cache(len))

# Past what metaclasses say.
_qualname: Final = type.__dict__["__qualname__"].__get__


def mark_of(cls: type) -> Mark | None:
    """Return the mark of a class that this process finds by its name; None if there is none."""
    if module_of(cls) != "__main__" or find(home(), name := _qualname(cls)) is not cls:
        return None
    digest, names = _definition(cls)
    if not digest:
        return None
    if current_namespace() is not None:  # what tasks return brings no variables of the engine
        return name, digest, ()
    namespace = home()
    return name, digest, tuple(name for name in names if name in namespace)


def is_same(own: type, mark: Mark, namespace: Namespace) -> bool:
    """Return whether *own*, a class of *namespace*, can stand for one that has this mark."""
    _, digest, needs = mark
    return all(name in namespace for name in needs) and _definition(own)[0] == digest


def find(names: Mapping[str, Any], qualname: str) -> Any:
    """Return what a qualified name leads to, by way of classes; None if nothing."""
    first, *rest = qualname.split(".")
    found = names.get(first)
    for part in rest:
        found = vars_of(found).get(part) if _is_class(found) else None
    return found


class _Known(NamedTuple):
    """The definition of a class, as long as it is what it was."""

    holds: Callable[[], bool]
    home: int  # id of the globals of its functions
    digest: bytes
    names: tuple[str, ...]


_known: Final[weakref.WeakKeyDictionary[type, _Known]] = weakref.WeakKeyDictionary()


class _IncomparableError(Exception):
    """Only code of users could tell whether it is equal to something."""


def _definition(cls: type) -> tuple[bytes, tuple[str, ...]]:
    """Return the digest, empty if there can be none, and the global names in use."""
    known = _known.get(cls) if type(cls).__hash__ is type.__hash__ else None
    if known is not None and known.home == id(home()) and known.holds():
        return known.digest, known.names
    digest, names = _compute(cls)
    holds = watch(cls) if digest else None
    if holds is not None and _compute(cls)[0] == digest:  # else it has changed meanwhile
        _known[cls] = _Known(holds, id(home()), digest, names)
    return digest, names


def _compute(cls: type) -> tuple[bytes, tuple[str, ...]]:
    forms = _Forms()
    try:
        return _digest(forms.form(cls)), tuple(sorted(forms.names))
    except KeyboardInterrupt:
        raise
    except BaseException:  # too deep, or changing meanwhile, or whatever attributes are
        return b"", ()


def _digest(form: Any) -> bytes:
    return hashlib.blake2b(marshal.dumps(form, _PLAIN_FORM), digest_size=_DIGEST_BYTES).digest()


class _Forms:
    """Everything of which a class is made, as tuples of plain values.

    Attributes:
        names: global names that its functions use.
    """

    def __init__(self) -> None:
        self.names: set[str] = set()
        self._home = home()
        self._named: dict[int, Any] = {}
        self._reduced: dict[int, tuple[Any, object]] = {}
        self._seen: dict[int, tuple[int, object]] = {}
        self._n_left = _MAX_PARTS

    def form(self, value: Any) -> Any:
        """Return the plain form of *value*.

        Raises:
            _IncomparableError: it has none.
        """
        self._n_left -= 1
        if self._n_left < 0:
            raise _IncomparableError
        kind = type(value)
        if kind in _ATOMS:
            return value
        if kind is tuple or kind is list:
            return kind.__name__, *self._forms(value)
        if kind in _MAPPINGS:
            return "dict", *self._forms(list(value)), *self._forms(list(value.values()))
        if kind is set or kind is frozenset:
            return self._form_of_set(value)
        if kind is types.CodeType:
            return "code", _code_digest(value)
        if kind is types.FunctionType or _is_class(value):
            return self._form_of_named(value)
        return self._form_of_part(value, kind)

    def _forms(self, values: Iterable[Any]) -> list[Any]:
        return [value if type(value) in _ATOMS else self.form(value) for value in values]

    def _form_of_set(self, value: Iterable[Any]) -> Any:
        n_seen = len(self._seen)
        forms = sorted(marshal.dumps(self.form(item), _PLAIN_FORM) for item in value)
        if len(self._seen) != n_seen:
            raise _IncomparableError  # numbered in an order that is another one elsewhere
        return "set", *forms

    def _form_of_named(self, value: Any) -> Any:
        known = self._named.get(id(value))
        if known is not None:
            return known
        is_class = _is_class(value)
        module = module_of(value) if is_class else value.__module__
        name = _qualname(value) if is_class else value.__qualname__
        if type(module) is str and module != "__main__":
            there = sys.modules.get(module)
            if isinstance(there, types.ModuleType) and find(vars(there), name) is value:
                known = self._named[id(value)] = "named", module, name  # and lives, being there
                return known
        return self._numbered(value) or (
            self._form_of_class(value, name) if is_class else self._form_of_function(value, name)
        )

    def _numbered(self, value: object) -> Any:
        """Return what stands for *value* where it has come before; else None."""
        if id(value) in self._seen:
            return "again", self._seen[id(value)][0]
        self._seen[id(value)] = len(self._seen), value  # which has to live, to keep its id
        return None

    def _form_of_class(self, cls: Any, name: str) -> Any:
        content = vars_of(cls)
        members = content.get("_member_map_", ()) if _is_enum(type(cls)) else ()
        own = sorted(
            (key, value)
            for key, value in list(content.items())
            if not (key in BESIDES or key in members or (key in _LAZY and not value))
        )
        parts = [part for item in own for part in item]
        return "class", name, *self._forms((type(cls), bases_of(cls), *parts))

    def _form_of_function(self, function: Any, name: str) -> Any:
        code = function.__code__
        if function.__globals__ is self._home:
            self.names.update(global_names(code))
        annotate = getattr(function, "__annotate__", None)  # since Python 3.14
        parts = (
            function.__defaults__,
            function.__kwdefaults__,
            function.__dict__,
            function.__annotations__ if annotate is None else annotate,
            function.__closure__,
        )
        return "function", name, _code_digest(code), *self._forms(parts)

    def _form_of_part(self, value: Any, kind: Any) -> Any:
        if kind is types.CellType:
            try:
                return "cell", self.form(value.cell_contents)
            except ValueError:
                return ("empty cell",)
        if kind is classmethod or kind is staticmethod:
            return kind.__name__, self.form(value.__func__)
        if kind is property:
            parts = value.fget, value.fset, value.fdel, value.__doc__
            return "property", *self._forms(parts)
        if kind is functools.cached_property:
            return "cached_property", value.attrname, self.form(value.func)
        if kind is _CACHE:
            return "cache", self.form(value.cache_parameters()), self.form(value.__wrapped__)
        if kind is types.ModuleType:
            return "module", value.__name__
        if _is_enum(type(kind)):
            state = object.__getattribute__(value, "__dict__")
            return "member", self.form(kind), state["_name_"], self.form(state["_value_"])
        if module_of(kind) == "__main__":
            return self._form_of_instance(value, kind)
        return self._form_from_library(value, kind)

    def _form_from_library(self, value: Any, kind: Any) -> Any:
        known = self._reduced.get(id(value))
        if known is not None:
            return known[0]
        n_seen = len(self._seen)
        form = self._form_of_reduced(value, kind)
        if len(self._seen) == n_seen:  # else it tells what comes first
            self._reduced[id(value)] = form, value  # which has to live, to keep its id
        return form

    def _form_of_instance(self, value: Any, kind: Any) -> Any:
        bases = type.__dict__["__mro__"].__get__(kind)
        if any(base is not object and module_of(base) != "__main__" for base in bases):
            raise _IncomparableError  # which may keep anything, anywhere
        again = self._numbered(value)
        if again:
            return again
        state = object.__getattribute__(value, "__dict__")  # an error where there are slots
        return "instance", self.form(kind), self.form(state)

    def _form_of_reduced(self, value: Any, kind: Any) -> Any:
        """Return the form of an object of the standard library, of what pickles have of it."""
        module = module_of(kind)
        if module.partition(".")[0] not in sys.stdlib_module_names:
            raise _IncomparableError
        if kind is _field():
            return "field", *self._forms(getattr(value, name) for name in kind.__slots__)
        reduce = copyreg.dispatch_table.get(kind)
        reduced: Any = value.__reduce_ex__(4) if reduce is None else reduce(value)
        if type(reduced) is str:
            if module not in ("typing", "builtins"):
                raise _IncomparableError  # a name, which says nothing
            return "name", module, kind.__name__, getattr(value, "__module__", None), reduced
        make, args, *more = reduced
        parts = [part if i == 0 or part is None else list(part) for i, part in enumerate(more)]
        return "reduced", *self._forms((make, args, *parts))


@functools.lru_cache(4096)
def _code_digest(code: types.CodeType) -> bytes:
    """Return the digest of what code does, wherever it is written."""
    forms = _Forms()
    return _digest(
        (
            code.co_name,
            (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount),
            code.co_flags & _CODE_FLAGS,
            code.co_code,
            (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars),
            code.co_exceptiontable,
            forms.form(code.co_consts),
        )
    )


def _field() -> Any:
    """Return `dataclasses.Field` if anybody can have used it."""
    module = sys.modules.get("dataclasses")
    return None if module is None else module.Field


def _is_class(value: object) -> bool:
    return issubclass(type(value), type)


def _is_enum(kind: type) -> bool:
    return issubclass(kind, enum.EnumType)
