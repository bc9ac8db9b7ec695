"""Shows what tasks show: while they run, and afterwards.

Lines begin with where they come from: ``[stdout:3]`` is engine 3. What comes faster than a person
or a browser could take it is left out, and a note says how much; results have it.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import zip_longest
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Final  # Any: displayed data

from hippodrome.client.results.outputs import content_of, displays_of, outputs_of, rests, value_of
from hippodrome.display import show, shows_more_than_text, write
from hippodrome.protocol.allowance import Allowance
from hippodrome.protocol.messages import Display, Piece, Result

if TYPE_CHECKING:
    from hippodrome.client.results.slots import TaskSlots

RATE: Final = 1 << 18  # characters per second
BURST: Final = 1 << 20
DISPLAY_RATE: Final = 1 << 21  # bytes per second
DISPLAY_BURST: Final = 1 << 24
DISPLAY_COST: Final = 1 << 14  # of each display besides its content; a browser draws it
UPDATE_COST: Final = 1 << 12  # of one that replaces another
QUEUE: Final = 1 << 23  # characters and bytes that wait to be shown
ABANDON_S: Final = 0.05
QUIET_S: Final = 1.0  # after something was left out
GROUPINGS: Final = ("type", "engine", "order")
UNITS: Final = {"stdout": "characters", "stderr": "characters", "display": "displays"}


class Printer:
    """Writes text of many sources to two streams, line by line with their prefixes.

    Args:
        is_named: whether there are prefixes.
    """

    def __init__(self, is_named: bool = True) -> None:
        self._is_named = is_named
        self._source: tuple[str, object] | None = None
        self._is_open = False  # the last line has not ended

    def write(self, stream: str, engine: object, text: str) -> None:
        """Write *text* of a stream of an engine."""
        if not text:
            return
        out = sys.stderr if stream == "stderr" else sys.stdout
        goes_on = self._is_open and self._source == (stream, engine)
        if self._is_open and not goes_on:
            self.end_line()
        prefix = f"[{stream}:{engine}] " if self._is_named else ""
        lines = text.splitlines(keepends=True)
        first = "" if goes_on else prefix
        write(out, first + prefix.join(lines))
        self._source = (stream, engine)
        self._is_open = not text.endswith("\n")

    def end_line(self) -> None:
        """End the line that was begun, if there is one."""
        if self._is_open and self._source is not None:
            write(sys.stderr if self._source[0] == "stderr" else sys.stdout, "\n")
            self._is_open = False

    def show(self, engine: object, display: Display) -> None:
        """Show something other than text."""
        content = content_of(display)
        if display.kind == "clear_output":
            return  # other engines show things in the same place
        self.end_line()
        show_content(content, engine)


def show_content(content: dict[str, Any], engine: object, is_named: bool = True) -> None:
    """Show one display of an engine, after a line that says whose it is if *is_named*."""
    data = content["data"]
    kind, text = content["output_type"], str(data.get("text/plain", ""))
    if kind == "execute_result":
        label = f"Out[{engine}:{content.get('execution_count')}]:"
        if set(data) > {"text/plain"} and shows_more_than_text():
            write(sys.stdout, f"{label}\n")  # for those who see the picture and not the text
        else:
            separator = "\n" if "\n" in text else " "
            data = {**data, "text/plain": f"{label}{separator}{text}"}
        show(data, content.get("metadata"))
        return
    update = kind == "update_display_data"
    if is_named and not update:
        write(sys.stdout, f"[output:{engine}]\n")
    transient = dict(content.get("transient", {}))
    if "display_id" in transient:  # engines run the same code, and so use the same ids
        transient["display_id"] = f"{transient['display_id']}-{engine}"
    metadata = {**content.get("metadata", {}), "engine": engine}  # which programs can pick by
    show(data, metadata, transient, update)


class OutputStream:
    """Shows what tasks show, from `__enter__` to `__exit__`.

    Args:
        tasks: of a result.
        on_error: shows the error of a task; by default none are shown.
        shows_values: whether values of last expressions are shown.
    """

    def __init__(
        self,
        tasks: TaskSlots,
        on_error: Callable[[int, Result], None] | None = None,
        shows_values: bool = True,
    ) -> None:
        self._tasks = tasks
        self._on_error = on_error
        self._shows_values = shows_values
        self._queue: SimpleQueue[tuple[int, Piece | None]] = SimpleQueue()
        self._n_put = 0  # by the I/O thread alone, as the next by the viewer's: no update is lost
        self._n_taken = 0
        self._printer = Printer()
        self._seen: dict[tuple[int, int], dict[str, int]] = {}
        self._left_out: dict[tuple[int, str], int] = {}
        self._ended: set[int] = set()
        now = time.monotonic()
        self._room = Allowance(RATE, BURST, now)
        self._display_room = Allowance(DISPLAY_RATE, DISPLAY_BURST, now)
        self._quiet_until = 0.0
        self._is_closing = False
        self._is_abandoned = False
        self._thread = threading.Thread(target=self._run, name="hippodrome-view", daemon=True)

    def __enter__(self) -> OutputStream:
        self.listen()
        self.begin()
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if error is not None and not isinstance(error, Exception):
            self.abandon()  # the user does not want to see any more
        else:
            self.finish()

    def listen(self) -> None:
        """Take what tasks show from now on, to show it later."""
        self._tasks.add_viewer(self)

    def begin(self) -> None:
        """Show what has come and what comes."""
        self._thread.start()

    @property
    def has_begun(self) -> bool:
        """Whether anything may have been shown."""
        return self._thread.ident is not None

    def finish(self) -> None:
        """Show all that has come until now, and end."""
        self._tasks.remove_viewer(self)
        self._queue.put((-1, None))
        self._thread.join()

    def abandon(self) -> None:
        """Show nothing any more, and do not wait for a slow display."""
        self._is_abandoned = True
        self._tasks.remove_viewer(self)
        self._queue.put((-1, None))
        if self.has_begun:
            self._thread.join(ABANDON_S)

    # ---- on the client's I/O thread

    def put(self, index: int, piece: Piece) -> None:
        """A task shows something."""
        if self._n_put - self._n_taken < QUEUE:  # else it is behind; places tell what is missing
            self._n_put += _size(piece)
            self._queue.put((index, piece))

    def end(self, index: int) -> None:
        """A task has ended."""
        self._queue.put((index, None))

    # ---- on the viewer's own thread

    def _run(self) -> None:
        while not self._is_closing:
            index, piece = self._queue.get()
            if self._is_abandoned:
                return
            if piece is not None:
                self._n_taken += _size(piece)
                self._show(index, piece)
            elif index >= 0:
                self._finish(index)
            else:
                self._is_closing = True
        for index in range(len(self._tasks.slots)):
            self._finish(index)
        self._printer.end_line()

    def _finish(self, index: int) -> None:
        """Show what is left of a task that has ended, once."""
        result = self._tasks.result_of(index)
        if result is None or index in self._ended:
            return
        self._ended.add(index)
        for piece in rests(result, self._seen.get((index, result.attempt), {})):
            self._show(index, piece, is_rest=True)
        for stream in UNITS:
            self._tell_left_out(index, stream)
        if result.status != "ok" and self._on_error is not None:
            self._printer.end_line()
            self._on_error(index, result)

    def _show(self, index: int, piece: Piece, is_rest: bool = False) -> None:
        """Show a piece, as far as there is room; of displays only the last versions are a rest."""
        seen = self._seen.setdefault((index, piece.attempt), {})
        place, end = (index, piece.stream), seen.get(piece.stream, 0)
        n = 1 if piece.display is not None else len(piece.text)
        seen[piece.stream] = piece.at + n
        if not (piece.display is not None and is_rest):
            self._left_out[place] = self._left_out.get(place, 0) + piece.at - end
        if piece.display is not None:
            n_shown = self._show_display(index, piece.display)
        else:
            n_shown = self._show_text(index, piece)
        self._left_out[place] = self._left_out.get(place, 0) + n - n_shown

    def _show_text(self, index: int, piece: Piece) -> int:
        """Show as much as there is room for; return how many characters."""
        n = self._take_room(len(piece.text))
        if n:
            self._tell_left_out(index, piece.stream)
            self._printer.write(piece.stream, self._tasks.engine_of(index), piece.text[:n])
        return n

    def _show_display(self, index: int, display: Display) -> int:
        """Show it if there is room; return how many displays have been dealt with."""
        if display.kind == "execute_result" and not self._shows_values:
            return 1
        cost = UPDATE_COST if display.kind == "update_display_data" else DISPLAY_COST
        cost += len(display.content)
        if self._display_room.left(time.monotonic()) < min(cost, DISPLAY_BURST):
            return 0
        self._display_room.take(cost)
        self._tell_left_out(index, "display")
        self._printer.show(self._tasks.engine_of(index), display)
        return 1

    def _tell_left_out(self, index: int, stream: str) -> None:
        n = self._left_out.pop((index, stream), 0)
        if n:
            self._printer.end_line()
            note = f"({n} {UNITS[stream]} are not shown)\n"
            name = "output" if stream == "display" else stream
            self._printer.write(name, self._tasks.engine_of(index), note)

    def _take_room(self, n: int) -> int:
        """Return how many of *n* characters may be shown now."""
        now = time.monotonic()
        if now < self._quiet_until:
            return 0
        taken = min(n, int(self._room.left(now)))
        self._room.take(taken)
        if taken < n:
            self._quiet_until = now + QUIET_S
        return taken


def _size(piece: Piece) -> int:
    return len(piece.text) if piece.display is None else len(piece.display.content) + UPDATE_COST


def display_outputs(
    tasks: TaskSlots, groupby: str, result_only: bool, is_named: bool = True
) -> None:
    """Show what tasks have shown; see `AsyncResult.display_outputs`.

    Args:
        tasks: of a result.
        groupby: the order.
        result_only: only the values of last expressions.
        is_named: whether texts and displays say which engine they are from; values do.

    Raises:
        ValueError: there is no such grouping.
    """
    if groupby not in GROUPINGS:
        raise ValueError(f"group by one of {', '.join(GROUPINGS)}, not {groupby!r}")
    named = [(tasks.engine_of(i), slot.result) for i, slot in enumerate(tasks.slots) if slot]
    if result_only:
        for engine, one in named:
            _show_all([value_of(one)], engine)
    elif groupby == "engine":
        for engine, one in named:
            _show_texts([(engine, one)], is_named)
            _show_all(displays_of(one), engine, is_named)
    elif groupby == "order":
        _show_texts(named, is_named)
        _show_in_turn(named, is_named)
    else:
        _show_texts(named, is_named)
        for engine, one in named:
            _show_all(outputs_of(one), engine, is_named)
        for engine, one in named:
            _show_all([value_of(one)], engine)


def _show_in_turn(named: Sequence[tuple[object, Result]], is_named: bool) -> None:
    for nth in zip_longest(*(displays_of(one) for _, one in named)):
        for (engine, _), display in zip(named, nth, strict=True):
            _show_all([display], engine, is_named)


def _show_texts(named: Iterable[tuple[object, Result]], is_named: bool) -> None:
    printer, tasks = Printer(is_named), list(named)
    for stream in ("stdout", "stderr"):
        for engine, one in tasks:
            printer.write(stream, engine, one.stdout if stream == "stdout" else one.stderr)
            printer.end_line()


def _show_all(
    contents: Iterable[dict[str, Any] | None], engine: object, is_named: bool = True
) -> None:
    for content in contents:
        if content is not None:
            show_content(content, engine, is_named)
