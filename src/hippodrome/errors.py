"""One tree of errors: everything that hippodrome raises on purpose.

Two families meet here. Errors about *one request* descend from `RemoteError`, because they are
the outcome of something that happened elsewhere; a program that catches `RemoteError` catches
them all. Errors about *the connection or the cluster* descend from `ClusterError` only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final, NoReturn

from hippodrome import headings
from hippodrome.originals import mark_original

ErrorTuple = tuple[str, str, str, dict[str, Any]]


class IPythonError(Exception):
    """The root of the tree; the name is the one that users of this model know.

    >>> issubclass(ipp.RemoteError, ipp.IPythonError)
    True
    """


class KernelError(IPythonError):
    """Something went wrong beyond this process: the base of all errors but the root.

    >>> issubclass(ipp.ClusterError, ipp.KernelError)
    True
    """


class ClusterError(KernelError):
    """Something about the cluster or the connection to it, not about one task.

    Attributes:
        code: a stable short name, for programs and logs.

    >>> try:
    ...     rc.load_balanced_view([]).apply_sync(abs, -1)
    ... except ipp.ClusterError as error:
    ...     print(error.code)
    no_engines
    """

    code: ClassVar[str] = "cluster"


class ProtocolError(ClusterError):
    """Bytes that are not what docs/protocol.md says they should be."""

    code = "protocol"


class ProtocolVersionError(ProtocolError):
    """The other side speaks another version of the protocol."""

    code = "protocol_version"


class ConnectionFileError(ClusterError, OSError):
    """A connection file is missing, unreadable, stale, or open to others.

    >>> ipp.Client("missing.json", timeout=0.1)
    Traceback (most recent call last):
    hippodrome.errors.MissingFileError: ...
    """

    code = "connection_file"


class ForeignFileError(ConnectionFileError):
    """A file is one of ipyparallel's, and nothing of ours."""

    code = "foreign_file"


class AuthenticationError(ClusterError):
    """The controller does not accept this key."""

    code = "authentication"


class ControllerLost(ClusterError):
    """The controller stopped, or was not heard from for too long.

    >>> with ipp.Cluster(n=1) as rc:
    ...     rc.shutdown(hub=True)
    ...     rc[:].apply_async(abs, -1)
    Traceback (most recent call last):
    hippodrome.errors.ControllerLost: ...
    """

    code = "controller_lost"


class NoEnginesRegistered(ClusterError):
    """An operation needs engines and there are none.

    >>> rc.load_balanced_view([]).apply_sync(abs, -1)
    Traceback (most recent call last):
    hippodrome.errors.NoEnginesRegistered: ...
    """

    code = "no_engines"


class MissingFileError(ConnectionFileError, FileNotFoundError):
    """There is no such connection file, or cluster file."""

    code = "missing_file"


class LaunchError(ClusterError, RuntimeError):
    """A controller or engines could not be started.

    >>> ipp.Cluster(n=1, controller_args=["--nonsense"]).start_cluster_sync()
    Traceback (most recent call last):
    hippodrome.errors.LaunchError: ...
    """

    code = "launch"


class ClusterRunningError(ClusterError, RuntimeError):
    """A process that should be started runs already."""

    code = "cluster_running"


class UnknownNameError(ClusterError, KeyError):
    """There is no cluster, set of engines, flag or metadata of this name; or it is there."""

    code = "unknown_name"

    def __str__(self) -> str:
        return Exception.__str__(self)  # a KeyError's own shows quotes


class UnknownEngineError(ClusterError, IndexError, KeyError):
    """There is no engine of this id: to some programs an index, to others a key."""

    code = "unknown_engine"

    def __str__(self) -> str:
        return Exception.__str__(self)  # a KeyError's own shows quotes


class SerializationError(ClusterError, TypeError):
    """An argument or function cannot be pickled; the message names the part.

    >>> import threading
    >>> lbv.apply_sync(type, threading.Lock())
    Traceback (most recent call last):
    hippodrome.errors.SerializationError: ...
    """

    code = "serialization"


class LeftBehindError(ClusterError, RuntimeError):
    """What was used belongs to another program, in which it stayed: a client, a view, a result."""

    code = "left_behind"


class CaptureWarning(UserWarning):
    """A function takes something along that it had better not; said once for each function.

    >>> import warnings
    >>> table = bytes(20_000_000)
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore", ipp.CaptureWarning)
    ...     lbv.apply_sync(lambda: len(table))
    20000000
    """


class LargeCaptureWarning(CaptureWarning):
    """A function takes along more than 10 MB."""


class RandomCaptureWarning(CaptureWarning):
    """A function takes along a generator of random numbers, of which each task has a copy."""


class VersionMismatch(SerializationError):
    """An object travelled by value, and another minor version of Python cannot use it.

    Raised on engines; tasks in load-balanced views go to others, if there are any.
    """

    code = "version_mismatch"


class RemoteError(KernelError):
    """An error raised elsewhere, most often by user code on an engine.

    What Python, pytest and logs print of it ends with the remote traceback, as a note.

    Attributes:
        ename: name of the error's class, e.g. ``"ValueError"``.
        evalue: its text.
        traceback: the remote traceback as text; may be empty.
        engine_info: ``engine_id``, ``engine_uuid``, ``method``, ``host``, ``pid``, if known; for
            maps ``item``, which element of what was mapped over it was.

    When the original exception could be pickled it is the ``__cause__``, and the error that a
    client raises is of its type too: ``except ValueError`` catches what a task raised as one.

    >>> try:
    ...     lbv.apply_sync(int, "two")
    ... except ValueError as error:
    ...     error.ename, error.engine_info["engine_id"] in rc.ids
    ('ValueError', True)
    """

    code: ClassVar[str] = "remote"

    def __init__(
        self,
        ename: str,
        evalue: str,
        traceback: str = "",
        engine_info: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(ename, evalue, traceback, engine_info)
        self.ename = ename
        self.evalue = evalue
        self.traceback = traceback
        self.engine_info: dict[str, Any] = engine_info or {}
        if traceback:
            self.add_note(_note(self))

    def __str__(self) -> str:
        where = headings.mark(self.engine_info)
        return f"{where and f'[{where}] '}{_line(self.ename, self.evalue)}"

    def __repr__(self) -> str:
        """Leave the traceback out: lists of results may hold many errors."""
        where = self.engine_info.get("engine_id", " ")
        return f"<{type(self).__name__}[{where}]:{self.ename}({self.evalue})>"

    def render_traceback(self) -> list[str]:
        """Return the remote traceback as lines; the error's own line if there is none.

        >>> error = lbv.apply_async(int, "two").exception()
        >>> error.render_traceback()[-1]
        "ValueError: invalid literal for int() with base 10: 'two'"
        """
        return _COLORS.sub("", (self.traceback or str(self)).rstrip()).splitlines()

    def _render_traceback_(self) -> list[str]:
        """Let IPython show the remote traceback instead of the local one, in its colors."""
        return [*_heading([self]), *_colored_lines(self)]

    def print_traceback(self, excid: int | None = None) -> None:
        """Print the remote traceback; *excid* is accepted for symmetry with `CompositeError`.

        >>> lbv.apply_async(int, "two").exception().print_traceback()
        ValueError: invalid literal for int() with base 10: 'two'
        """
        print("\n".join(self.render_traceback()))


class TaskOutcomeError(RemoteError):
    """A task ended without its own result, for a reason that the cluster knows.

    Subclasses can be raised by name alone, ``raise UnmetDependency``, or with a text.
    """

    def __init__(
        self,
        evalue: str = "",
        traceback: str = "",
        engine_info: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(type(self).__name__, evalue, traceback, engine_info)
        # args == __init__ args, so it pickles
        self.args: tuple[Any, ...] = (evalue, traceback, engine_info)

    def __str__(self) -> str:
        return self.evalue or (type(self).__doc__ or "").partition("\n")[0]


class EngineError(TaskOutcomeError):
    """The engine died while it held the task.

    >>> import os
    >>> with ipp.Cluster(n=1) as rc:
    ...     rc[0].apply_async(os._exit, 1).exception()
    <EngineError[0]:...>
    """

    code = "engine_lost"


class TaskAborted(TaskOutcomeError):
    """The task was aborted before it started.

    >>> import time
    >>> busy, idle = [rc[0].apply_async(time.sleep, 60) for _ in range(2)]
    >>> idle.abort()
    >>> idle.exception()
    <TaskAborted[0]:...>
    >>> busy.interrupt()
    """

    code = "aborted"


class TaskTimeout(TaskOutcomeError, TimeoutError):
    """The task was not assigned to an engine within its timeout.

    >>> import time
    >>> busy = view.apply_async(time.sleep, 60)
    >>> lbv.set_flags(timeout=0.1).apply_async(abs, -1).exception()
    <TaskTimeout[ ]:...>
    >>> busy.interrupt()
    """

    code = "timeout"


class DependencyTimeout(TaskTimeout):
    """The task's dependencies were not met within its timeout.

    >>> import time
    >>> busy = lbv.apply_async(time.sleep, 60)
    >>> lbv.set_flags(after=busy, timeout=0.1).apply_async(abs, -1).exception()
    <DependencyTimeout[ ]:...>
    >>> busy.interrupt()
    """

    code = "dependency_timeout"


class UnmetDependency(TaskOutcomeError):
    """This engine cannot run the task; another may.

    >>> @ipp.require("a_module_that_is_nowhere")
    ... def f():
    ...     return 1
    >>> rc[0].apply_async(f).exception()
    <UnmetDependency[0]:...>
    """

    code = "unmet_dependency"


class ImpossibleDependency(UnmetDependency):
    """No engine can ever run the task.

    >>> failing = lbv.apply_async(int, "two")
    >>> lbv.set_flags(after=failing).apply_async(abs, -1).exception()
    <ImpossibleDependency[ ]:...>
    """

    code = "impossible_dependency"


class InvalidDependency(ImpossibleDependency):
    """The task depends on something that is not a task of this cluster.

    >>> lbv.set_flags(after="no msg_id").apply_async(abs, -1).exception()
    <InvalidDependency[ ]:...>
    """

    code = "invalid_dependency"


class ResultExpired(TaskOutcomeError):
    """The task has ended, but the controller does not keep its result (any more)."""

    code = "result_expired"


class DeserializationError(TaskOutcomeError):
    """A result arrived whole, but cannot be turned back into an object here."""

    code = "deserialization"


class TaskRejectError(TaskOutcomeError):
    """The scheduler does not take a task of this kind."""

    code = "rejected"


class AlreadyDisplayedError(RemoteError):
    """A remote error, of one task or of several, whose tracebacks have been shown already.

    Attributes:
        original_error: that error.
        n: how many errors it is.
    """

    def __init__(self, original_error: RemoteError) -> None:
        first = original_error
        super().__init__(first.ename, first.evalue, first.traceback, first.engine_info)
        self.args: tuple[Any, ...] = (original_error,)  # args == __init__ args, so it pickles
        self.original_error = original_error
        self.n: int = len(getattr(original_error, "elist", (original_error,)))

    def __str__(self) -> str:
        what = _line(self.ename, self.evalue) if self.n == 1 else f"{self.n} errors"
        return f"{what}, shown above"

    def _render_traceback_(self) -> list[str]:
        """Let IPython show no more than that."""
        return [str(self)]


class CompositeError(RemoteError, ExceptionGroup[Exception]):
    """Several engines, or several tasks of one call, failed.

    An `ExceptionGroup` whose members are the original exceptions where they could be pickled,
    and `RemoteError` otherwise, so that ``except* ValueError`` works.
    Each that comes from an engine has an ``engine_info``, as `RemoteError` has.

    Args:
        message: what failed, in a line.
        elist: the single errors: `RemoteError` instances, or
            ``(ename, evalue, traceback, engine_info)`` tuples.

    Attributes:
        elist: ``(ename, evalue, traceback, engine_info)`` of each error.
        tb_limit: how many different errors are shown.

    >>> try:
    ...     view.apply_sync(int, "two")
    ... except* ValueError as group:
    ...     [error.engine_info["engine_id"] in rc.ids for error in group.exceptions]
    [True, True]
    """

    code = "composite"
    tb_limit = 4

    def __new__(
        cls, message: str, elist: Sequence[RemoteError | ErrorTuple | Exception]
    ) -> CompositeError:
        remote = [_as_error(item) for item in elist]
        return ExceptionGroup.__new__(cls, message, [_original(error) for error in remote])

    def __init__(self, message: str, elist: Sequence[RemoteError | ErrorTuple | Exception]) -> None:
        super().__init__("CompositeError", message)
        errors = [_as_error(item) for item in elist]
        self.args: tuple[Any, ...] = (message, errors)  # args == __init__ args, so it pickles
        self.errors: list[Exception] = errors
        self.elist: list[ErrorTuple] = [_as_tuple(error) for error in errors]

    @property
    def msg(self) -> str:
        """The failure that this is, as `message`.

        >>> view.apply_async(int, "two").exception().msg
        '2 of 2 tasks of int failed'
        """
        return self.message

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self.errors)})"

    def derive(self, excs: Sequence[Exception]) -> CompositeError:  # type: ignore[override]
        """Return a group with other members, as ``except*`` and `split` make them."""
        return CompositeError(self.message, excs)

    def __str__(self) -> str:
        alike = self._alike()
        lines = [self.message]
        for errors in alike[: self.tb_limit]:
            line = str(errors[0])
            if len(errors) > 1:
                infos = [_as_tuple(error)[3] for error in errors]
                where = headings.folded(_as_tuple(errors[0])[0], infos)
                line = f"{where} {line}{headings.others(infos)}"
            lines.append(line)
        if len(alike) > self.tb_limit:
            lines.append(f"... and {len(alike) - self.tb_limit} other errors")
        return "\n".join(lines)

    def render_traceback(self, excid: int | None = None) -> list[str]:
        """Return remote tracebacks as lines: of error *excid*, or of the first `tb_limit` kinds.

        Errors that are the same on several engines are shown once.

        >>> error = view.apply_async(int, "two").exception()
        >>> error.render_traceback(0)[-1]
        "ValueError: invalid literal for int() with base 10: 'two'"
        """
        return self._render(_plain_lines, excid)

    def _render_traceback_(self) -> list[str]:
        return self._render(_colored_lines, None)

    def _render(self, render: Callable[[Exception], list[str]], excid: int | None) -> list[str]:
        if excid is not None:
            return render(self.errors[excid])
        alike = self._alike()
        lines = [self.message]
        for errors in alike[: self.tb_limit]:
            lines += [*_heading(errors), *render(errors[0]), ""]
        if len(alike) > self.tb_limit:
            lines.append(f"... and {len(alike) - self.tb_limit} other errors")
        return lines

    def _alike(self) -> list[list[Exception]]:
        """Return the errors in groups of those that say the same."""
        groups: dict[tuple[str, str], list[Exception]] = {}
        for error in self.errors:
            groups.setdefault(_said(error), []).append(error)
        return list(groups.values())

    def print_traceback(self, excid: int | None = None) -> None:
        """Print remote tracebacks; see `render_traceback`.

        >>> view.apply_async(int, "two").exception().print_traceback()
        2 of 2 tasks of int failed
        ValueError on engines 0, 1; first:
        engine 0:int (the same: 1:int)
        ValueError: invalid literal for int() with base 10: 'two'
        <BLANKLINE>
        """
        print("\n".join(self.render_traceback(excid)))

    def raise_exception(self, excid: int = 0) -> NoReturn:
        """Raise one of the errors by its index.

        Raises:
            IndexError: there is no error *excid*.

        >>> try:
        ...     view.apply_async(int, "two").exception().raise_exception(1)
        ... except ValueError as error:
        ...     print(error)
        [1:int] ValueError: invalid literal for int() with base 10: 'two'
        """
        raise self.errors[excid]


def _as_error(item: RemoteError | ErrorTuple | Exception) -> Exception:
    return RemoteError(*item) if isinstance(item, tuple) else item


def _as_tuple(error: Exception) -> ErrorTuple:
    if isinstance(error, RemoteError):
        return error.ename, error.evalue, error.traceback, error.engine_info
    return type(error).__name__, str(error), "", {}


def _said(error: Exception) -> tuple[str, str]:
    """Return name and text, without the numbers of cells: each engine counts for itself."""
    ename, evalue, _, _ = _as_tuple(error)
    return ename, _CELLS.sub("In[]", evalue)


def _plain_lines(error: Exception) -> list[str]:
    return error.render_traceback() if isinstance(error, RemoteError) else [repr(error)]


def _colored_lines(error: Exception) -> list[str]:
    if not isinstance(error, RemoteError):
        return [repr(error)]
    return (error.traceback or str(error)).rstrip().splitlines()


def _heading(errors: Sequence[Exception]) -> list[str]:
    """Return lines on where errors that are alike were raised, if that is known."""
    return headings.heading(_as_tuple(errors[0])[0], [_as_tuple(error)[3] for error in errors])


def _note(error: RemoteError) -> str:
    """Return what is printed below an error's own line."""
    lines = [*_heading([error]), *error.render_traceback()]
    return "\n" + "\n".join(lines)


def _line(ename: str, evalue: str) -> str:
    return f"{ename}: {evalue}" if evalue else ename


_CELLS: Final = re.compile(r"In ?\[\d+\]|<ipython-input-\d+-\w+>")
_COLORS: Final = re.compile(r"\x1b\[[0-9;]*m")


def _original(error: Exception) -> Exception:
    """Return what was raised there, if it came along; it names the engine, also in a note."""
    cause = error.__cause__
    if not isinstance(error, RemoteError) or not isinstance(cause, Exception):
        return error
    note = "\n".join([f"raised by {error}", *(_plain_lines(error) if error.traceback else ())])
    mark_original(cause, note, error.engine_info)
    return cause
