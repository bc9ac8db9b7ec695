"""Objects that tasks hand to processes of their own: to pools, and through cloudpickle.

Children that this process has just forked have what came by value under the names that it has
here, as `serialize.arrivals` says, and nothing is needed. All others know nothing of it: those that
`multiprocessing` starts by "spawn" or "forkserver" have an empty ``__main__``, pools that earlier
tasks left have what came earlier, and joblib's workers unpickle what its cloudpickle writes, which
does not see what functions have captured. For them what came by value goes by value again, in
pickles of ours.
"""

from __future__ import annotations

import pickle
import sys
import types
from collections.abc import Callable
from typing import Any, Final  # Any: of libraries

from hippodrome.engine.importing import change_on_import
from hippodrome.serialize import arrivals
from hippodrome.serialize.namespaces import calling, captures_of, current_namespace, set_namespace

_FORKING: Final = "multiprocessing.reduction"
_PROCESS: Final = "multiprocessing.process"
_CLOUDPICKLES: Final = ("cloudpickle.cloudpickle", "joblib.externals.cloudpickle.cloudpickle")


def install() -> None:
    """Change what writes for other processes, where tasks use it."""
    cloudpickles = dict.fromkeys(_CLOUDPICKLES, _change_cloudpickle)
    change_on_import({_FORKING: _change_forking, _PROCESS: _change_process, **cloudpickles})


def _change_process(module: Any) -> None:
    """Let processes know what had come by value when they were started."""
    start = module.BaseProcess.start

    def start_with_what_came(self: Any) -> None:
        self._hippodrome_came = arrivals.count()
        start(self)

    module.BaseProcess.start = start_with_what_came


def _change_forking(module: Any) -> None:
    """Let `multiprocessing` write what other processes than forked ones do not have.

    Args:
        module: `multiprocessing.reduction`, which has just been imported.
    """
    pickler = module.ForkingPickler
    initialize = pickler.__init__

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        initialize(self, *args, **kwargs)
        if _has_strangers():
            self.reducer_override = _reduce

    pickler.__init__ = __init__


def _change_cloudpickle(module: Any) -> None:
    """Let cloudpickle write functions with what they have captured.

    Args:
        module: of the name `cloudpickle.cloudpickle`, or a copy of it, just imported.
    """
    pickler = module.Pickler
    reduce: Callable[[Any, Any], Any] = pickler._dynamic_function_reduce

    def _dynamic_function_reduce(self: Any, function: Any) -> Any:
        return _by_value(function) if captures_of(function) else reduce(self, function)

    pickler._dynamic_function_reduce = _dynamic_function_reduce


def arrive(data: bytes) -> Any:
    """Return what was handed over, in a process that is no engine."""
    main = sys.modules["__main__"]
    if type(main) is types.ModuleType:
        main.__class__ = arrivals.MainModule  # so that results may be pickled by their names
    if current_namespace() is None:
        set_namespace(vars(main))
    obj = pickle.loads(data)
    calling(captures_of(obj), vars(main)).__enter__()  # and for good: nothing else is there
    return obj


def _reduce(obj: Any) -> Any:
    from hippodrome.serialize.byvalueparts import is_by_reference

    if isinstance(obj, types.FunctionType | type) and not is_by_reference(obj):
        return _by_value(obj)
    return NotImplemented


def _by_value(obj: Any) -> Any:
    from hippodrome.serialize.byvalue import dump

    return arrive, (dump(obj).data,)


def _has_strangers() -> bool:
    """Return whether this process has children, or starts one, that lack what came by value."""
    from multiprocessing import context, process

    if context.get_spawning_popen() is not None:
        return True
    return any(map(_is_stranger, list(process._children)))  # type: ignore[attr-defined]


def _is_stranger(child: Any) -> bool:
    popen = getattr(child, "_popen", None)
    if popen is None:
        return False
    return bool(popen.method != "fork" or child._hippodrome_came != arrivals.count())
