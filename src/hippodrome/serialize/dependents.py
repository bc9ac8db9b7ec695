"""Functions that run only on engines where a check allows it.

The function travels as a pickle of its own inside the pickle of the check, and is unpickled after
the check was made: an engine that has not got a module refuses a task that requires it, rather
than failing to unpickle a function that uses it. `UnmetDependency` on an engine makes the
scheduler try another one.
"""

from __future__ import annotations

import functools
import importlib
import pickle
import sys
import types
from collections.abc import Callable, Mapping
from typing import Any, Final, Generic, ParamSpec, TypeVar

from hippodrome.errors import UnmetDependency
from hippodrome.serialize.arrivals import ArrivedModule
from hippodrome.serialize.functions import not_callable
from hippodrome.serialize.namespaces import ABSENT, calling, captures_of, current_namespace
from hippodrome.serialize.reference import Late, Reference

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
Function = Callable[..., Any]
_FUNCTIONS: Final = (
    types.FunctionType,
    types.BuiltinFunctionType,
    functools._lru_cache_wrapper,
)


class dependent(Generic[P, R]):
    """A function that engines call only where its dependency is met.

    Args:
        f: the function.
        df: called before, as ``df(*args, **kwargs)``. The dependency is not met where it returns
            False or raises `UnmetDependency`.
        *args: for *df*.
        **kwargs: for *df*.

    Attributes:
        df: what is called before.
        dargs: its positional arguments.
        dkwargs: its keyword arguments.

    Raises:
        TypeError: *f* or *df* cannot be called.

    >>> import os
    >>> root = ipp.dependent(lambda x: x**0.5, os.path.isdir, "/")
    >>> lbv.apply_sync(root, 16)
    4.0
    """

    def __init__(
        self, f: Callable[P, R], df: Callable[Q, Any], /, *args: Q.args, **kwargs: Q.kwargs
    ) -> None:
        f = Late(f.name) if isinstance(f, Reference) else _callable(f)
        functools.update_wrapper(self, f)
        self.df: Function = _callable(df)
        self.dargs: tuple[Any, ...] = args
        self.dkwargs: dict[str, Any] = kwargs
        self._sealed = Sealed(f)

    def __repr__(self) -> str:
        return f"<dependent {_name(self)}>"

    @property
    def f(self) -> Callable[P, R]:
        """The function.

        >>> import os
        >>> ipp.dependent(abs, os.path.isdir, "/").f
        <built-in function abs>
        """
        found: Callable[P, R] = self._sealed.value
        return found

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Return what the function returns.

        Raises:
            UnmetDependency: this is an engine, and the dependency is not met here.
        """
        namespace = current_namespace()
        if namespace is None:
            return self.f(*args, **kwargs)  # in the program: it says where engines may run it
        f = self.met()
        with calling(captures_of(f), namespace):
            return f(*args, **kwargs)

    def check_dependency(self) -> None:
        """Check the dependency here, as an engine does.

        Raises:
            UnmetDependency: it is not met.

        >>> import os
        >>> ipp.dependent(abs, os.path.isdir, "/").check_dependency()
        """
        self.met()

    def met(self) -> Callable[P, R]:
        """Return the function, with all its dependencies met.

        Raises:
            UnmetDependency: they are not met here.
        """
        answer = self.df(*self.dargs, **self.dkwargs)
        if type(answer) is types.CoroutineType:
            answer.close()
            raise TypeError(f"dependency {_name(self.df)} must not be async: it is not awaited")
        if _is_false(answer):
            raise UnmetDependency(f"dependency {_name(self.df)} of {_name(self)} is not met here")
        f: Function = self.f
        return f.met() if isinstance(f, dependent) else f

    def layers(self) -> tuple[list[Requirement], Sealed]:
        """Return all requirements, from the outermost on, and the function that is inside."""
        requirements: list[Requirement] = []
        layer = self
        while True:
            if isinstance(layer.df, Requirement):
                requirements.append(layer.df)
            inner = layer.f
            if not isinstance(inner, dependent):
                return requirements, layer._sealed
            layer = inner

    def __reduce__(self) -> tuple[Any, ...]:
        return _arrived, (_name(self), self.df, self.dargs, self.dkwargs, self._sealed)


class Requirement:
    """The dependency on modules and objects; when it is met, an engine's user has them.

    Args:
        modules: names of modules, to be imported.
        objects: variables, to be assigned.
    """

    __name__ = "require"

    def __init__(self, modules: tuple[str, ...], objects: Sealed) -> None:
        self.modules = modules
        self.objects = objects

    def __call__(self) -> None:
        """Import the modules and assign the variables.

        Raises:
            UnmetDependency: there is no such module here.
        """
        self.import_modules()
        namespace = current_namespace()
        if namespace is None:
            return  # not on an engine: where the function was defined
        for name in self.modules:
            top = name.partition(".")[0]
            namespace[top] = sys.modules[top]
        self.assign(namespace)

    def assign(self, namespace: dict[str, Any]) -> None:
        """Assign the variables as they were sent.

        Raises:
            UnmetDependency: one needs a module that is not here.
        """
        try:
            namespace.update(self.objects.fresh())
        except ImportError as error:
            raise UnmetDependency(f"a required object cannot be loaded here: {error}") from error

    def import_modules(self) -> None:
        for name in self.modules:
            try:
                module = importlib.import_module(name)
            except ImportError as error:
                raise UnmetDependency(f"cannot import {name!r} here: {error}") from error
            if isinstance(module, ArrivedModule):
                raise UnmetDependency(f"of {name!r} there are only parts here, which came by value")

    def __reduce__(self) -> tuple[Any, ...]:
        return _required, (self.modules, self.objects)


class Sealed:
    """A value that travels as a pickle inside another, and is unpickled when it is needed."""

    __slots__ = ("_data", "_value")

    def __init__(self, value: Any = ABSENT, data: bytes = b"") -> None:
        self._value = value
        self._data = data

    @property
    def data(self) -> bytes:
        """The pickle, of a value that has arrived; else empty."""
        return self._data

    @property
    def value(self) -> Any:
        """The value, always the same one."""
        if self._value is ABSENT:
            self._value = pickle.loads(self._data)
        return self._value

    def fresh(self) -> Any:
        """Return the value, on engines as it was sent, whatever others have done to it."""
        return pickle.loads(self._data) if self._data else self._value

    def __reduce__(self) -> tuple[Any, ...]:
        if self._data:
            return _unopened, (self._data,)
        from hippodrome.serialize.byvalue import dump  # what an engine does without
        from hippodrome.serialize.notices import notice

        dumped = dump(self._value)
        notice(self._value, _name(self._value), dumped)
        return _unopened, (dumped.data,)


def depend(
    df: Callable[Q, Any], /, *args: Q.args, **kwargs: Q.kwargs
) -> Callable[[Callable[P, R]], dependent[P, R]]:
    """Return a decorator for functions that run only where a check allows it.

    Args:
        df: called on the engine before the function, as ``df(*args, **kwargs)``. Where it returns
            False or raises `UnmetDependency`, the task is not run, and another engine is tried.
            In direct views that is an error.
        *args: for *df*.
        **kwargs: for *df*.

    Raises:
        TypeError: *df* cannot be called.

    >>> view.scatter("number", [0, 1], flatten=True, block=True)
    >>> @ipp.depend(lambda: number == 1)
    ... def where():
    ...     return number
    >>> lbv.apply_sync(where)
    1
    """
    _callable(df)
    return lambda f: dependent(f, df, *args, **kwargs)


def require(*objects: Any, **mapping: Any) -> Callable[[Callable[P, R]], dependent[P, R]]:
    """Return a decorator for functions that need modules and objects on the engine.

    Args:
        *objects: modules or their names, which are imported before the function is called: where
            that raises ImportError, another engine is tried. Functions, which are assigned
            under their ``__name__``.
        **mapping: objects of any kind, which are assigned under these names, anew for each call.

    Raises:
        TypeError: one of *objects* is none of these.

    >>> @ipp.require("math", scale=10)
    ... def root(x):
    ...     return scale * math.sqrt(x)
    >>> lbv.apply_sync(root, 16)
    40.0
    """
    modules: list[str] = []
    assigned: dict[str, Any] = {}
    for item in objects:
        if isinstance(item, types.ModuleType):
            modules.append(item.__name__)
        elif isinstance(item, str) and all(map(str.isidentifier, item.split("."))):
            modules.append(item)
        elif isinstance(item, (dependent, *_FUNCTIONS)):
            assigned[_name(item)] = item
        else:
            raise TypeError(
                "require takes modules, their names and functions, and other objects by keyword, "
                f"but not {item!r}"
            )
    requirement = Requirement(tuple(modules), Sealed(assigned | mapping))
    return lambda f: dependent(f, requirement)


# What the pickles call; see `rebuild` for the rules.


def _arrived(
    name: str, df: Function, args: tuple[Any, ...], kwargs: Mapping[str, Any], sealed: Sealed
) -> dependent[..., Any]:
    made = dependent.__new__(dependent)
    made.__name__ = name  # type: ignore[attr-defined]  # as `update_wrapper` gives it one
    made.df, made.dargs, made.dkwargs, made._sealed = df, args, dict(kwargs), sealed
    return made


def _required(modules: tuple[str, ...], objects: Sealed) -> Requirement:
    """Return a requirement; on an engine import the modules now, before arguments need them."""
    requirement = Requirement(modules, objects)
    if current_namespace() is not None:
        requirement.import_modules()
    return requirement


def _unopened(data: bytes) -> Sealed:
    return Sealed(data=data)


def _callable(f: Any) -> Any:
    if not callable(f):
        raise not_callable(f)
    return f


def _is_false(answer: object) -> bool:
    """Return whether *answer* is False, also numpy's."""
    if answer is False:
        return True
    numpy = sys.modules.get("numpy")  # who has its values has imported it
    return numpy is not None and isinstance(answer, numpy.bool_) and not answer


def _name(f: object) -> str:
    name = getattr(f, "__name__", None)
    return name if isinstance(name, str) else type(f).__name__
