"""The pickler for what cannot travel by name: functions and classes of ``__main__``, lambdas.

cloudpickle does the work for classes and odd types; functions are ours, because of where their
globals come from. A function of ``__main__`` takes the namespace in which it arrives as its
globals, and what it uses and this process defines as captures (see `namespaces`). A function of
any other module brings globals of its own that hold what it uses.

Functions refer to each other and to themselves, so each is made in two steps: first code and
empty cells, by which it gets into the pickle's memo, then all that may refer back to it.
"""

from __future__ import annotations

import io
import pickle
import types
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from cloudpickle import cloudpickle

from hippodrome import live
from hippodrome.errors import CaptureWarning
from hippodrome.serialize import bydill, definitions, library, rebuild
from hippodrome.serialize.byvalueparts import (
    Token,
    Tokens,
    attributes_of,
    content_of,
    dump_code,
    is_by_reference,
    is_main,
    look_up,
    module_of_method,
    named_in_text,
    slots_of,
    submodules_of,
)
from hippodrome.serialize.canners import can_map
from hippodrome.serialize.generators import is_generator
from hippodrome.serialize.globalnames import global_names
from hippodrome.serialize.namespaces import (
    ABSENT,
    BUILTINS,
    LEFT,
    Namespace,
)

_MODULE_NAMES: Final = ("__package__", "__name__", "__path__", "__file__")
_MAX_ATTEMPTS: Final = 50
_MAX_REASONS: Final = 256

# By (id of the globals, name) of captures that cannot be pickled: why, if that has been looked for.
Left = Mapping[tuple[int, str], str]
_reasons: Final[dict[tuple[int, str], tuple[int, str]]] = {}  # with the id of what there was
BufferCallback = Callable[[pickle.PickleBuffer], bool]


class Sight(NamedTuple):
    """The parts that the pickler took from one function, to see later whether they changed."""

    function: Any  # a FunctionType, which mypy would take for a method
    values: dict[str, object]  # by global name; ABSENT where there was none
    cells: tuple[object, ...]  # contents; ABSENT for empty ones


class Dumped(NamedTuple):
    """A pickle, and what went into it by value."""

    data: bytes
    sights: list[Sight]
    is_opaque: bool  # something went by value that is not a function
    left: Left  # captures that could not be pickled
    live: list[live.Live]  # what stays here, and has sent a stand-in
    generators: list[object]  # of random numbers


def dump(obj: object, collect: Callable[[], BufferCallback] | None = None) -> Dumped:
    """Pickle *obj*, leaving out captures that cannot be pickled: the engine may have its own.

    Args:
        obj: anything.
        collect: called at the start of each attempt; returns what tells which buffers stay inside.

    Raises:
        BaseException: whatever a ``__reduce__`` raises.
    """
    file = io.BytesIO()
    pickler = _dump(obj, file, collect, _explained)
    return Dumped(
        file.getvalue(),
        pickler.sights,
        pickler.is_opaque,
        pickler.left,
        pickler.live,
        pickler.generators,
    )


def _dump(
    obj: object,
    file: Any,  # what a pickler can write to, and `truncate`
    collect: Callable[[], BufferCallback] | None,
    explained: Callable[[dict[tuple[int, str], object]], Left],
) -> Pickler:
    """Pickle *obj* into *file*, and return the pickler that could."""
    left: Left = {}
    kind = _canning_pickler() if can_map else Pickler
    for _ in range(_MAX_ATTEMPTS):
        file.seek(0)
        file.truncate()
        pickler = kind(file, collect() if collect else None, left)
        try:
            pickler.dump(obj)
        except (KeyboardInterrupt, CaptureWarning):  # which somebody wants to be an error
            raise
        except BaseException:
            more = _unpicklable(pickler.sights, left)
            if not more:
                raise
            left = {**left, **explained(more)}
        else:
            return pickler
    raise pickle.PicklingError("too many global names that cannot be pickled")


def _explained(left: dict[tuple[int, str], object]) -> Left:
    """Return why captures cannot be pickled, for those who miss them.

    A function that holds such a one may be pickled for each of its calls, for the same reason.
    """
    from hippodrome.serialize.culprit import explanation

    reasons = {}
    for key, value in left.items():
        known = _reasons.get(key)
        if known is None or known[0] != id(value):
            known = id(value), explanation(key[1], value)
            if len(_reasons) >= _MAX_REASONS:
                _reasons.clear()
            _reasons[key] = known
        reasons[key] = known[1]
    return reasons


def _canning_pickler() -> type[Pickler]:
    from hippodrome.serialize.canningpickler import CanningPickler  # which hardly anybody needs

    return CanningPickler


def objection(obj: object) -> BaseException | None:
    """Return what is raised where *obj* is pickled, captures that cannot be left out; else None."""
    try:
        _dump(obj, _Nowhere(), lambda: _discard, lambda left: dict.fromkeys(left, ""))
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return error
    return None


class Weighed(NamedTuple):
    """What is known of an object without its pickle."""

    size_bytes: int
    generators: list[object]  # of random numbers


def weigh(obj: object) -> Weighed:
    """Return how large *obj* is when it travels, and what is in it; 0 if it cannot be pickled."""
    file = _Nowhere()
    buffers: list[int] = []

    def goes_out(buffer: pickle.PickleBuffer) -> bool:
        buffers.append(buffer.raw().nbytes)
        return False

    def collect() -> BufferCallback:
        buffers.clear()
        return goes_out

    try:
        pickler = _dump(obj, file, collect, lambda left: dict.fromkeys(left, ""))
    except KeyboardInterrupt:
        raise
    except BaseException:
        return Weighed(0, [])
    return Weighed(file.size_bytes + sum(buffers), pickler.generators)


class _Nowhere:
    """A file that keeps nothing but its size."""

    def __init__(self) -> None:
        self.size_bytes = 0

    def write(self, data: Any) -> int:
        size_bytes = memoryview(data).nbytes
        self.size_bytes += size_bytes
        return size_bytes

    def seek(self, position: int) -> None: ...

    def truncate(self) -> None:
        self.size_bytes = 0


def _is_importable(obj: object) -> bool:
    """Return whether *obj*, neither function nor class nor module, is found by its name."""
    return cloudpickle._lookup_module_and_qualname(obj) is not None


if TYPE_CHECKING:  # which cloudpickle's is, but it is not typed
    _Pickler = pickle.Pickler
else:
    _Pickler = cloudpickle.Pickler


class Pickler(_Pickler):
    """One pickle with by-value functions.

    Args:
        file: where it goes.
        keep: tells which buffers stay inside, as in `pickle.Pickler`.
        left: captures to leave out, and why.

    Attributes:
        sights: what was taken from each function.
        is_opaque: something went by value that is not a function.
        left: as it was given.
        live: objects that stay here, and for which a stand-in goes.
        generators: of random numbers.
    """

    def __init__(
        self, file: Any, keep: BufferCallback | None = None, left: Left | None = None
    ) -> None:
        super().__init__(file, protocol=5, buffer_callback=keep)
        self.sights: list[Sight] = []
        self.is_opaque: bool = False
        self.left: Left = left or {}
        self.live: list[live.Live] = []
        self.generators: list[object] = []
        self._is_random: dict[type, bool] = {}
        self._reasons: dict[int, dict[str, str]] = {}  # by id of the globals: why, by name
        for (key, name), reason in sorted(self.left.items(), key=lambda item: item[0][1]):
            self._reasons.setdefault(key, {})[name] = reason
        self._captures: dict[int, Token] = {}  # by id of the globals
        self._globals: dict[int, Namespace] = {}  # by id of the globals
        self._cells: dict[int, Token] = {}  # by id of the cell

    def reducer_override(self, obj: Any) -> Any:
        kind = type(obj)
        if kind is types.FunctionType:
            if is_by_reference(obj):
                return NotImplemented
            if library.is_dispatching(obj):
                return library.reduce_dispatching(obj)
            return self._reduce_function(obj)
        if kind is memoryview:
            return _reduce_memoryview(obj)
        if live.is_live(kind):
            self.live.append(obj)
            return live.reduce(obj)
        if kind is types.MethodType or kind is types.BuiltinFunctionType:
            if live.owner(obj) is not None:
                return live.method(obj)
            module = module_of_method(obj)
            return NotImplemented if module is None else (getattr, (module, obj.__name__))
        is_random = self._is_random.get(kind)
        if is_random is None:
            is_random = self._is_random[kind] = is_generator(kind)
        if is_random:
            self.generators.append(obj)
        reduce = library.reducer_of(kind)
        if reduce is not None and not _is_importable(obj):
            return reduce(obj)
        reduced: Any = super().reducer_override(obj)  # a tuple, or NotImplemented
        if reduced is not NotImplemented and len(reduced) == 6:
            self.is_opaque = True
            return self._reduce_class(obj, reduced)
        if reduced is NotImplemented and kind.__module__ == "__main__":
            return library.reduce_instance(obj)
        if reduced is NotImplemented and bydill.is_used() and kind not in self.dispatch_table:
            reduced = bydill.reduce(obj)
            self.is_opaque |= reduced is not NotImplemented
        return reduced

    def _reduce_function(self, function: types.FunctionType) -> tuple[Any, ...]:
        names = global_names(function.__code__)
        values = {name: look_up(function, name) for name in names}
        values |= named_in_text(function, values)
        cells = function.__closure__ or ()
        contents = tuple(content_of(cell) for cell in cells)
        sight = Sight(function, values, contents)
        self.sights.append(sight)
        state = attributes_of(function)
        imports = submodules_of(function.__code__, (*values.values(), *contents))
        if imports:
            state["imports"] = imports
        if cells:
            state["cells"] = [() if value is ABSENT else (value,) for value in contents]
        code, tokens = dump_code(function.__code__), self._cell_tokens(cells)
        reduce = self._reduce_main if is_main(function) else self._reduce_other
        make, args = reduce(sight, code, tokens, state)
        return (
            (make, args, state, None, None, rebuild.set_function_state) if state else (make, args)
        )

    def _reduce_main(
        self, sight: Sight, code: Any, cells: Tokens, state: dict[str, Any]
    ) -> tuple[Any, ...]:
        """Return the call that makes a function of ``__main__``, and add to its state."""
        key = id(sight.function.__globals__)
        captures = {
            name: value
            for name, value in sight.values.items()
            if value is not ABSENT and (key, name) not in self.left
        }
        if key in self._reasons:
            captures[LEFT] = self._reasons[key]
        if not captures:
            return rebuild.main_function, (code, None, cells) if cells else (code,)
        state["captures"] = captures
        token = self._captures.setdefault(key, Token(rebuild.new_captures))
        return rebuild.main_function, (code, token, cells) if cells else (code, token)

    def _reduce_other(
        self, sight: Sight, code: Any, cells: Tokens, state: dict[str, Any]
    ) -> tuple[Any, ...]:
        """Return the call that makes a function of another module, and add to its state."""
        function = sight.function
        used = {name: value for name, value in sight.values.items() if value is not ABSENT}
        if used:
            state["globals"] = used
        if function.__module__ != function.__globals__.get("__name__"):
            state["__module__"] = function.__module__
        is_open = any(name not in used and name not in BUILTINS for name in sight.values)
        return rebuild.module_function, (code, self._module_globals(function), is_open, cells)

    def _module_globals(self, function: types.FunctionType) -> Namespace:
        """Return the start of the globals that functions of one module share in this pickle."""
        theirs = function.__globals__
        return self._globals.setdefault(
            id(theirs), {name: theirs[name] for name in _MODULE_NAMES if name in theirs}
        )

    def _cell_tokens(self, cells: Iterable[types.CellType]) -> Tokens:
        """Return stand-ins for cells: they arrive empty, and shared as they are here."""
        tokens = tuple(self._cells.setdefault(id(cell), Token(rebuild.new_cell)) for cell in cells)
        return tokens or None

    def _reduce_class(self, cls: type, reduced: tuple[Any, ...]) -> tuple[Any, ...]:
        make, args, state, *_ = reduced
        if make is cloudpickle._make_skeleton_class:
            args[3]["__qualname__"] = cls.__qualname__
            if "__slots__" in vars(cls) and not issubclass(cls, tuple):  # which has room for none
                args[3]["__slots__"] = slots = slots_of(cls)
                for name in slots:
                    state[0].pop(name, None)
        elif make is cloudpickle._make_skeleton_enum:
            args, state = library.with_members(cls, args, state)
        mark = definitions.mark_of(cls)
        new = (rebuild.new_class, make) if mark is None else (rebuild.own_class, mark, make)
        return new[0], (*new[1:], *args), state, None, None, rebuild.set_class_state


def _reduce_memoryview(view: memoryview) -> tuple[Any, ...]:
    if view.contiguous and view.ndim:
        flat = pickle.PickleBuffer(view)
    else:
        flat = pickle.PickleBuffer(view.tobytes())
    return rebuild.new_memoryview, (flat, view.format, view.shape)


def _unpicklable(sights: list[Sight], left: Left) -> dict[tuple[int, str], object]:
    """Return the captures of functions of ``__main__`` that fail by themselves.

    Not those which are by-value functions: they fail for something that they use in turn.
    """
    return {
        (id(function.__globals__), name): value
        for function, values, _ in sights
        if is_main(function)
        for name, value in values.items()
        if value is not ABSENT
        and not isinstance(value, types.FunctionType)
        and (id(function.__globals__), name) not in left
        and objection(value) is not None
    }


def _discard(_: pickle.PickleBuffer) -> bool:
    return False
