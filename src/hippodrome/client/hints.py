"""Hints for names and options that are not there: somewhere else, long gone, or misspelled."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NoReturn, TypeVar, cast

from hippodrome.briefly import brief
from hippodrome.serialize import Reference
from hippodrome.serialize.functions import not_callable

_F = TypeVar("_F", bound=Callable[..., Any])
_C = TypeVar("_C", bound=type[Any])
_NAMED: Final = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_OURS: Final = __name__.partition(".")[0] + "."

_BY_NAME: Final = (
    "execute", "run", "push", "pull", "get", "update", "scatter", "gather", "sync_imports",
    "importer", "use_dill", "use_cloudpickle", "use_pickle",
)  # fmt: skip
_OF_ANY: Final = (
    "apply", "apply_async", "apply_sync", "map", "map_async", "map_sync", "imap", "remote",
    "parallel", "set_flags", "temp_flags",
)  # fmt: skip
_CLOSE: Final = 0.75
# What an option must be, by its annotation, and an attribute that it has then if it is no text.
_TYPES: Final[dict[str, tuple[str, str]]] = {
    "int": ("an int", "__index__"),
    "str": ("a str", ""),
    "float": ("a number of seconds", "__float__"),
    "Sequence[str]": ("a list of str", "__iter__"),
}
_ASSIGNING: Final = ("push", "update")
_WITH_ONE_ARGUMENT: Final = 2  # and self
_FLAGS_OF_ALL: Final = ("label", "targets", "track")
_FLAGS_OF_BALANCED: Final = ("after", "follow", "retries", "timeout")
# What takes an option that some other method is given.
_TAKEN_BY: Final[dict[str, str]] = {
    "chunksize": "map, map_async and map_sync of load-balanced views",
    "dist": "scatter, gather and parallel",
    "flatten": "scatter",
    "max_outstanding": "imap of load-balanced views",
    "ordered": "map, map_async and map_sync",
    "return_exceptions": "maps, and for get() of results",
    "silent": "execute",
}
_BALANCED: Final = ("retries", "follow", "after", "register_joblib_backend")

# By what has no such attribute: what to use, by the attribute's name.
_INSTEAD: Final[dict[str, dict[str, str]]] = {
    "Client": {
        **{name: f"a view has it: rc[:].{name}" for name in _BY_NAME},
        **{
            name: f"a view has it: rc[:].{name}, or rc.load_balanced_view().{name}"
            for name in _OF_ANY
        },
        "submit": "an executor has it: rc.executor().submit",
        "barrier": "use rc.wait()",
        "kill": "use rc.shutdown(hub=True)",
        "view": "use rc[:] or rc.load_balanced_view()",
        "targets": "a view has it: rc[:].targets",
    },
    "LoadBalancedView": {
        **{name: f"it is for named engines: rc[:].{name}" for name in (*_BY_NAME, "clear")},
        "submit": "an executor has it: view.executor.submit",
        "barrier": "use view.wait()",
    },
    "DirectView": {
        **{name: f"a balanced view has it: rc.load_balanced_view().{name}" for name in _BALANCED},
        "timeout": "a balanced view has it: rc.load_balanced_view().timeout",
        "submit": "an executor has it: view.executor.submit",
        "barrier": "use view.wait()",
        "apply_bound": "use view.apply_async: functions of your program see the engine's variables",
        "apply_sync_bound": "use view.apply_sync: functions of your program see the engine's "
        "variables",
    },
    "Cluster": {
        **{
            name: f"a view has it: cluster.connect_client_sync()[:].{name}"
            for name in (*_BY_NAME, *_OF_ANY)
        },
        **{
            name: f"use {name}_cluster_sync() or, in a coroutine, {name}_cluster()"
            for name in ("start", "stop", "restart", "signal")
        },
    },
    "AsyncResult": {
        "pyin": "it is execute_input",
        "pyout": "it is execute_result",
        "pyerr": "it is error",
        "get_result": "use get()",
        "timings": "use serial_time, wall_time and elapsed",
    },
}


def missing(owner: object, name: str) -> NoReturn:
    """Raise the error of an attribute that is not there, and say what to use instead.

    Raises:
        AttributeError: always.
    """
    said = f"{type(owner).__name__!r} object has no attribute {name!r}"
    instead = _instead_of(owner, name)
    if instead:
        raise AttributeError(f"{said}; {instead}", name=name, obj=owner)
    hint = "" if name.startswith("_") else did_you_mean(name, _public(type(owner)))
    # without the object, for which Python would make a guess of its own
    raise AttributeError(f"{said}{hint}", name=name)


def knows(owner: object, name: str) -> bool:
    """Whether there is something to use instead."""
    return bool(_instead_of(owner, name))


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the end of a sentence that says which of the *known* names is meant, if one is."""
    close = difflib.get_close_matches(name, list(known), 1, _CLOSE)
    return f"; did you mean {close[0]!r}?" if close else ""


class Hinting:
    """A mixin for what has attributes that users set: one that is misspelled is an error.

    Other names may be set, as on any object, and subclasses of users may set what they like.

    Attributes:
        _is_made: whether the constructor is over, which makes names that are alike.
    """

    _is_made: bool = False

    def __getattr__(self, name: str) -> NoReturn:
        missing(self, name)

    @brief
    def __setattr__(self, name: str, value: Any) -> None:
        if self._is_made and not name.startswith("_") and name not in vars(self):
            self._check_new(name)
        super().__setattr__(name, value)

    def _check_new(self, name: str) -> None:
        kind = type(self)
        if hasattr(kind, name) or not kind.__module__.startswith(_OURS):
            return
        settable = [known for known in _public(kind) if hasattr(getattr(kind, known), "__set__")]
        hint = did_you_mean(name, [*settable, *vars(self)])
        if hint:
            raise AttributeError(
                f"{kind.__name__!r} object has no attribute {name!r}{hint}", name=name
            )


class Truth:
    """A descriptor takes True or False, and no text, which would be true whatever it says."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, owner: Any, kind: type | None = None) -> Any:
        return self if owner is None else vars(owner)[self._name]

    def __set__(self, owner: Any, value: object) -> None:
        check_truth(self._name, value)
        vars(owner)[self._name] = value


def takes_options(method: _F) -> _F:
    """Return a method that maps, which says what may be meant by options that it has not.

    Such an option is often an argument of the function that is mapped.
    """
    return _checking_options(method, by_keyword(method))


def methods_take_options(cls: _C) -> _C:
    """Return *cls*, of which all public methods say the same of their options."""
    for name, method in list(vars(cls).items()):
        if name.startswith("_") or not inspect.isfunction(method):
            continue
        parameters = inspect.signature(method).parameters.values()
        known = [one.name for one in parameters if one.kind in _NAMED and one.name != "self"]
        if takes_any(method):
            known += by_keyword(cls.map_async)  # to which it hands them on
        if known:
            setattr(cls, name, _checking_options(method, frozenset(known)))
    return cls


def _checking_options(method: _F, known: frozenset[str]) -> _F:
    @functools.wraps(method)
    def checked(*args: Any, **options: Any) -> Any:
        for name in options:
            if name not in known:
                raise TypeError(f"{method.__name__} {_of_unknown(method, args, options, known)}")
        return method(*args, **options)

    return cast("_F", checked)


def _of_unknown(
    method: Callable[..., Any],
    args: tuple[Any, ...],
    options: Mapping[str, Any],
    known: frozenset[str],
) -> str:
    """Return what is said of options, some of which are not *known*."""
    name = next(name for name in options if name not in known)
    does = method.__name__
    if name == "block":
        if does == "imap":
            return "does not take block: it waits for each result when that is asked for"
        return "does not take block: its name says whether it waits"
    if does in _ASSIGNING and len(args) < _WITH_ONE_ARGUMENT and not options.keys() & known:
        given = ", ".join(f"{each!r}: ..." for each in options)
        return f"takes a dict of variables: {does}({{{given}}})"
    return f"has no option {name!r}{_what_for(name, does, args[0], known)}"


def _what_for(name: str, does: str, view: object, known: frozenset[str]) -> str:
    """Return where the option *name* belongs that the method *does* not take."""
    if hint := did_you_mean(name, known):
        return hint
    if name in (*_FLAGS_OF_ALL, *_FLAGS_OF_BALANCED):
        has_it = name in _FLAGS_OF_ALL or hasattr(type(view), name)
        where = "view" if has_it else "rc.load_balanced_view()"
        return f": it is a flag of views, {where}.temp_flags({name}=...)"
    if name in _TAKEN_BY:
        return f": it is for {_TAKEN_BY[name]}"
    if "map" in does:
        return f": for an argument of the function use functools.partial(f, {name}=...)"
    return f"; there are {', '.join(sorted(known))}"


def by_name(example: str) -> Callable[[_F], _F]:
    """Return a decorator for a method that takes options by their names only, and checks them.

    Values of the commonest types are checked by their annotations; None may be given for all.
    A method that takes any option checks those that it does not name itself.

    Args:
        example: a call that is right, to be shown where one is not.
    """
    title = example.partition("(")[0]

    def decorate(function: _F) -> _F:
        known = by_keyword(function)
        checks_others = takes_any(function)

        @functools.wraps(function)
        def checked(self: Any, *args: Any, **options: Any) -> Any:
            if args:
                raise TypeError(f"{title} takes its options by name, as {example}")
            for name in options:
                if name in known:
                    _check_type(name, function.__annotations__[name], options[name])
                elif not checks_others:
                    raise TypeError(f"{title} has no option {name!r}{did_you_mean(name, known)}")
            return function(self, **options)

        return cast("_F", checked)

    return decorate


def check_truth(name: str, value: object) -> None:
    """Raise TypeError unless *value* is a truth, of numpy perhaps, or None; texts are all true."""
    if not (value is None or isinstance(value, int) or type(value).__name__ in ("bool", "bool_")):
        raise TypeError(f"{name} must be True or False, not {value!r:.60}")


def check_callable(f: object) -> None:
    """Raise TypeError unless *f* can be called, or names what can."""
    if not callable(f) and not isinstance(f, Reference):
        raise not_callable(f)


def check_sequences(sequences: tuple[Any, ...]) -> None:
    """Raise TypeError if there is nothing to map, as the built-in ``map`` does."""
    if not sequences:
        raise TypeError("a map needs a function and at least one sequence")


def by_keyword(function: Callable[..., Any]) -> frozenset[str]:
    """Return the names of what *function* takes by keyword only."""
    parameters = inspect.signature(function).parameters.values()
    return frozenset(one.name for one in parameters if one.kind is one.KEYWORD_ONLY)


def takes_any(function: Callable[..., Any]) -> bool:
    """Whether *function* takes options that it does not name."""
    parameters = inspect.signature(function).parameters.values()
    return any(one.kind is one.VAR_KEYWORD for one in parameters)


def _check_type(name: str, annotation: str, value: object) -> None:
    expected = _TYPES.get(annotation.removesuffix(" | None"))
    if expected is None or value is None:
        return
    words, attribute = expected
    is_text = isinstance(value, str)
    if not (hasattr(value, attribute) and not is_text if attribute else is_text):
        raise TypeError(f"{name} must be {words}, not {value!r:.60}")


def _instead_of(owner: object, name: str) -> str:
    tables = (_INSTEAD.get(base.__name__, {}) for base in type(owner).__mro__)
    return next((table[name] for table in tables if name in table), "")


def _public(kind: type) -> list[str]:
    return [name for name in dir(kind) if not name.startswith("_")]
