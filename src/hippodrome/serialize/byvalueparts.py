"""What functions and classes are made of, as far as it has to travel with them."""

from __future__ import annotations

import marshal
import re
import sys
import types
from collections.abc import Callable, Container, Iterable
from typing import Any, Final

from cloudpickle import cloudpickle

from hippodrome.serialize import rebuild
from hippodrome.serialize.globalnames import all_names
from hippodrome.serialize.namespaces import ABSENT, BUILTINS, INTERACTIVE, current_namespace

_MARSHAL_VERSION: Final = 2  # newer ones depend on reference counts: no digest would be stable
_IDENTIFIER: Final = re.compile(r"[^\W\d]\w*")


def is_by_reference(obj: object) -> bool:
    """Return whether a function, class or module is found by its name elsewhere."""
    return bool(cloudpickle._should_pickle_by_reference(obj))


def is_main(function: types.FunctionType) -> bool:
    """Return whether *function* belongs to whatever namespace it arrives in.

    ``__module__`` does not tell: `functools.wraps` copies it to wrappers from other modules.
    """
    namespace = function.__globals__
    return (
        namespace.get("__name__") == "__main__"
        or namespace is current_namespace()
        or is_interactive(function)
    )


def is_interactive(function: types.FunctionType) -> bool:
    """Return whether `interactive` marked this function, and not one that it wraps."""
    return function.__dict__.get(INTERACTIVE) is function.__code__


def look_up(function: Any, name: str) -> object:
    """Return what a global name means to *function*; ABSENT if nothing, or a builtin.

    ``function`` is a function; typeshed does not know that it has ``__builtins__``.
    """
    value: object = function.__globals__.get(name, ABSENT)
    if value is ABSENT and function.__builtins__ is not BUILTINS:
        value = function.__builtins__.get(name, ABSENT)
        if value is BUILTINS.get(name, ABSENT):
            return ABSENT
    return value


def module_of_method(method: Any) -> types.ModuleType | None:
    """Return the module that has *method*, of an object of its own, as a function.

    Such are those of `random` and `numpy.random`: to send them with the object, a generator, would
    be to send its state.
    """
    owner = method.__self__
    if owner is None or isinstance(owner, types.ModuleType | type):
        return None
    module = sys.modules.get(type(owner).__module__)
    if type(module) is not types.ModuleType or not is_by_reference(module):
        return None
    return module if vars(module).get(method.__name__) == method else None


def attributes_of(function: types.FunctionType) -> dict[str, Any]:
    """Return what a function has beyond its code."""
    code = function.__code__
    state: dict[str, Any] = {}
    if function.__name__ != code.co_name:
        state["__name__"] = function.__name__
    if function.__qualname__ != code.co_qualname:
        state["__qualname__"] = function.__qualname__
    if function.__doc__ is not None:
        state["__doc__"] = function.__doc__
    if function.__defaults__:
        state["__defaults__"] = function.__defaults__
    if function.__kwdefaults__:
        state["__kwdefaults__"] = function.__kwdefaults__
    annotations = _annotations(function)
    if annotations:
        state["__annotations__"] = annotations
    own = {name: value for name, value in function.__dict__.items() if name != INTERACTIVE}
    if own:
        state["__dict__"] = own
    return state


def _annotations(function: types.FunctionType) -> dict[str, Any]:
    try:
        return function.__annotations__
    except Exception:  # Python 3.14 evaluates them now, and they may not make sense yet
        return {}


def named_in_text(function: types.FunctionType, known: Container[str]) -> dict[str, object]:
    """Return the classes that annotations name which are text: `typing` looks for them."""
    texts = [text for text in _annotations(function).values() if type(text) is str]
    names = {name for text in texts for name in _IDENTIFIER.findall(text) if name not in known}
    found = {name: look_up(function, name) for name in sorted(names)}
    return {
        name: value
        for name, value in found.items()
        if isinstance(value, type) and value.__module__ == "__main__"
    }


def slots_of(cls: type) -> tuple[str, ...]:
    """Return what the instances of a class with ``__slots__`` have room for."""
    members = vars(cls).items()
    own = [n for n, m in members if type(m) is types.MemberDescriptorType and m.__objclass__ is cls]
    return (*own, *(name for name in ("__dict__", "__weakref__") if name in vars(cls)))


def content_of(cell: types.CellType) -> object:
    """Return what a cell holds; ABSENT if nothing yet."""
    try:
        return cell.cell_contents
    except ValueError:
        return ABSENT


def dump_code(code: types.CodeType) -> Any:
    try:
        return rebuild.VERSION, marshal.dumps(code, _MARSHAL_VERSION)
    except ValueError:  # constants that no compiler makes
        return code


def submodules_of(code: types.CodeType, values: Iterable[object]) -> list[types.ModuleType]:
    """Return imported submodules that *code* reaches as attributes of packages it uses.

    ``import a.b`` binds ``a``, and importing ``a`` alone elsewhere would not bring ``a.b``.
    """
    packages = [
        value.__name__ + "."
        for value in values
        if isinstance(value, types.ModuleType) and hasattr(value, "__path__")
    ]
    if not packages:
        return []
    names = all_names(code)
    return [
        module
        for name, module in sorted(sys.modules.copy().items())
        for package in packages
        if name.startswith(package)
        and isinstance(module, types.ModuleType)
        and names.issuperset(name.removeprefix(package).split("."))
    ]


class Token:
    """Stands for an object that is made anew on arrival, once per pickle."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable[[], object]) -> None:
        self._make = make

    def __reduce__(self) -> tuple[Any, ...]:
        return self._make, ()


Tokens = tuple[Token, ...] | None
