"""The magics ``%px``, ``%%px``, ``%pxresult``, ``%pxconfig`` and ``%autopx``."""

from __future__ import annotations

import ast
import os
import re
from argparse import Namespace
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final  # Any: IPython's shell, which is not typed

from IPython.core.error import UsageError
from IPython.core.magic import Magics, magics_class, no_var_expand
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring

from hippodrome.briefly import brief_methods
from hippodrome.client.interruption import InterruptFlag
from hippodrome.client.results.slots import tasks_of
from hippodrome.errors import ClusterError
from hippodrome.headings import shown
from hippodrome.magics.completing import complete
from hippodrome.magics.running import CellRun, Interrupter, Watching
from hippodrome.magics.targets import joined, parse_targets

if TYPE_CHECKING:
    from hippodrome.client.results.result import AsyncResult
    from hippodrome.client.views.direct import DirectView

_Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def exec_args(f: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say how a cell is run."""
    return _with(
        f,
        argument("-b", "--block", action="store_const", const=True, dest="block", default=None,
                 help="wait for the cell, and show its output"),
        argument("-a", "--noblock", action="store_const", const=False, dest="block",
                 help="do not wait: return an AsyncResult"),
        argument("--stream", action="store_const", const=True, dest="stream", default=None,
                 help="show all as it comes, tracebacks too; by default output that takes longer"),
        argument("--no-stream", action="store_const", const=False, dest="stream",
                 help="show output when the cell has ended"),
        argument("-t", "--targets", type=str, default=None,
                 help="which engines: all, 0, 0,2 or a slice such as ::2"),
        argument("--verbose", action="store_const", const=True, dest="verbose", default=None,
                 help="say which engines run the cell"),
        argument("--no-verbose", action="store_const", const=False, dest="verbose",
                 help="do not"),
        argument("--progress-after", type=float, default=None, metavar="SECONDS",
                 help="show a progress bar after so long; 0 at once, -1 never"),
        argument("--signal-on-interrupt", type=str, default=None, metavar="SIG",
                 help="what an interrupt sends to the engines; 0 or none sends nothing"),
    )  # fmt: skip


def output_args(f: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say how output is shown."""
    return _with(
        f,
        argument("-r", action="store_const", const="order", dest="groupby", default=None,
                 help="first the first display of each engine, then the second"),
        argument("-e", action="store_const", const="engine", dest="groupby",
                 help="all of one engine, then all of the next"),
        argument("--group-outputs", choices=("engine", "order", "type"), dest="groupby",
                 help="the same; type: all text, then all displays, then all values"),
        argument("-o", "--out", dest="save_name", default=None, metavar="NAME",
                 help="keep the AsyncResult under this name"),
    )  # fmt: skip


def _with(f: Callable[..., Any], *decorators: _Decorator) -> Callable[..., Any]:
    for decorate in reversed(decorators):
        f = decorate(f)
    return f


@magics_class
@brief_methods(but=("register",))
class ParallelMagics(Magics):  # type: ignore[misc]  # IPython is not typed
    """The magics of one view.

    Args:
        shell: the IPython that they are for.
        view: whose engines run the cells; None until there is a client.
        suffix: ends the names of the magics, so that several views can have some.

    Attributes:
        last_result: of the cell that ran last.
        verbose: whether to say which engines run a cell.
    """

    def __init__(self, shell: Any, view: DirectView | None = None, suffix: str = "") -> None:
        super().__init__(shell=shell)
        self.view = view
        self.suffix = suffix
        self.verbose: bool = False
        self.last_result: AsyncResult | None = None
        self._watching = Watching(stream=not os.environ.get("IPP_NONINTERACTIVE"))
        self._interrupter = Interrupter()
        self._is_auto = False

    def register(self) -> None:
        """Let IPython know the magics, under names that end with the suffix."""
        named = {
            "px": (self.px, "line"),
            "px ": (self.cell_px, "cell"),
            "pxresult": (self.pxresult, "line"),
            "pxconfig": (self.pxconfig, "line"),
            "autopx": (self.autopx, "line"),
        }
        if not self.suffix:
            named["result"] = (self.pxresult, "line")
        for name, (function, kind) in named.items():
            full_name = f"{name.strip()}{self.suffix}"
            self.shell.register_magic_function(function, kind, full_name)
        names = {"%%px": self.cell_px, "%pxresult": self.pxresult, "%pxconfig": self.pxconfig}
        complete(self.shell, {f"{name}{self.suffix}": magic for name, magic in names.items()})

    # ---- the magics

    @no_var_expand
    def px(self, line: str = "") -> AsyncResult | None:
        """Run a line on the engines of the view: ``%px import numpy``."""
        if not line.strip():
            raise UsageError("%px needs the code to run; see %%px for whole cells")
        if re.match(r"--?[a-z]", line.lstrip()) and not _is_python(line.lstrip()):
            raise UsageError("%px takes no options: write %%px with them, and the code below")
        return self._execute(line)

    @magic_arguments()
    @exec_args
    @output_args
    @argument("--local", action="store_true", help="run the cell here too, before it is waited for")
    def cell_px(self, line: str = "", cell: str | None = None) -> AsyncResult | None:
        """Run a cell on engines.

        Names of yours stand for their values in the line of options: ``--targets $ids``.

        Examples:
            %%px --targets ::2 --noblock
            ...
        """
        options = _parsed(self.cell_px, line)
        return self._execute(cell or "", options)

    @magic_arguments()
    @output_args
    def pxresult(self, line: str = "") -> None:
        """Show the output of the cell that ran last, and wait for it if need be."""
        options = _parsed(self.pxresult, line)
        if self.last_result is None:
            raise UsageError("there is no result yet: no cell has run on this view")
        self._save(options, self.last_result)
        self.last_result.display_outputs(options.groupby or self._watching.groupby)
        self.last_result.get()

    @magic_arguments()
    @exec_args
    @argument("--group-outputs", choices=("engine", "order", "type"), dest="groupby", default=None,
              help="how output is shown that is not shown as it comes")  # fmt: skip
    def pxconfig(self, line: str = "") -> None:
        """Set how %px, %%px and %autopx run cells from now on."""
        options = _parsed(self.pxconfig, line)
        view = self._the_view()
        if options.targets is not None:
            view.targets = _targets(options.targets, view)
        if options.block is not None:
            view.block = options.block
        if options.verbose is not None:
            self.verbose = options.verbose
        self._watching = self._watched(options)

    def autopx(self, line: str = "") -> None:
        """Run all cells on the engines from now on; once more, and they run here again."""
        if line.strip():
            raise UsageError(f"%autopx takes no options, as {line.strip()!r}: it turns on and off")
        transforms = self.shell.input_transformers_cleanup
        if self._is_auto:
            transforms[:] = [one for one in transforms if one != self._to_engines]
        else:
            self._the_view()
            transforms.insert(0, self._to_engines)
        self._is_auto = not self._is_auto
        print(f"%autopx{self.suffix} {'enabled' if self._is_auto else 'disabled'}")

    # ---- how

    def _to_engines(self, lines: list[str]) -> list[str]:
        """Make a cell one that runs on the engines, unless it is about to turn this off."""
        cell = "".join(lines)
        if not cell.strip() or cell.lstrip().startswith(f"%autopx{self.suffix}"):
            return lines
        return [f"get_ipython().run_cell_magic('px{self.suffix}', '', {cell!r})\n"]

    def _the_view(self) -> DirectView:
        if self.view is None:
            raise UsageError("there is no cluster to run this: make a Client, or view.activate()")
        return self.view

    def _execute(self, cell: str, options: Namespace | None = None) -> AsyncResult | None:
        view, options = self._the_view(), options or Namespace()
        given = vars(options)
        targets = _targets(options.targets, view) if given.get("targets") else view.targets
        if self.verbose if given.get("verbose") is None else options.verbose:
            print(f"running on engines {shown(targets)}")
        blocks = view.block if given.get("block") is None else options.block
        watching = self._watched(options)
        if not blocks:
            return self._submit(view, cell, targets, options)
        with InterruptFlag() as flag:
            result = self._submit(view, cell, targets, options)
            CellRun(view.client, result, watching, self._interrupter, flag).wait()
        return None

    def _submit(self, view: DirectView, cell: str, targets: Any, options: Namespace) -> AsyncResult:
        result = view.execute(cell, silent=False, targets=targets, block=False)
        about = tasks_of(result).about
        about.fname, about.method = f"%px{self.suffix}", "execute"
        self.last_result = result
        self._save(options, result)
        if vars(options).get("local"):
            self.shell.run_cell(cell)
        return result

    def _watched(self, options: Namespace) -> Watching:
        """Return how to look at a cell that was given *options*."""
        given, usual = vars(options), self._watching
        stream, groupby = given.get("stream"), given.get("groupby")
        signame = given.get("signal_on_interrupt")
        after_s = given.get("progress_after")
        return Watching(
            # Whoever asks for an order wants to see all in that order.
            (usual.stream and groupby is None) if stream is None else stream,
            (usual.is_live and groupby is None) if stream is None else stream,
            groupby or usual.groupby,
            usual.progress_after_s if after_s is None else after_s,
            usual.signal_on_interrupt if signame is None else _signal_name(signame),
        )

    def _save(self, options: Namespace, result: AsyncResult) -> None:
        name = vars(options).get("save_name")
        if name:
            self.shell.user_ns[name] = result


# IPython asks for completeness while a cell is typed, of the cell as it is.
ParallelMagics._to_engines.has_side_effects = True  # type: ignore[attr-defined]

_NO_SIGNAL: Final = frozenset({"", "0", "none", "None"})


def _signal_name(text: str) -> str:
    import signal

    if text in _NO_SIGNAL:
        return ""
    if text.isdecimal():
        text = next((one.name for one in signal.Signals if one == int(text)), text)
    if text.upper() not in signal.Signals.__members__:
        raise UsageError(f"there is no signal {text!r}")
    return text.upper()


def _is_python(line: str) -> bool:
    try:
        compile(line, "%px", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    except SyntaxError:
        return False
    return True


def _parsed(magic: Callable[..., Any], line: str) -> Namespace:
    """Return the options in *line*, in which names of the user have taken their places.

    Raises:
        UsageError: it makes no sense, or the name of a result could not be used.
    """
    options: Namespace = parse_argstring(magic, joined(line))
    name = vars(options).get("save_name")
    if name is not None and not name.isidentifier():
        raise UsageError(f"--out needs a name for the result, and {name!r} is none")
    return options


def _targets(text: str, view: DirectView) -> Any:
    try:
        targets = parse_targets(text)
        view.client._checked_targets(targets)
    except (ValueError, IndexError, ClusterError) as error:
        raise UsageError(str(error)) from None
    return targets
