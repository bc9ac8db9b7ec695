"""Exceptions to records that can travel, and back to what a client raises.

An exception is user code: its ``__str__``, ``__reduce__`` and attributes may raise, recurse, lie
or be enormous. Nothing here lets any of that through; only KeyboardInterrupt passes.
"""

from __future__ import annotations

import io
import pickle
import traceback
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Any, Final

from hippodrome import errors
from hippodrome.originals import locate
from hippodrome.protocol.messages import Failure
from hippodrome.serialize.namespaces import left_behind
from hippodrome.serialize.twofold import set_of_exception, twofold

MAX_TEXT_BYTES: Final = 64 * 1024
MAX_EXCEPTION_BYTES: Final = 1024 * 1024
_MAX_NAME: Final = 200
_CUT: Final = "\n... {} bytes left out ...\n"
_CUT_BYTES: Final = 60
_MAX_CHAIN: Final = 100
_BEHIND: Final = "which was left behind"
_OURS: Final = __file__.rpartition("serialize")[0]
_PICKLER: Final = "cloudpickle.py"
_BATCHES: Final = "/joblib/parallel.py"
_SHELL: Final = "/IPython/core/"
_LOOP: Final = "/asyncio/"  # which runs what users' functions await
_HANDLER: Final = "/engine/interrupts.py"

# Outcomes that the scheduler makes; they carry no exception, only the name of the class.
_OUTCOMES: Final[dict[str, type[errors.TaskOutcomeError]]] = {
    cls.__name__: cls
    for cls in (
        errors.EngineError,
        errors.TaskAborted,
        errors.TaskTimeout,
        errors.DependencyTimeout,
        errors.UnmetDependency,
        errors.ImpossibleDependency,
        errors.InvalidDependency,
        errors.DeserializationError,
        errors.TaskRejectError,
        errors.ResultExpired,
    )
}


def describe_exception(exc: BaseException, traceback_obj: TracebackType | None = None) -> Failure:
    """Return the record of an exception, whatever it does to prevent that.

    Args:
        exc: the exception.
        traceback_obj: its traceback; by default the one that it carries.

    Returns:
        Name, text and traceback, at most 64 kB each, and the pickled exception if it can be
        pickled within 1 MB and unpickled again. The traceback begins at the user's frames.
    """
    explain(exc)
    name = clean_text(_try(lambda: type(exc).__name__, "Exception"), _MAX_NAME)
    text = _try(lambda: str(exc), f"<unprintable {name} object>")
    return Failure(
        ename=name,
        evalue=clean_text(text),
        traceback=clean_text(_traceback(exc, traceback_obj, f"{name}: {text}")),
        exception=_try(lambda: _pickle(exc), b""),
    )


def restore_error(failure: Failure, engine_info: dict[str, Any] | None = None) -> Exception:
    """Return what a client raises for a failure.

    Args:
        failure: from an engine, or made by the scheduler.
        engine_info: ``engine_id``, ``engine_uuid``, ``method`` and the like, as far as known.

    Returns:
        One of our own errors if the cluster decided the outcome, else a `RemoteError`. Where the
        original can be unpickled here it is the ``__cause__``, and the error is of its type too.
    """
    info = engine_info or {}
    original = _try(lambda: _unpickle(failure.exception), None) if failure.exception else None
    outcome = _OUTCOMES.get(failure.ename)
    error: Exception
    if not failure.exception and failure.ename == "ControllerLost":
        error = errors.ControllerLost(failure.evalue)
    elif outcome is not None and (
        not failure.exception or (outcome is type(original) and _is_unmet(original))
    ):
        error = outcome(failure.evalue, failure.traceback, info)
    else:
        error = errors.RemoteError(failure.ename, failure.evalue, failure.traceback, info)
    if original is not None and type(error) is errors.RemoteError:
        plain = error
        error = _try(lambda: twofold(plain, original, failure.exception), plain)
    if original is not None:
        locate(original, info)
        set_of_exception(error, "__cause__", original)
    return error


def clean_text(text: object, max_bytes: int = MAX_TEXT_BYTES) -> str:
    """Return *text* as a plain string that can be encoded, its middle cut out if it is long."""
    plain = str.__str__(text) if isinstance(text, str) else f"<{type(text).__name__}>"
    if len(plain) > 2 * max_bytes:  # encode no gigabytes: the middle goes anyway
        plain = plain[:max_bytes] + plain[-max_bytes:]
    data = plain.encode("utf-8", "backslashreplace")
    if len(data) <= max_bytes:
        return data.decode()
    half = max(0, max_bytes - _CUT_BYTES) // 2
    start, end = data[:half].decode("utf-8", "ignore"), data[-half:].decode("utf-8", "ignore")
    return start + _CUT.format(len(data) - 2 * half) + end


def explain(exc: BaseException) -> None:
    """Say in a NameError that the client's program has that name, if so, and why it did not come.

    Also in those which led to *exc*, or are in it. KeyboardInterrupt passes, nothing else does.
    """
    waiting, seen = [exc], set[int]()
    while waiting and len(seen) < _MAX_CHAIN:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        _try(partial(_explain_one, one), None)
        waiting += _try(partial(_causes, one), [])


def _causes(exc: BaseException) -> list[BaseException]:
    members = exc.exceptions if isinstance(exc, BaseExceptionGroup) else ()
    causes = (exc.__cause__, exc.__context__, *members)
    return [cause for cause in causes if cause is not None]


def _explain_one(exc: BaseException) -> None:
    if type(exc) is not NameError or exc.__traceback__ is None or len(exc.args) != 1:
        return
    *_, (frame, _) = traceback.walk_tb(exc.__traceback__)
    reason = left_behind(frame.f_builtins).get(exc.name or "")
    if reason is not None and _BEHIND not in exc.args[0]:
        exc.args = (
            f"{exc.args[0]}: your program has a `{exc.name}`, {_BEHIND}: {reason}. "
            "Make it in the function, or push something else under that name",
        )


def _traceback(exc: BaseException, found: TracebackType | None, line: str) -> str:
    """Return the whole traceback; without causes and notes if the exception spoils those."""
    found = found if found is not None else _try(lambda: exc.__traceback__, None)
    text = _try(lambda: _render(traceback.TracebackException(type(exc), exc, found)), None)
    if text is None:
        shown = traceback.TracebackException(Exception, Exception(), found)
        text = _try(lambda: _render(shown).rpartition("\n")[0] + "\n", "") + line
    return str(text)


def _render(shown: traceback.TracebackException) -> str:
    _drop_our_frames(shown)
    lines = []
    size = 0
    for line in shown.format():
        lines.append(line)
        size += len(line)
        if size > 4 * MAX_TEXT_BYTES:
            break  # and the middle is cut out of this
    return "".join(lines).rstrip("\n")


def _drop_our_frames(shown: traceback.TracebackException) -> None:
    """Drop the frames around the user's code, here and in all causes and members."""
    waiting, seen = [shown], set()
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        n_ours = 0
        while one.stack and (_is_ours(file := one.stack[0].filename) or (n_ours and _LOOP in file)):
            n_ours += 1
            del one.stack[0]
        while one.stack and one.stack[-1].filename.endswith(_HANDLER):
            del one.stack[-1]
        more = [one.__cause__, one.__context__, *(getattr(one, "exceptions", None) or ())]
        waiting += [other for other in more if other is not None]


def _is_ours(filename: str) -> bool:
    return (
        filename.startswith(_OURS) or filename.endswith((_PICKLER, _BATCHES)) or _SHELL in filename
    )


def _pickle(exc: BaseException) -> bytes:
    """Return the pickle of *exc*; empty if it is too large, or does not come back as it was.

    An error that its own class would not make again of its `args` comes back without being asked.
    """
    from hippodrome.serialize.byvalue import Pickler
    from hippodrome.serialize.plainerrors import PlainErrorPickler

    text = _try(partial(str, exc), None)
    found: list[bytes] = []
    data: bytes
    for kind in (Pickler, PlainErrorPickler):
        data, back = _try(partial(_there_and_back, kind, exc), (b"", None))
        if type(back).__name__ == type(exc).__name__:
            if _try(partial(str, back), None) == text:
                return data
            found.append(data)
    return found[0] if found else b""


def _there_and_back(kind: Any, exc: BaseException) -> tuple[bytes, BaseException | None]:
    file = _Bounded()
    kind(file, _in_band).dump(exc)
    data = file.getvalue()
    return data, _unpickle(data)


def _in_band(buffer: pickle.PickleBuffer) -> bool:
    if buffer.raw().nbytes > MAX_EXCEPTION_BYTES:
        raise _TooLarge
    return True


class _TooLarge(Exception):
    """The pickle has grown beyond the limit."""


class _Bounded(io.BytesIO):
    def write(self, data: Any) -> int:
        if self.tell() + len(data) > MAX_EXCEPTION_BYTES:
            raise _TooLarge
        return super().write(data)


def _unpickle(data: bytes) -> BaseException | None:
    found = pickle.loads(data)
    return found if isinstance(found, BaseException) else None


def _is_unmet(original: object) -> bool:
    return isinstance(original, errors.UnmetDependency)


def _try(attempt: Callable[[], Any], fallback: Any) -> Any:
    """Return what *attempt* returns, or *fallback* if it raises anything but an interrupt."""
    try:
        return attempt()
    except KeyboardInterrupt:
        raise
    except BaseException:
        return fallback
