"""Notebooks show a client, a view or a result by these panels.

Only what is known here: nothing is asked of the hub, nothing is waited for, and no result is
decoded, which might run a user's code.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from hippodrome.client.looks.html import Panel, Progress, render
from hippodrome.client.looks.timeline import (
    ABORTED,
    ERROR,
    OK,
    PENDING,
    Timeline,
    Work,
    add_waiting,
    counts_of,
    fold,
    work_of,
)
from hippodrome.client.looks.words import digits, ranges, seconds, some, what_was_printed

if TYPE_CHECKING:
    from hippodrome.client.client import Client
    from hippodrome.client.link.io_thread import IOThread
    from hippodrome.client.results.described import DescribedFuture
    from hippodrome.client.results.slots import Slot
    from hippodrome.client.view import View

Facts = list[tuple[str, str]]
Slots = Sequence["Slot | None"]

_MOST_HOSTS: Final = 4
_CONNECTIONS: Final = {"connected": OK, "controller lost": ERROR}
_CALLS: Final = {True: "wait for results", False: "return an AsyncResult"}
_TONES: Final = {"finished": OK, "failed": ERROR, "cancelled": ABORTED}


# ---- results


def of_result(result: DescribedFuture) -> str:
    """Return HTML for an `AsyncResult` of any kind."""
    state = result._progress_word()
    slots = list(result._slots)
    work, elapsed_s = _work_of(result, slots)
    counts = counts_of(work)
    panel = Panel(
        type(result).__name__,
        result._fname,
        state,
        _TONES.get(state, PENDING),
        [
            *_items(result),
            *_times(work, elapsed_s, state != "pending"),
            *_prints(slots),
            *_label(result._label),
        ],
        Progress(counts[OK], counts[ERROR], counts[ABORTED], len(slots)),
        _first_failure(slots, result._flaws) if counts[ERROR] else "",
        fold(work, elapsed_s),
    )
    return render(panel)


def timeline_of(result: DescribedFuture) -> Timeline:
    """Return what is known now of who ran which task when."""
    return fold(*_work_of(result, list(result._slots)))


def _work_of(result: DescribedFuture, slots: Slots) -> tuple[Work, float]:
    """Return what the engines did, and how many seconds that took or has taken so far."""
    is_done, submitted, elapsed_s = result.done(), result._submitted, result.elapsed
    work = work_of(slots, submitted, result._flaws)
    if result._targets is not None and not is_done:
        add_waiting(work, slots, result._targets, elapsed_s)
    return work, elapsed_s


def _items(result: DescribedFuture) -> Facts:
    """Return how many items there are, where these are not the tasks themselves."""
    n: int = len(result)
    if n == len(result._slots):
        return []
    return [("items done", f"{result.progress:,} of {n:,}")]


def _times(work: Work, elapsed_s: float, is_done: bool) -> Facts:
    serial_s = sum(track.ran_s for (_, kind), track in work.items() if kind != PENDING)
    facts = [("wall time" if is_done else "elapsed", seconds(elapsed_s))]
    if serial_s <= 0 or elapsed_s <= 0:
        return facts
    speed_up = f"{digits(serial_s / elapsed_s)}\N{MULTIPLICATION SIGN}"
    return [*facts, ("serial time", seconds(serial_s)), ("speed-up", speed_up)]


def _first_failure(slots: Slots, is_flawed: Callable[[Slot], bool] | None) -> str:
    for number, slot in enumerate(slots):
        if slot is None or slot[0].status == ABORTED:
            continue
        if slot[0].status != OK or (is_flawed is not None and is_flawed(slot)):
            where = "" if slot[0].engine is None else f" on engine {slot[0].engine}"
            failure = slot[0].failure
            how = "some of its calls raised" if slot[0].status == OK else slot[0].status
            why = how if failure is None else f"{failure.ename}: {failure.evalue}"
            return f"task {number}{where}: {why}"
    return ""


def _prints(slots: Slots) -> Facts:
    """Return how many tasks printed, and where to see it: nobody does unless asked for."""
    said = what_was_printed([slot[0] for slot in slots if slot is not None])
    return [("printed", said)] if said else []


def _label(label: str | None) -> Facts:
    return [("label", label)] if label else []


# ---- clients and views


def of_client(client: Client) -> str:
    """Return HTML for a `Client`."""
    io = client._io
    state, tone, why = _connection(io)
    facts = [("engines", _engines(io)), ("hosts", _hosts(io)), *_work(client)]
    if client.profile:
        facts.append(("profile", str(client.profile)))
    if client._cluster_id:
        facts.append(("cluster", client._cluster_id))
    shown = [(name, value) for name, value in facts if value]
    return render(Panel(type(client).__name__, client.session[:8], state, tone, shown, note=why))


def _connection(io: IOThread) -> tuple[str, str, str]:
    """Return the state of a connection, its tone, and what went wrong."""
    tone = _CONNECTIONS.get(io.state, PENDING)
    return io.state, tone, str(io.why_lost()) if tone == ERROR else ""


def _engines(io: IOThread) -> str:
    engines = io.engines
    return f"{len(engines):,} ({ranges(engines)})" if engines else "none"


def _hosts(io: IOThread) -> str:
    hosts = Counter(info.host for info in io.engines.values())
    return some([f"{host} ({n:,})" for host, n in hosts.most_common()], _MOST_HOSTS)


def _work(client: Client) -> Facts:
    return [
        ("tasks submitted", f"{len(client.history):,}"),
        ("not finished", f"{len(client._io.outstanding):,}"),
    ]


def of_view(view: View[Any]) -> str:
    """Return HTML for a view of any kind."""
    state, tone, why = _connection(view.client._io)
    facts = [
        ("targets", _targets(view.targets)),
        ("engines", f"{_n_present(view):,}"),
        ("calls", _CALLS[bool(view.block)]),
        ("tasks submitted", f"{len(view.history):,}"),
        *_label(view.label),
        *_task_flags(view),
    ]
    return render(Panel(type(view).__name__, "", state, tone, facts, note=why))


def _targets(targets: Any) -> str:
    """Return the targets of a view, as it keeps them: None, ``"all"``, an id or a list."""
    if targets is None:
        return "any"
    if isinstance(targets, str | int):
        return str(targets)
    return ranges(targets) or "none"


def _n_present(view: View[Any]) -> int:
    """Return how many of a view's targets there are now."""
    engines, targets = view.client._io.engines, view.targets
    if targets is None or targets == "all":
        return len(engines)
    return len(engines.keys() & ({targets} if isinstance(targets, int) else set(targets)))


_FLAGS: Final[dict[str, Callable[[Any], str]]] = {
    "retries": "{:,}".format,
    "timeout": lambda value: seconds(float(value)),
    "after": lambda value: "some tasks",
    "follow": lambda value: "some tasks",
}


def _task_flags(view: View[Any]) -> Facts:
    """Return the flags of a load-balanced view that are not as they are by default."""
    values = ((name, getattr(view._flags, name, None)) for name in _FLAGS)
    return [(name, _FLAGS[name](value)) for name, value in values if value]
