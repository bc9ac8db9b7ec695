"""What an engine says to frontends, and which cells it does not run."""

from __future__ import annotations

import json
from typing import Any

from hippodrome.engine.kernel.messages import (
    Aborting,
    Outgoing,
    Request,
    StreamText,
    as_json,
    joined,
    reply,
    status,
)


def request(number: int, session: str = "one", **content: Any) -> Request:
    header = {"msg_type": "execute_request", "session": session}
    return Request("shell", [b"route"], header, content, number)


def shown(messages: list[Outgoing]) -> list[tuple[str, Any]]:
    return [(message.kind, json.loads(message.content)) for message in messages]


def test_text_that_belongs_together_is_joined_and_nothing_changes_places() -> None:
    one, two = request(1), request(2)
    busy, idle, again = (status(one, state) for state in ("busy", "idle", "idle"))
    texts = [
        StreamText("stdout", "a", one),
        StreamText("stdout", "b", one),
        StreamText("stderr", "c", one),
    ]
    found = list(joined([busy, *texts, StreamText("stderr", "d", two), idle, again]))
    assert shown(found) == [
        ("status", {"execution_state": "busy"}),
        ("stream", {"name": "stdout", "text": "ab"}),
        ("stream", {"name": "stderr", "text": "c"}),
        ("stream", {"name": "stderr", "text": "d"}),
        ("status", {"execution_state": "idle"}),
        ("status", {"execution_state": "idle"}),
    ]
    assert [message.request for message in found[1:4]] == [one, one, two]


def test_a_reply_goes_back_the_way_its_request_came() -> None:
    one = request(1)
    assert reply(one, b"{}").kind == "execute_reply"
    assert reply(one, b"{}").socket == "shell"


def test_what_json_does_not_know_is_text() -> None:
    assert json.loads(as_json({"a": 1 + 2j})) == {"a": "(1+2j)"}


def test_a_failed_cell_ends_those_that_its_frontend_had_sent() -> None:
    aborting = Aborting()
    aborting.fail(request(1), n_received=4)
    assert aborting.includes(request(2))
    assert not aborting.includes(request(3, "another"))
    assert aborting.includes(request(4))
    assert not aborting.includes(request(5))


def test_a_failed_cell_ends_no_others_if_its_frontend_says_so() -> None:
    aborting = Aborting()
    aborting.fail(request(1, stop_on_error=False), n_received=4)
    assert not aborting.includes(request(2))
