"""Each thing with states has one table of moves; ARCHITECTURE.md shows it, and the code asks it."""

from __future__ import annotations

import enum
import re
from itertools import product
from pathlib import Path
from typing import Any, Final, get_args

import pytest

from hippodrome.client.link import core
from hippodrome.client.link.core import ClientCore, State
from hippodrome.hub import registry
from hippodrome.hub.registry import Engine, EngineStatus
from hippodrome.protocol.messages import Digest, EngineId, MsgId, PeerId, Task
from hippodrome.protocol.moves import IllegalMove, Moves, checked, name_of
from hippodrome.scheduler import job
from hippodrome.scheduler.job import DONE, NEW, READY, Assigned, Job, JobState

HUB: Final = Path(registry.__file__).parent
PAGE: Final = (Path(__file__).parents[2] / "ARCHITECTURE.md").read_text()
MACHINES: Final[dict[str, Moves[Any]]] = {
    "job": job.MOVES,
    "client": core.MOVES,
    "engine, in the hub": registry.MOVES,
}


def shown() -> dict[str, list[tuple[str, str]]]:
    """Return the rows of the page's table of moves, for each thing."""
    table = PAGE.partition("| what | is | may become |")[2].partition("\n\n")[0]
    found: dict[str, list[tuple[str, str]]] = {}
    for what, before, after in re.findall(r"^\| (.+?) \| (.+?) \| (.*?) ?\|$", table, re.MULTILINE):
        if not before.startswith("-"):
            found.setdefault(what, []).append((before, after))
    return found


def test_the_page_shows_what_may_become_of_each_state() -> None:
    assert shown() == {
        what: [
            (name_of(before), ", ".join(name_of(state) for state in moves if state in after))
            for before, after in moves.items()
        ]
        for what, moves in MACHINES.items()
    }


@pytest.mark.parametrize("moves", MACHINES.values(), ids=MACHINES)
def test_a_table_has_a_row_for_each_state(moves: Moves[Any]) -> None:
    (kind,) = {type(state) for state in moves}
    states = list(kind) if issubclass(kind, enum.Enum) else get_args(JobState)
    assert list(moves) == list(states)


JOB_STATES: Final = (NEW, READY, Assigned(EngineId(0), 1, 0.0, 0), DONE)


@pytest.mark.parametrize(("before", "after"), list(product(JOB_STATES, JOB_STATES)))
def test_a_job_moves_by_its_table_only(before: JobState, after: JobState) -> None:
    moving = Job.of(PeerId("c"), Task(MsgId("t"), Digest(b"f"), b""), (), 0)
    moving.state = before
    if type(after) in job.MOVES[type(before)]:
        moving.move(after)
        assert moving.state is after
    else:
        with pytest.raises(IllegalMove, match=f"cannot become {name_of(type(after))}"):
            moving.move(after)
        assert moving.state is before


@pytest.mark.parametrize(("before", "after"), list(product(State, State)))
def test_a_client_moves_by_its_table_only(before: State, after: State) -> None:
    client = ClientCore(PeerId("c"), {})
    client.state = before
    if after is before or after in core.MOVES[before]:
        client._move(after)
        assert client.state is after
    else:
        with pytest.raises(IllegalMove, match=f"cannot become {after.value}"):
            client._move(after)
        assert client.state is before


@pytest.mark.parametrize(("before", "after"), list(product(EngineStatus, EngineStatus)))
def test_an_engine_moves_by_its_table_only(before: EngineStatus, after: EngineStatus) -> None:
    moving = Engine(EngineId(0), PeerId("e"), PeerId("n"), "here", 7, before)
    if after is before or after in registry.MOVES[before]:
        moving.become(after)
        assert moving.status is after
    else:
        with pytest.raises(IllegalMove, match=f"cannot become {after.value}"):
            moving.become(after)
        assert moving.status is before


def test_nothing_but_a_move_sets_the_status_of_an_engine() -> None:
    setting = re.compile(r"\w+\.status\b(?:, [\w.]+)* = .*")
    lines = [line for path in HUB.glob("*.py") for line in setting.findall(path.read_text())]
    assert lines == ["self.status = checked(MOVES, self, self.status, status)"]


def test_a_move_is_checked_and_staying_is_none() -> None:
    assert checked(core.MOVES, "it", State.OPEN, State.SILENT) is State.SILENT
    assert checked(core.MOVES, "it", State.OVER, State.OVER) is State.OVER
    with pytest.raises(IllegalMove, match="'it' cannot become open"):
        checked(core.MOVES, "it", State.OVER, State.OPEN)
