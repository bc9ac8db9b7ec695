"""The IPython shell of an engine: what it displays goes to the task that runs.

Imports IPython, and is therefore imported by nobody but the adapter, when it has to be.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any  # Any: IPython's and users' objects

from IPython.core.compilerop import CachingCompiler
from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from traitlets import Type
from traitlets.config import Config

from hippodrome.engine import namespace
from hippodrome.engine.asking import NO_DEBUGGER
from hippodrome.engine.interrupts import Stopped
from hippodrome.engine.ipython import encoded
from hippodrome.engine.kernel import magics as kernelmagics
from hippodrome.serialize.failures import explain

Publish = Callable[[str, Mapping[str, Any]], None]


def make_shell(
    publish: Publish,
    run_coroutine: Callable[[Coroutine[Any, Any, Any]], Any],
    conditions: Callable[[], AbstractContextManager[None]],
) -> EngineShell:
    """Return a shell on this process's ``__main__``.

    Args:
        publish: takes the kind and the content of each message that shows something.
        run_coroutine: runs what a cell awaits.
        conditions: returns what imports are made in that IPython puts off.
    """
    config = Config()
    config.HistoryManager.enabled = False  # many engines would fight for one file
    config.InteractiveShell.display_page = True  # there is no terminal to page in
    config.InteractiveShell.enable_tip = False
    main = namespace.main_module()
    shell: EngineShell = EngineShell.instance(
        config=config, user_module=main, user_ns=main.__dict__
    )
    shell.publish = publish
    shell.loop_runner = run_coroutine
    shell.conditions = conditions
    kernelmagics.register(shell)
    return shell


class EngineDisplayHook(DisplayHook):  # type: ignore[misc]  # IPython is not typed
    """Publishes the value of a cell's last expression."""

    def write_output_prompt(self) -> None:
        """Write none: the client shows which engine it was."""

    def write_format_data(
        self, format_dict: Mapping[str, Any], md_dict: Mapping[str, Any] | None = None
    ) -> None:
        shell = self.shell
        shell.last_shown = data, metadata = encoded(format_dict), dict(md_dict or {})
        count = self.prompt_count
        content = {"data": data, "metadata": metadata, "execution_count": count, "transient": {}}
        shell.publish("execute_result", content)

    def finish_displayhook(self) -> None:
        """End without the empty line of a terminal."""
        self._is_active = False


class EngineDisplayPublisher(DisplayPublisher):  # type: ignore[misc]
    """Publishes what is displayed explicitly."""

    def publish(
        self,
        data: Mapping[str, Any],
        metadata: Mapping[str, Any] | None = None,
        *args: Any,  # a source, which older releases pass
        transient: Mapping[str, Any] | None = None,
        update: bool = False,
        **kwargs: Any,
    ) -> None:
        kind = "update_display_data" if update else "display_data"
        content = {
            "data": encoded(data),
            "metadata": dict(metadata or {}),
            "transient": dict(transient or {}),
        }
        self.shell.publish(kind, content)

    def clear_output(self, wait: bool = False) -> None:
        self.shell.publish("clear_output", {"wait": wait})


class EngineCompiler(CachingCompiler):  # type: ignore[misc]
    """Names code after the cell of the user's that sent it, whatever this engine counts."""

    def __init__(self) -> None:
        super().__init__()
        self._cell: int | None = None
        self._without_number: set[str] = set()  # like all that IPython notes of code, for good

    @contextmanager
    def numbered(self, cell: int | None) -> Iterator[None]:
        """Let *cell* be the number of what is compiled; 0 is none, None as it is counted here."""
        before, self._cell = self._cell, cell
        try:
            yield
        finally:
            self._cell = before

    def cache(self, transformed_code: str, number: int = 0, raw_code: str | None = None) -> str:
        """Let tracebacks show lines of code; returns the name that it has in them."""
        cell = self._cell
        name = str(super().cache(transformed_code, number if cell is None else cell, raw_code))
        if cell == 0:
            self._without_number.add(name)
        return name

    def format_code_name(self, name: str) -> Any:
        """Return what tracebacks call code; None for what is no cell."""
        if name in self._without_number:
            return "Code", "of execute"
        return super().format_code_name(name)


class EngineShell(InteractiveShell):  # type: ignore[misc]
    """A shell whose user is far away.

    Attributes:
        publish: see `make_shell`.
        conditions: those in which the first traceback is shown.
        last_shown: data and metadata of the last value that was shown.
        last_traceback: the last traceback, as IPython formats it.
    """

    compiler_class: Type[Any, Any] = Type(EngineCompiler)
    displayhook_class: Type[Any, Any] = Type(EngineDisplayHook)
    display_pub_class: Type[Any, Any] = Type(EngineDisplayPublisher)

    def __init__(self, **kwargs: Any) -> None:
        self.publish: Publish = lambda kind, content: None
        self.last_shown: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
        self.last_traceback: str = ""
        self.conditions: Callable[[], AbstractContextManager[None]] = nullcontext
        self._results: list[Any] = []  # of the cells that run, one within the other
        super().__init__(**kwargs)

    def enable_gui(self, gui: str | None = None) -> None:
        """Do nothing: figures are shown inline, and there is no event loop of windows here."""

    def ask_exit(self) -> None:
        """Tell a frontend to go; engines are shut down by their cluster."""
        self.payload_manager.write_payload({"source": "ask_exit", "keepkernel": True})

    def set_next_input(self, s: str, replace: bool = False) -> None:
        """Tell a frontend what its user may want to run next."""
        payload = {"source": "set_next_input", "text": s, "replace": replace}
        self.payload_manager.write_payload(payload)

    def debugger(self, force: bool = False) -> None:
        """Say that there is none; also after an error, where ``%pdb`` asks for one.

        Raises:
            UsageError: it was asked for by ``%debug``.
        """
        if not self.call_pdb:
            raise UsageError(NO_DEBUGGER)
        print(NO_DEBUGGER, file=sys.stderr)

    @contextmanager
    def _tee(self, channel: str) -> Iterator[None]:
        """Keep no copy of what is printed for a history, and need no stream for it."""
        yield

    async def run_code(self, code_obj: Any, result: Any = None, **kwargs: Any) -> Any:
        """Run compiled code, and know meanwhile whose errors are those of the cell."""
        self._results.append(result)
        try:
            return await super().run_code(code_obj, result, **kwargs)
        finally:
            self._results.pop()

    def showtraceback(self, exc_tuple: Any = None, *args: Any, **kwargs: Any) -> None:
        """Keep how IPython shows the error; interrupts and groups are shown as plain Python does.

        Whoever interrupts wants an answer at once, and the first traceback takes IPython long: so
        long that an engine that has been told to stop would be killed over it.
        """
        kind, error = (exc_tuple or sys.exc_info())[:2]
        if kind is None or issubclass(kind, (KeyboardInterrupt, Stopped)):
            return
        if error is not None:
            explain(error)  # before it is shown
        if self._is_the_cells(error):  # of which IPython would print some
            if issubclass(kind, UsageError):
                self.last_traceback = f"UsageError: {error}"
                return
            if _has_group(error):
                return
        conditions, self.conditions = self.conditions, nullcontext
        with conditions():  # the first one imports much
            super().showtraceback(exc_tuple, *args, **kwargs)

    def _is_the_cells(self, error: BaseException | None) -> bool:
        """Whether *error* ends the cell; all others are shown while it goes on.

        These are errors of cells in the cell, of scripts that it runs, of displays, and what it
        asks to be shown.
        """
        if not self._results:
            return True  # it could not be compiled
        return len(self._results) == 1 and getattr(self._results[0], "error_in_exec", 0) is error

    def _format_exception_for_storage(self, exception: BaseException, *_: Any, **__: Any) -> Any:
        """Do not format it again, for a history that engines do not export."""
        return {
            "ename": type(exception).__name__,
            "evalue": "",  # nobody asks, and its text may raise
            "traceback": [self.last_traceback],
        }

    def _showtraceback(self, etype: type, evalue: BaseException, stb: list[str]) -> None:
        if self._is_the_cells(evalue):
            self.last_traceback = "\n".join(stb)
        else:
            print("\n".join(stb), file=sys.stderr)


def _has_group(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, BaseExceptionGroup):
            return True
        error = error.__context__
    return False
