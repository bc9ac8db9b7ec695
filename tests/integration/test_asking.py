"""Tasks that ask a person, or stop in a debugger: they hear at once that nobody is there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import hippodrome as ipp


def ask() -> str:
    return input("name? ")


def ask_for_password() -> str:
    import getpass

    return getpass.getpass()


def stop() -> int:
    value = 1
    breakpoint()
    return value


def set_trace() -> int:
    import pdb

    pdb.set_trace()
    return 1


def post_mortem() -> None:
    import pdb

    try:
        raise KeyError("mine")
    except KeyError:
        pdb.post_mortem()


@pytest.mark.parametrize("f", [ask, ask_for_password])
def test_a_task_that_asks_hears_that_nobody_is_there(client: Any, f: Callable[[], Any]) -> None:
    with pytest.raises(EOFError, match="nobody can be asked on an engine") as caught:
        client[0].apply_sync(f)
    assert "pass the answer" in str(caught.value)


@pytest.mark.parametrize("f", [stop, set_trace, post_mortem])
def test_a_debugger_says_what_works_instead(client: Any, f: Callable[[], Any]) -> None:
    result = client[0].apply_async(f)
    with pytest.raises(RuntimeError, match=r"cannot stop in a debugger.*bind_kernel"):
        result.get()
    assert "Pdb" not in result.stdout
    assert client[0].apply_sync(lambda: __import__("sys").gettrace()) is None


@pytest.mark.parametrize(
    "cell",
    ["input()", "breakpoint()", "1/0\n%debug", "%debug"],
)
def test_cells_say_it_too(client: Any, cell: str) -> None:
    if "\n%debug" in cell:
        first, cell = cell.split("\n")
        with pytest.raises(ipp.error.RemoteError, match="ZeroDivisionError"):
            client[0].execute(first, block=True)
    with pytest.raises(ipp.error.RemoteError, match=r"nobody can (be asked|answer) on an engine"):
        client[0].execute(cell, block=True)


@pytest.mark.parametrize("cell", ["%%debug\n1", "%debug 1/0"])
def test_magics_that_debug_a_statement_say_it_and_go_on(client: Any, cell: str) -> None:
    assert "nobody can answer" in client[0].execute(cell, block=True).stdout


def test_an_error_with_pdb_on_is_shown_and_nothing_waits(client: Any) -> None:
    client[0].execute("%pdb on", block=True)
    try:
        result = client[0].execute("1/0")
        with pytest.raises(ipp.error.RemoteError, match="ZeroDivisionError"):
            result.get()
        assert "nobody can answer" in result.stderr
    finally:
        client[0].execute("%pdb off", block=True)


def test_who_brings_a_stream_is_answered(client: Any) -> None:
    def answered() -> list[Any]:
        import io
        import pdb
        import sys

        before, sys.stdin = sys.stdin, io.StringIO("Ada\n")
        try:
            name = input()
        finally:
            sys.stdin = before
        out = io.StringIO()
        value = 1
        pdb.Pdb(stdin=io.StringIO("p value\nc\n"), stdout=out).set_trace()
        value += 1
        return [name, "1" in out.getvalue().split(), value]

    assert client[0].apply_sync(answered) == ["Ada", True, 2]
