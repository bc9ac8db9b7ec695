"""Runs one attempt on the main thread, and makes an outcome of whatever happens.

User code may raise anything, exit, fork, or be interrupted; each attempt has an outcome all the
same, except where this process has been told to stop while it ran.
"""

from __future__ import annotations

import os
import socket
import sys
import time
import traceback
from ast import PyCF_ALLOW_TOP_LEVEL_AWAIT
from collections.abc import Callable, Coroutine
from contextlib import suppress
from types import CoroutineType, FunctionType
from typing import Any, Final, NoReturn, TypeVar  # Any: what users' functions take and return

from msgspec.structs import replace

from hippodrome.engine import handing, namespace
from hippodrome.engine.attempts import AttemptEnded, StartAttempt
from hippodrome.engine.captured import Captured, encodable
from hippodrome.engine.functions import LoadedFunctions
from hippodrome.engine.interrupts import Stopped, call_user
from hippodrome.engine.ipython import CellError, IPythonAdapter
from hippodrome.engine.output import OutputCapture
from hippodrome.engine.publishing import set_output
from hippodrome.engine.startup import StartupFailed
from hippodrome.errors import UnmetDependency, VersionMismatch
from hippodrome.protocol.frames import Buffer
from hippodrome.protocol.messages import Failure
from hippodrome.protocol.ranges import duration, instant
from hippodrome.segments.shared import Shared
from hippodrome.serialize.arrivals import ArrivedFinder
from hippodrome.serialize.failures import describe_exception
from hippodrome.serialize.items import take_item
from hippodrome.serialize.namespaces import ARRIVED, calling, set_namespace
from hippodrome.serialize.pickling import Pickled, dumps, loads

_wall_s, _clock_s = time.time, time.monotonic  # a task may put others in their place

_T = TypeVar("_T")
_NOTHING: Final = Pickled(b"")


class Executor:
    """The user's side of an engine: functions, arguments, calls, results.

    Args:
        output: collects what is printed meanwhile.
        shared: knows where large buffers are shared.
        begin: called with the serial number of an attempt where its user code begins.
    """

    def __init__(
        self,
        output: OutputCapture,
        shared: Shared | None = None,
        begin: Callable[[int], None] = lambda serial: None,
    ) -> None:
        self._output = output
        self._begin = begin
        self._shared = shared or Shared()
        self._namespace = namespace.user_namespace()
        self._functions = LoadedFunctions(self._namespace)
        # in the user's namespace, so that `eval` and the like as tasks look there, not here
        self._call = FunctionType(_call.__code__, self._namespace)
        self._loop = _Loop()
        self._is_forked = False
        self._ipython = IPythonAdapter(output, self._loop.run)
        set_namespace(self._namespace)
        set_output(output)
        os.register_at_fork(after_in_child=self._note_fork)

    def install_ipython(self, folder: str = "") -> None:
        """Let source text, displays and figures bring IPython in.

        Args:
            folder: of `sys.path`, where the user has modules.
        """
        namespace.set_interpreter(self._ipython)
        self._ipython.install(folder)
        sys.meta_path.append(ArrivedFinder())
        handing.install()

    def run(self, start: StartAttempt) -> AttemptEnded:
        """Run one attempt.

        Raises:
            Stopped: this process was told to stop meanwhile; there is no outcome.
        """
        self._output.begin()
        status, failure, ends_cells = "ok", None, False
        started, began = instant(_wall_s()), _clock_s()
        try:
            pickled = call_user(self._evaluate, start)
        except Stopped:
            raise
        except BaseException as error:  # whatever user code raises is its outcome
            _raise_stopped(error)
            if self._is_forked:
                _end_child(error)
            pickled = _NOTHING
            status = "unmet" if _is_a(error, _UNMET) else "error"
            ends_cells = type(error) is CellError and error.is_watched
            if type(error) is _Unloadable and error.__cause__ is not None:
                error = error.__cause__
            failure = replace(self.describe(error), item=take_item())
            del error  # its traceback holds the task's variables
        run_s = duration(_clock_s() - began)
        if self._is_forked:
            _end_child(None)
        shown = self._output.end(run_s)
        payload, buffers = pickled.payload, pickled.buffers
        if shown is None:
            return AttemptEnded(
                status, started, run_s, payload, buffers, failure, ends_cells=ends_cells
            )
        return AttemptEnded(
            status, started, run_s, payload, buffers, failure, *shown, ends_cells=ends_cells
        )

    def run_aside(self, owner: Captured, serial: int, use: Callable[[IPythonAdapter], _T]) -> _T:
        """Let something that is no task use IPython.

        Args:
            owner: takes what it shows.
            serial: by which it can be interrupted.
            use: what runs, as user code.

        Raises:
            Stopped: this process was told to stop meanwhile.
            BaseException: whatever *use* raised.
        """
        self._output.begin_for(owner)
        began = _clock_s()
        try:
            result: _T = call_user(self._use_ipython, serial, use)
        except BaseException as error:
            _raise_stopped(error)
            if self._is_forked:
                _end_child(error)
            raise
        finally:
            self._output.end(_clock_s() - began)
        if self._is_forked:
            _end_child(None)
        return result

    def _use_ipython(self, serial: int, use: Callable[[IPythonAdapter], _T]) -> _T:
        self._begin(serial)
        with calling((), self._namespace):
            return use(self._ipython)

    def run_startup(self, code: str) -> None:
        """Run source text before the first task; what it raises is shown, too.

        Raises:
            StartupFailed: it raised something, or would have ended this process.
            Stopped: this process was told to stop meanwhile.
        """
        try:
            call_user(self._run_source, code)
        except Stopped:
            raise
        except BaseException as error:
            _raise_stopped(error)
            if self._is_forked:
                _end_child(error)
            if type(error) is CellError:
                error = error.error
            failed = StartupFailed(error)
            with suppress(OSError, ValueError):
                sys.stderr.write(failed.text)
            raise failed from None

    def close(self) -> None:
        """End the event loop, if there is one."""
        self._loop.close()

    def _evaluate(self, start: StartAttempt) -> Pickled:
        self._begin(start.serial)
        try:
            loaded = self._functions.get(start.function, start.pickle)
            buffers = start.buffers
            segments = self._shared.segments if buffers else None
            if segments is not None:
                buffers = segments.borrow(buffers)
            args, kwargs = loads(start.payload, buffers)
        except ModuleNotFoundError as error:
            raise _Unloadable from _explained(error)
        function, captures = loaded.function, loaded.captures
        if captures or ARRIVED:
            with calling(captures, self._namespace):
                result = self._awaited(self._call(function, args, kwargs))
        else:
            result = self._awaited(self._call(function, args, kwargs))
        if self._ipython.may_have_figures and function is not namespace.execute:
            self._ipython.show_figures()
        pickled = dumps(result, "the result")
        return self._detached(pickled, start) if pickled.buffers else pickled

    def _awaited(self, result: Any) -> Any:
        return self._loop.run(result) if type(result) is CoroutineType else result

    def _detached(self, pickled: Pickled, start: StartAttempt) -> Pickled:
        """Put the buffers of a result where later tasks cannot change them."""
        buffers, segments = pickled.buffers, self._shared.segments
        if segments is not None:
            buffers = segments.lend(f"{start.msg_id}-r{start.attempt}", buffers)
        return Pickled(pickled.payload, tuple(map(_own, buffers)))

    def _run_source(self, code: str) -> None:
        if not _is_python(code):
            namespace.execute(code)
            return
        record = namespace.execute_plain(code)  # which costs no engine that needs no IPython any
        if type(record) is CoroutineType:
            self._loop.run(record)

    def last_count(self) -> int:
        """Return the number of the last cell that IPython has counted."""
        return self._ipython.last_count

    def describe(self, error: BaseException) -> Failure:
        """Return what is told of an error to those who are elsewhere."""
        if type(error) is CellError:
            failure = self.describe(error.error)
            return replace(failure, traceback=error.traceback or failure.traceback)
        try:
            return call_user(describe_exception, error)
        except BaseException:  # interrupted in an exception's own code
            return Failure(encodable(type(error).__name__), "interrupted while it was described")

    def _note_fork(self) -> None:
        self._is_forked = True


class _Loop:
    """One event loop for all coroutines, so that what is bound to it outlives a task."""

    def __init__(self) -> None:
        self._runner: Any = None  # asyncio.Runner, which is imported when first needed

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        if self._runner is None:
            import asyncio

            self._runner = asyncio.Runner()
        try:
            return self._runner.run(coroutine)
        except (KeyboardInterrupt, SystemExit, Stopped):
            self.close()  # what was interrupted is in no state to go on
            raise

    def close(self) -> None:
        runner, self._runner = self._runner, None
        if runner is not None:
            runner.close()


class _Unloadable(Exception):
    """A function or an argument needs a module that is not here; the cause says which."""


_UNMET: Final = (UnmetDependency, VersionMismatch, _Unloadable)  # another engine may run it


def _is_python(code: str) -> bool:
    try:
        compile(code, "<startup>", "exec", PyCF_ALLOW_TOP_LEVEL_AWAIT)
    except SyntaxError:
        return False  # what IPython knows in addition, or a mistake
    return True


def _explained(error: ModuleNotFoundError) -> ModuleNotFoundError:
    """Say on which host something that a task needs cannot be imported, and what to do."""
    module = (error.name or "").partition(".")[0]
    if module:
        error.add_note(
            f"module {module!r} cannot be imported on host {socket.gethostname()}: install it "
            f"there, send it with Client.upload({module}), or let what the task needs of it travel "
            f"by value, with cloudpickle.register_pickle_by_value({module}) before the call"
        )
    return error


def _call(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return function(*args, **kwargs)


def _raise_stopped(error: BaseException) -> None:
    """Raise what a cell was stopped by: IPython has shown it, as it does with any error."""
    if type(error) is CellError and type(error.error) is Stopped:
        raise error.error from None


def _end_child(error: BaseException | None) -> NoReturn:
    """In a child that a task forked and that came out of the task: end, and touch nothing."""
    if type(error) is CellError:
        error = error.error
    code: object = int(error is not None)
    try:
        if _is_a(error, SystemExit):
            code = error.code  # type: ignore[union-attr]  # a SystemExit has it
        elif error is not None:
            traceback.print_exception(error, file=sys.__stderr__)
    finally:
        os._exit(code if isinstance(code, int) else int(code is not None))


def _is_a(
    error: BaseException | None, kind: type[BaseException] | tuple[type[BaseException], ...]
) -> bool:
    """Return whether *error* is a *kind*; unlike isinstance(), without asking the error."""
    return issubclass(type(error), kind)


def _own(buffer: Buffer) -> Buffer:
    """Return *buffer*, or a copy where user code could change it before it has been sent."""
    view = memoryview(buffer)
    return buffer if type(view.obj) is bytes else bytes(view)
