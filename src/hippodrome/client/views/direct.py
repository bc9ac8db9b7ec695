"""Views of named engines: the same call on each of them, and their variables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, Unpack

from hippodrome.briefly import brief_methods
from hippodrome.client.chunk import Chunk
from hippodrome.client.elements import apart
from hippodrome.client.hints import check_callable, check_sequences, methods_take_options
from hippodrome.client.inputs import aligned, as_sequence
from hippodrome.client.interruption import OwnCalls, own_items
from hippodrome.client.results.codec import engine_function
from hippodrome.client.results.gathered import AsyncGatherResult
from hippodrome.client.results.mapresult import AsyncMapResult
from hippodrome.client.results.result import AsyncResult
from hippodrome.client.sources import cell_number
from hippodrome.client.view import Function, R, View, function_name
from hippodrome.client.views.flags import Flags, FlagValues, MapOptions, MapValues
from hippodrome.client.views.partition import BLOCK, check_dist, each, part
from hippodrome.client.views.variables import check_names, variables
from hippodrome.protocol.messages import EngineId
from hippodrome.serialize import Function as PickledFunction
from hippodrome.serialize import Pickled, dumps_call, use_cloudpickle, use_dill, use_pickle

A = TypeVar("A", bound=AsyncResult)

if TYPE_CHECKING:
    from hippodrome.client.client import Client
    from hippodrome.client.views.sync_imports import SyncImports


@brief_methods()
@methods_take_options
class DirectView(View[Flags]):
    """Calls functions on engines that the user names; a dict of their variables.

    A view of one engine id returns results; one of a list, or of ``"all"``, lists in that order.

    Args:
        client: whose engines.
        targets: ``"all"`` that there are at each call, an engine id, or a list of them.
        **flags: ``block``, ``label``, ``track``: as for `set_flags`.

    >>> view["a"] = 7
    >>> view["a"]
    [7, 7]
    >>> view.apply_sync(lambda x: a + x, 1)
    [8, 8]
    """

    def __init__(self, client: Client, targets: Any = "all", **flags: Unpack[FlagValues]) -> None:
        super().__init__(client, Flags())
        self.set_flags(targets=targets, **flags)

    def __len__(self) -> int:
        targets = self.targets
        if targets == "all":
            return len(self.client)
        return 1 if isinstance(targets, int) else len(targets)

    def _checked(self, changes: dict[str, Any]) -> dict[str, Any]:
        if "targets" not in changes:
            return changes
        return changes | {"targets": self.client._checked_targets(changes["targets"])}

    def _ipython_key_completions_(self) -> list[str]:
        return variables(self)

    # ---- calls

    def imap(
        self, f: Callable[..., R], /, *sequences: Iterable[Any], **options: Unpack[MapValues]
    ) -> Iterator[R]:
        """Call `map` and iterate over the results as they arrive.

        >>> list(view.imap(pow, [2, 3], [5, 2]))
        [32, 9]
        """
        return own_items(self.map_async(f, *sequences, **options))

    def _submit(
        self,
        flags: Flags,
        f: Function,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        calls: OwnCalls | None = None,
    ) -> AsyncResult:
        function = self.client._submissions.pickle(f)
        return self._call(flags, function, dumps_call(args, kwargs), calls)

    def _call(
        self,
        flags: Flags,
        function: PickledFunction,
        call: Pickled,
        calls: OwnCalls | None = None,
    ) -> AsyncResult:
        """Submit one call for all targets."""
        client = self.client
        targets = client._engines_of(flags.targets)
        ids = client._submissions.new_ids(len(targets))
        result = AsyncResult(client, ids, function.name, single=isinstance(flags.targets, int))
        return self._post(flags, function, [(call, targets)], result, calls)

    def _post(
        self,
        flags: Flags,
        function: PickledFunction,
        calls: Sequence[tuple[Pickled, Sequence[EngineId]]],
        result: A,
        own: OwnCalls | None,
    ) -> A:
        """Submit each of *calls* to the engines that go with it."""
        out = self.client._submissions
        out.to_named(result, function, calls, flags.label, self._books, own)
        return result

    def _submit_map(
        self,
        flags: Flags,
        f: Function,
        sequences: tuple[Any, ...],
        options: MapOptions,
        own: OwnCalls | None = None,
    ) -> AsyncMapResult:
        """Submit one task for each engine, with its part of the sequences.

        Nothing is read of them if there are no engines.
        """
        options.check_one_part()
        flags = options.labelled(flags)
        check_sequences(sequences)
        check_callable(f)
        engines = self.client._engines_of(flags.targets)
        cut = aligned(sequences)
        targets = engines[: len(cut[0])]
        n = len(targets)
        calls = [tuple(part(sequence, i, n) for sequence in cut) for i in range(n)]
        pickled = [dumps_call(apart(args), {}) for args in calls]
        result = AsyncMapResult(
            self.client,
            self.client._submissions.new_ids(n),
            function_name(f),
            sizes=[len(args[0]) for args in calls],
            ordered=options.ordered,
            return_exceptions=options.return_exceptions,
        )
        function = self.client._submissions.pickle(Chunk(f, options.return_exceptions))
        return self._post(flags, function, each(pickled, targets), result, own)

    def _post_all(
        self,
        flags: Flags,
        f: Function,
        calls: list[tuple[Any, ...]],
        result: AsyncMapResult,
        own: OwnCalls | None,
    ) -> AsyncMapResult:
        function, pickled = self.client._submissions.pickle(f), [dumps_call(a, {}) for a in calls]
        targets = cycle(self.client._engines_of(flags.targets))
        return self._post(flags, function, each(pickled, targets), result, own)

    def activate(self, suffix: str = "") -> None:
        """Let ``%px``, ``%%px``, ``%pxresult``, ``%pxconfig`` and ``%autopx`` use this view.

        Args:
            suffix: ends the names of the magics, as in ``%px_even``.

        Warns:
            RuntimeWarning: this process is no IPython.
        """
        from hippodrome.client.integrations import activate

        activate(self, suffix)

    def use_dill(self) -> Any:
        """Call `use_dill` here and on the engines.

        >>> view.use_dill().get()
        [None, None]
        """
        return self._use(use_dill)

    def use_cloudpickle(self) -> Any:
        """Call `use_cloudpickle` here and on the engines.

        >>> view.use_cloudpickle().get()
        [None, None]
        """
        return self._use(use_cloudpickle)

    def use_pickle(self) -> Any:
        """Call `use_pickle` here and on the engines.

        >>> view.use_pickle().get()
        [None, None]
        """
        return self._use(use_pickle)

    def _use(self, use: Callable[[], None]) -> Any:
        use()
        return self.apply(use)

    def execute(
        self,
        code: str,
        silent: bool = True,
        targets: Any = None,
        block: bool | None = None,
        label: str | None = None,
    ) -> AsyncResult:
        """Run source text in the engines' namespaces.

        Args:
            code: a cell as in IPython, with magics, ``!``, ``?`` and top-level ``await``.
            silent: whether the value of a last expression is not shown.
            targets: other targets than the view's.
            block: whether to wait until it has run; None is the view's `block`.
            label: a name for the tasks.

        Returns:
            The `AsyncResult` of an `ExecuteReply` for each engine, also when blocking.

        Raises:
            RemoteError: the code raised, and *block* is true.
            TypeError: *code* is no str.

        >>> view.execute("import math; a = math.sqrt(16)", block=True)
        <AsyncResult(execute): finished>
        >>> view["a"]
        [4.0, 4.0]
        """
        if not isinstance(code, str):
            raise TypeError(f"execute needs source text, a str, not {type(code).__name__}")
        flags = self._for_call(targets, block, label)
        waits = self._blocks(flags)
        with OwnCalls(self.client, waits) as calls:
            result = self._named(flags, "execute", code, silent, *cell_number(), calls=calls)
            result._about.execute_input = code
            if waits:
                result.get()
        return result

    def run(
        self,
        filename: str | Path,
        targets: Any = None,
        block: bool | None = None,
        label: str | None = None,
    ) -> AsyncResult:
        """Run a local file in the engines' namespaces; see `execute`.

        Raises:
            OSError: the file cannot be read.

        >>> from pathlib import Path
        >>> n = Path("prepare.py").write_text("a = 7")
        >>> view.run("prepare.py", block=True)
        <AsyncResult(execute): finished>
        >>> view["a"]
        [7, 7]
        """
        code = Path(filename).read_text(encoding="utf-8") + "\n"
        return self.execute(code, True, targets, block, label)

    def sync_imports(self, local: bool = True, quiet: bool = False) -> SyncImports:
        """Return a context manager: what is imported in its block is imported on engines too.

        There it is bound to the same names in the user's namespace. Only ``import`` statements of
        the block itself count, in any of their forms.

        Args:
            local: must be true: an import that is made nowhere but on the engines is a matter
                for `execute`.
            quiet: whether nothing is printed.

        Returns:
            A context manager, which waits for the engines in the end, and raises what they raise.

        Raises:
            NotImplementedError: *local* is false.

        >>> with view.sync_imports():
        ...     import math
        importing math on engine(s)
        >>> view.apply_sync(lambda x: math.sqrt(x), 16)
        [4.0, 4.0]
        """
        if not local:
            raise NotImplementedError(
                "sync_imports imports here too; for the engines alone use execute('import ...')"
            )
        from hippodrome.client.views.sync_imports import SyncImports

        return SyncImports(self, quiet)

    @property
    def importer(self) -> SyncImports:
        """`sync_imports` with its defaults.

        >>> with view.importer:
        ...     import math
        importing math on engine(s)
        """
        return self.sync_imports()

    # ---- variables

    def push(
        self,
        ns: Mapping[str, Any],
        targets: Any = None,
        block: bool | None = None,
        track: bool | None = None,
    ) -> Any:
        """Assign variables on the engines.

        Args:
            ns: values by name.
            targets: other targets than the view's.
            block: whether to wait until it is done; None is the view's `block`.
            track: accepted; see `AsyncResult.sent`.

        Raises:
            TypeError: *ns* is no dict, or a name in it is no str.

        >>> ar = view.push({"a": 7, "b": 8})
        >>> view["b"]
        [8, 8]
        """
        if not isinstance(ns, Mapping):
            raise TypeError(f"push needs a dict of variables, not {type(ns).__name__}")
        check_names(ns)
        return self._act(self._for_call(targets, block), "push", dict(ns))

    def pull(
        self, names: str | Iterable[str], targets: Any = None, block: bool | None = None
    ) -> Any:
        """Return variables of the engines.

        Args:
            names: one name, or several.
            targets: other targets than the view's.
            block: whether to wait for the values; None is the view's `block`.

        Raises:
            RemoteError: there is no such variable.
            TypeError: *names* are no names.

        >>> view["a"] = 7
        >>> view["b"] = 8
        >>> view.pull(["a", "b"], block=True)
        [[7, 8], [7, 8]]
        """
        if not isinstance(names, str):
            if not isinstance(names, Iterable):
                raise TypeError(f"pull needs a name, not {names!r} (engines: rc[0], not view[0])")
            names = list(names)
            check_names(names)
        return self._act(self._for_call(targets, block), "pull", names)

    def get(self, key_s: str | Iterable[str]) -> Any:
        """Return variables of the engines, and wait for them.

        >>> view["a"] = 7
        >>> view.get("a")
        [7, 7]
        """
        return self.pull(key_s, block=True)

    def update(self, ns: Mapping[str, Any]) -> Any:
        """Assign variables on the engines; see `push`.

        >>> view.update({"a": 7}).wait()
        True
        """
        return self.push(ns)

    def __getitem__(self, key: str) -> Any:
        return self.get(key)

    def __setitem__(self, key: str, value: Any) -> None:
        self.push({key: value}, block=True)

    def clear(self, targets: Any = None, block: bool | None = None) -> Any:
        """Forget all variables of the engines; return None if blocking.

        >>> view["a"] = 7
        >>> view.clear(block=True)
        >>> view.apply_sync(lambda: "a" in globals())
        [False, False]
        """
        flags = self._for_call(targets, block)
        result = self._act(flags, "clear")
        return None if self._blocks(flags) else result

    def scatter(
        self,
        key: str,
        seq: Any,
        dist: str = BLOCK,
        flatten: bool = False,
        targets: Any = None,
        block: bool | None = None,
        track: bool | None = None,
    ) -> Any:
        """Cut a sequence into parts, and assign one to a variable on each engine.

        Args:
            key: the variable.
            seq: what to cut; without a length it is read to its end.
            dist: ``"b"`` for contiguous parts, ``"r"`` for every n-th element.
            flatten: whether a part of one element is that element.
            targets: other targets than the view's.
            block: whether to wait until it is done; None is the view's `block`.
            track: accepted; see `AsyncResult.sent`.

        Returns:
            An `AsyncResult`, if not blocking.

        Raises:
            TypeError: *key* is no str.
            ValueError: there is no such *dist*.
            NoEnginesRegistered: there are no engines.

        >>> view.scatter("part", range(6), block=True)
        >>> view.apply_sync(lambda: list(part))
        [[0, 1, 2], [3, 4, 5]]
        """
        check_dist(dist)
        check_names([key])
        flags, sequence = self._for_call(targets, block), as_sequence(seq)
        engines = self.client._engines_of(flags.targets)
        parts = [part(sequence, i, len(engines), dist) for i in range(len(engines))]
        if flatten:
            parts = [piece[0] if len(piece) == 1 else piece for piece in parts]
        pickled = [dumps_call(({key: piece},), {}) for piece in parts]
        ids = self.client._submissions.new_ids(len(engines))
        result = AsyncResult(self.client, ids, "scatter", single=False)
        waits = self._blocks(flags)
        with OwnCalls(self.client, waits) as calls:
            self._post(flags, engine_function("push"), each(pickled, engines), result, calls)
            if not waits:
                return result
            result.get()
            return None

    def gather(
        self, key: str, dist: str = BLOCK, targets: Any = None, block: bool | None = None
    ) -> Any:
        """Put the parts of a sequence together again that `scatter` cut.

        Returns:
            A list, or an array if the parts are arrays; an `AsyncMapResult` of it if not blocking.

        Raises:
            TypeError: *key* is no str.
            RemoteError: an engine has no such variable.
            ValueError: there is no such *dist*.

        >>> view.scatter("part", range(6), block=True)
        >>> view.execute("squares = [x * x for x in part]", block=True)
        <AsyncResult(execute): finished>
        >>> view.gather("squares", block=True)
        [0, 1, 4, 9, 16, 25]
        """
        check_dist(dist)
        check_names([key])
        flags = self._for_call(targets, block)
        engines = self.client._engines_of(flags.targets)
        ids = self.client._submissions.new_ids(len(engines))
        result = AsyncGatherResult(self.client, ids, "gather", dist=dist)
        call = dumps_call((key,), {})
        waits = self._blocks(flags)
        with OwnCalls(self.client, waits) as calls:
            self._post(flags, engine_function("pull"), [(call, engines)], result, calls)
            return result.get() if waits else result

    def _for_call(self, targets: Any, block: bool | None, label: str | None = None) -> Flags:
        """Return the flags in force, with what was given for one call."""
        given = {"targets": targets, "block": block, "label": label}
        return self._with({name: value for name, value in given.items() if value is not None})

    def _named(
        self, flags: Flags, name: str, *args: Any, calls: OwnCalls | None = None
    ) -> AsyncResult:
        """Call one of the functions that every engine has."""
        return self._call(flags, engine_function(name), dumps_call(args, {}), calls)

    def _act(self, flags: Flags, name: str, *args: Any) -> Any:
        waits = self._blocks(flags)
        with OwnCalls(self.client, waits) as calls:
            result = self._named(flags, name, *args, calls=calls)
            return result.get() if waits else result
