"""IPython in an engine, on the namespace that `apply` uses.

Only this file, `shell`, and `kernel` for frontends know IPython.

It is brought in when it is first needed: by source text to execute, by a display, by a figure of
matplotlib, by whoever asks for it. Until then an engine neither imports it nor pays for it; the
builtins ``get_ipython`` and ``display`` are there from the start. Widgets find comms of ours, by
which what they say goes the way of displays.
"""

from __future__ import annotations

import base64
import builtins
import functools
import json
import os
import sys
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final  # Any: IPython's and users' objects

from hippodrome.engine import namespace
from hippodrome.engine.comms import state_key
from hippodrome.engine.conditions import Conditions
from hippodrome.engine.importing import Change, change_on_import
from hippodrome.engine.output import OutputCapture
from hippodrome.serialize.executereply import ExecuteReply

_DISPLAYS: Final = "IPython.core.display_functions"
_SHELLS: Final = "IPython.core.interactiveshell"
_COMMS: Final = ("comm", "ipykernel.ipkernel")  # the second puts its own in the place of ours
_INLINE: Final = "matplotlib_inline.backend_inline"

RunCoroutine = Callable[[Coroutine[Any, Any, Any]], Any]


class CellError(Exception):
    """A cell raised.

    Attributes:
        error: what it raised.
        traceback: how IPython shows it; empty if it does not.
        is_watched: whether somebody looks at the cell, and may have sent more after it.
    """

    def __init__(self, error: BaseException, traceback: str, is_watched: bool) -> None:
        super().__init__(str(type(error)))
        self.error = error
        self.traceback = traceback
        self.is_watched = is_watched


class IPythonAdapter:
    """Runs cells, and brings IPython in for the first.

    Args:
        output: takes what is displayed.
        run_coroutine: runs what a cell awaits.

    Attributes:
        is_there: whether IPython has been brought in.
        may_have_figures: whether tasks may have drawn what is to be shown; asked after each.
    """

    def __init__(self, output: OutputCapture, run_coroutine: RunCoroutine) -> None:
        self._output = output
        self._run_coroutine = run_coroutine
        self._shell: Any = None
        self._conditions: Conditions | None = None
        self._making = threading.RLock()  # a task's threads may ask all at once
        self._is_making = False
        self.is_there: bool = False
        self.may_have_figures: bool = False

    def install(self, folder: str) -> None:
        """Let displays, figures and ``get_ipython`` bring IPython in, and widgets find comms.

        Args:
            folder: of `sys.path`, where the user has modules.
        """
        vars(builtins).update(self._builtins())
        os.environ.setdefault("MPLBACKEND", f"module://{_INLINE}")
        changes: dict[str, Change] = {
            _DISPLAYS: self._change_display,
            _SHELLS: self._change_shells,
            _INLINE: self._note_figures,
            **dict.fromkeys(_COMMS, self._change_comms),
        }
        change_on_import(changes)
        self._conditions = Conditions(folder)

    @property
    def last_count(self) -> int:
        """The number of the last cell that was counted."""
        return 0 if self._shell is None else int(self._shell.execution_count) - 1

    def shell(self) -> Any:
        """Return the shell. Any thread."""
        if not self.is_there:
            with self._making:
                if self._shell is None:
                    self._make_shell()
        return self._shell

    def _make_shell(self) -> None:
        self._is_making = True
        try:
            with self.in_old_conditions():
                from hippodrome.engine.shell import make_shell

                self._shell = make_shell(self._publish, self._run_coroutine, self.in_old_conditions)
                self._shell.run_cell("pass", silent=True)  # which imports more
                self._expect_figures()
                import hippodrome.serialize.byvalue  # noqa: F401 - for results and errors

                self.is_there = True
        finally:
            self._is_making = False

    def in_old_conditions(self) -> AbstractContextManager[None]:
        """Return what brings back, for what is imported late, how this process started."""
        return nullcontext() if self._conditions is None else self._conditions.restored()

    def run_cell(
        self,
        code: str,
        silent: bool,
        store_history: bool | None = None,
        cell: int | None = None,
    ) -> ExecuteReply:
        """Run a cell of any IPython syntax.

        Args:
            code: the cell.
            silent: do not show the value of a last expression, and do not count the cell.
            store_history: whether to count the cell, where that is not to depend on *silent*.
            cell: its number for tracebacks, 0 if it has none; by default it is counted here.

        Raises:
            CellError: it raised.
        """
        shell = self.shell()
        shell.last_shown, shell.last_traceback = ({}, {}), ""
        is_stored = not silent if store_history is None else store_history
        with shell.compile.numbered(cell):
            result = shell.run_cell(code, store_history=is_stored, silent=silent)
        error = result.error_before_exec or result.error_in_exec
        if error is not None:
            raise CellError(error, shell.last_traceback, is_watched=not silent)
        data, metadata = shell.last_shown
        count = result.execution_count or shell.displayhook.prompt_count
        return ExecuteReply(count, code, data, metadata, namespace.engine_id())

    def take_comm_message(
        self, kind: str, content: Mapping[str, Any], buffers: Sequence[bytes]
    ) -> None:
        """Take what a frontend says to a widget, and show what a callback of that raises."""
        shell = self.shell()
        shell.last_traceback = ""
        from hippodrome.engine.widgets import receive

        receive(kind, content, buffers)
        if shell.last_traceback:
            sys.stderr.write(f"{shell.last_traceback}\n")

    def show_figures(self) -> None:
        """Show the figures that a function has drawn and not shown, as after a cell."""
        inline, pylab = sys.modules.get(_INLINE), sys.modules.get("matplotlib._pylab_helpers")
        if inline is not None and pylab is not None:
            if pylab.Gcf.figs:
                self.shell()
            inline.flush_figures()

    def _note_figures(self, _inline: Any) -> None:
        """Have the backend collect what is drawn, as it does for cells."""
        sys.modules["matplotlib"].interactive(True)
        self.may_have_figures = True

    def _expect_figures(self) -> None:
        """Let cells show figures, also if a task has drawn some before there was a shell."""
        os.environ.setdefault("MPLBACKEND", f"module://{_INLINE}")
        inline = sys.modules.get(_INLINE)
        if inline is not None:
            inline.configure_inline_support(self._shell, f"module://{_INLINE}")

    def reset(self) -> None:
        """Forget all user variables, and what was shown of them."""
        self._shell.reset(new_session=False)

    def _publish(self, kind: str, content: Mapping[str, Any]) -> None:
        display_id = content.get("transient", {}).get("display_id")
        if not self._output.show(kind, json.dumps(content, default=str).encode(), display_id):
            text = content.get("data", {}).get("text/plain", "")
            self._output.write_through(1, f"{text}\n")

    def _builtins(self) -> dict[str, Any]:
        """Return what IPython adds to the builtins, such that it is brought in when it is used."""
        bring = self.shell

        def get_ipython() -> Any:
            """Return the IPython of this engine."""
            return bring()

        def display(*objects: Any, **options: Any) -> Any:
            """Show objects richly, as the display of IPython does."""
            bring()
            return sys.modules[_DISPLAYS].display(*objects, **options)

        return {"get_ipython": get_ipython, "display": display, "__IPYTHON__": True}

    def _change_shells(self, module: Any) -> None:
        """Let there be a shell for whoever asks for it, and no other in its place.

        `IPython.get_ipython` and all the rest of it ask these two class methods.
        """
        singletons = module.InteractiveShell

        def bringing(name: str) -> Any:
            plain = getattr(singletons, name).__func__

            @functools.wraps(plain)
            def brought(cls: Any, *args: Any, **kwargs: Any) -> Any:
                self._bring()
                return plain(cls, *args, **kwargs)

            return classmethod(brought)

        for name in ("initialized", "instance"):
            setattr(singletons, name, bringing(name))

    def _bring(self) -> None:
        """Make sure that there is a shell, unless it is just being made."""
        if not self.is_there:
            with self._making:
                if not self._is_making:
                    self.shell()

    def _change_display(self, module: Any) -> None:
        """Let the first display make sure that there is a shell."""
        display, bring = module.display, self.shell

        @functools.wraps(display)
        def display_in_engine(*args: Any, **kwargs: Any) -> Any:
            bring()
            return display(*args, **kwargs)

        module.display = display_in_engine

    def _change_comms(self, module: Any) -> None:
        """Let widgets make comms of ours."""
        if hasattr(sys.modules["comm"], "create_comm"):  # users have modules of that name too
            from hippodrome.engine.widgets import install

            install(self._tell)

    def _tell(self, kind: str, content: Mapping[str, Any], buffers: Sequence[bytes]) -> None:
        """Add what a widget says to the task that owns this thread; without one nobody hears it."""
        owner = self._output.owner()
        if owner is not None:
            key = state_key(content["comm_id"], content["data"]) if kind == "comm_msg" else None
            content = {**content, "engine": namespace.engine_id()}
            owner.tell(kind, json.dumps(content, default=str).encode(), list(buffers), key)


def encoded(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return displayed data such that JSON can hold it: bytes, as of images, in base 64."""
    return {
        mime: base64.b64encode(value).decode("ascii") if isinstance(value, bytes) else value
        for mime, value in data.items()
    }
