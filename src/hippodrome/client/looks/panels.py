"""Notebooks show a client, a view or a result by these panels.

Only what is known here: nothing is asked of the hub, nothing is waited for, and no result is
decoded, which might run a user's code.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
from hippodrome.client.looks.words import digits, ranges, seconds, shortened, some, what_was_printed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from hippodrome.client.results.description import Description
    from hippodrome.client.results.owner import Connection, Owner
    from hippodrome.client.results.slot import Slot

    Slots = Sequence[Slot | None]

Facts = list[tuple[str, str]]

_MOST_HOSTS: Final = 4
_CONNECTIONS: Final = {"connected": OK, "controller lost": ERROR}
_CALLS: Final = {True: "wait for results", False: "return an AsyncResult"}
_TONES: Final = {"finished": OK, "failed": ERROR, "cancelled": ABORTED}


# ---- results


@dataclass(frozen=True, slots=True)
class CallLooks:
    """What there is to be seen of a result."""

    kind: str  # the name of its class
    about: Description
    state: str  # in a word; "pending" while it has not ended
    slots: Slots
    flaws: Callable[[Slot], bool] | None
    n_items: int  # as many as tasks, if these are the same
    n_items_done: int
    elapsed_s: float  # that it took or has taken so far


def of_result(call: CallLooks) -> str:
    """Return HTML for an `AsyncResult` of any kind."""
    work = _work_of(call)
    counts = counts_of(work)
    panel = Panel(
        call.kind,
        call.about.fname,
        call.state,
        _TONES.get(call.state, PENDING),
        [
            *_items(call),
            *_times(work, call.elapsed_s, call.state != "pending"),
            *_prints(call.slots),
            *_label(call.about.label),
        ],
        Progress(counts[OK], counts[ERROR], counts[ABORTED], len(call.slots)),
        _first_failure(call.slots, call.flaws) if counts[ERROR] else "",
        fold(work, call.elapsed_s),
    )
    return render(panel)


def timeline_of(call: CallLooks) -> Timeline:
    """Return what is known now of who ran which task when."""
    return fold(_work_of(call), call.elapsed_s)


def draw(call: CallLooks) -> Figure:
    """Draw that; see `AsyncResult.timeline`."""
    try:
        from hippodrome.client.looks import figure
    except ImportError as error:
        raise ImportError(
            f"timeline() draws with matplotlib, which cannot be imported ({error}): "
            "pip install matplotlib"
        ) from error
    return figure.draw(timeline_of(call), shortened(call.about.name, 80))


def _work_of(call: CallLooks) -> Work:
    """Return what the engines did."""
    work = work_of(call.slots, call.about.submitted, call.flaws)
    if call.about.targets is not None and call.state == "pending":
        add_waiting(work, call.slots, call.about.targets, call.elapsed_s)
    return work


def _items(call: CallLooks) -> Facts:
    """Return how many items there are, where these are not the tasks themselves."""
    if call.n_items == len(call.slots):
        return []
    return [("items done", f"{call.n_items_done:,} of {call.n_items:,}")]


def _times(work: Work, elapsed_s: float, is_done: bool) -> Facts:
    serial_s = sum(track.ran_s for (_, kind), track in work.items() if kind != PENDING)
    facts = [("wall time" if is_done else "elapsed", seconds(elapsed_s))]
    if serial_s <= 0 or elapsed_s <= 0:
        return facts
    speed_up = f"{digits(serial_s / elapsed_s)}\N{MULTIPLICATION SIGN}"
    return [*facts, ("serial time", seconds(serial_s)), ("speed-up", speed_up)]


def _first_failure(slots: Slots, is_flawed: Callable[[Slot], bool] | None) -> str:
    for number, slot in enumerate(slots):
        if slot is None or slot.result.status == ABORTED:
            continue
        if slot.result.status != OK or (is_flawed is not None and is_flawed(slot)):
            where = "" if slot.result.engine is None else f" on engine {slot.result.engine}"
            failure = slot.result.failure
            how = "some of its calls raised" if slot.result.status == OK else slot.result.status
            why = how if failure is None else f"{failure.ename}: {failure.evalue}"
            return f"task {number}{where}: {why}"
    return ""


def _prints(slots: Slots) -> Facts:
    """Return how many tasks printed, and where to see it: nobody does unless asked for."""
    said = what_was_printed([slot.result for slot in slots if slot is not None])
    return [("printed", said)] if said else []


def _label(label: str | None) -> Facts:
    return [("label", label)] if label else []


# ---- clients and views


def of_client(client: Owner) -> str:
    """Return HTML for a `Client`."""
    io = client._io
    state, tone, why = _connection(io)
    facts = [("engines", _engines(io)), ("hosts", _hosts(io)), *_work(client)]
    if client.profile:
        facts.append(("profile", str(client.profile)))
    if launched := getattr(getattr(client, "cluster", None), "launched", ""):
        facts.insert(1, ("started", launched))
    if client._cluster_id:
        facts.append(("cluster", client._cluster_id))
    shown = [(name, value) for name, value in facts if value]
    return render(Panel(type(client).__name__, client.session[:8], state, tone, shown, note=why))


def _connection(io: Connection) -> tuple[str, str, str]:
    """Return the state of a connection, its tone, and what went wrong."""
    tone = _CONNECTIONS.get(io.state, PENDING)
    return io.state, tone, str(io.why_lost()) if tone == ERROR else ""


def _engines(io: Connection) -> str:
    engines = io.engines
    return f"{len(engines):,} ({ranges(engines)})" if engines else "none"


def _hosts(io: Connection) -> str:
    hosts = Counter(info.host for info in io.engines.values())
    return some([f"{host} ({n:,})" for host, n in hosts.most_common()], _MOST_HOSTS)


def _work(client: Owner) -> Facts:
    return [
        ("tasks submitted", f"{len(client.history):,}"),
        ("not finished", f"{len(client._io.outstanding):,}"),
    ]


def of_view(view: Any) -> str:  # Any: a View, which is a layer above
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


def _n_present(view: Any) -> int:
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


def _task_flags(view: Any) -> Facts:
    """Return the flags of a load-balanced view that are not as they are by default."""
    values = ((name, getattr(view._flags, name, None)) for name in _FLAGS)
    return [(name, _FLAGS[name](value)) for name, value in values if value]
