"""Jupyter frontends beside tasks, and beside each other."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hippodrome as ipp
from support.frontends import TIMEOUT_S, WAIT, Cell, attaching, run, value_of
from support.leaks import wait_until


def interrupt(frontend: Any) -> None:
    frontend.control_channel.send(frontend.session.msg("interrupt_request"))
    assert frontend.get_control_msg(timeout=TIMEOUT_S)["content"]["status"] == "ok"


def test_an_interrupt_ends_a_cell_and_what_its_frontend_sent_after_it(
    client: Any, frontend: Any
) -> None:
    cell, behind = Cell(frontend, WAIT), Cell(frontend, "ran = True")
    cell.wait_for_text("waiting")
    task = client[0].apply_async(len, "task")
    frontend.control_channel.send(frontend.session.msg("interrupt_request"))
    content: dict[str, Any] = {}
    while content.get("ename") != "KeyboardInterrupt":
        message = frontend.get_iopub_msg(timeout=TIMEOUT_S)
        content = message["content"]
    assert frontend.get_shell_msg(timeout=TIMEOUT_S)["content"]["ename"] == "KeyboardInterrupt"
    reply = frontend.get_shell_msg(timeout=TIMEOUT_S)
    assert reply["parent_header"]["msg_id"] == behind.msg_id
    assert reply["content"] == {"status": "aborted"}
    assert task.get(timeout=TIMEOUT_S) == 4
    assert client[0].apply_sync(lambda: "ran" in globals()) is False


def begin_reading(view: Any, gate: str) -> Any:
    """Submit a task that reads from a pipe, and return it when it has begun."""
    task = view.execute(f"print('from the task'); through = open({gate!r}).read()")
    wait_until(lambda: task.stdout == "from the task\n")
    return task


def test_an_interrupt_strikes_no_task(client: Any, frontend: Any, tmp_path: Path) -> None:
    gate = str(tmp_path / "gate")
    os.mkfifo(gate)
    task = begin_reading(client[0], gate)
    interrupt(frontend)
    with open(gate, "w") as writer:
        writer.write("through")
    task.get(timeout=TIMEOUT_S)
    assert client[0].pull("through", block=True) == "through"


def test_cells_and_tasks_take_turns_and_their_output_is_kept_apart(
    client: Any, frontend: Any, tmp_path: Path
) -> None:
    gate = str(tmp_path / "gate")
    os.mkfifo(gate)
    before = begin_reading(client[0], gate)
    cell = Cell(frontend, "print('from the cell'); order = 'cell'")
    frontend.control_channel.send(frontend.session.msg("kernel_info_request"))
    assert frontend.get_control_msg(timeout=TIMEOUT_S)["content"]["status"] == "ok"
    assert frontend.get_iopub_msg(timeout=TIMEOUT_S)["msg_type"] == "status"
    assert frontend.get_iopub_msg(timeout=TIMEOUT_S)["content"]["execution_state"] == "idle"
    with open(gate, "w") as writer:
        writer.write("through")
    assert cell.finish().text() == "from the cell\n"
    after = client[0].apply_async(print, "after")
    after.get(timeout=TIMEOUT_S)
    assert (before.stdout, after.stdout) == ("from the task\n", "after\n")


def test_frontends_do_not_wait_for_all_tasks_that_are_ready(
    client: Any, frontend: Any, tmp_path: Path
) -> None:
    gates = [str(tmp_path / f"gate-{i}") for i in range(2)]
    for gate in gates:
        os.mkfifo(gate)
    first = begin_reading(client[0], gates[0])
    second = client[0].execute(f"open({gates[1]!r}).read()")
    cell = Cell(frontend, "'in between'")
    frontend.kernel_info()  # when this is answered, the cell has arrived
    message = frontend.get_shell_msg(timeout=TIMEOUT_S)
    assert message["msg_type"] == "kernel_info_reply"
    for state in ("busy", "idle"):
        message = frontend.get_iopub_msg(timeout=TIMEOUT_S)
        assert message["content"] == {"execution_state": state}
    with open(gates[0], "w"):
        pass
    assert value_of(cell.finish()) == "'in between'"
    first.get(timeout=TIMEOUT_S)
    assert not second.done()
    with open(gates[1], "w"):
        pass
    second.get(timeout=TIMEOUT_S)


def test_a_long_cell_holds_up_no_cluster_task_elsewhere_and_then_runs_what_waited(
    client: Any, frontend: Any, tmp_path: Path
) -> None:
    gate = str(tmp_path / "gate")
    os.mkfifo(gate)
    cell = Cell(frontend, f"print('waiting'); open({gate!r}).read()")
    cell.wait_for_text("waiting")
    waiting = [client[0].apply_async(os.getpid) for _ in range(50)]
    assert client[1].apply_sync(len, "elsewhere") == 9
    assert not waiting[0].done()
    with open(gate, "w") as writer:
        writer.write("through")
    assert value_of(cell.finish()) == "'through'"
    assert len({task.get(timeout=TIMEOUT_S) for task in waiting}) == 1


def test_two_frontends_hear_each_other_and_get_their_own_replies(
    frontend: Any, attach: Callable[..., Any]
) -> None:
    other = attach()
    other.wait_for_ready(timeout=TIMEOUT_S)
    msg_id = other.execute("shared = 1; shared")
    assert other.get_shell_msg(timeout=TIMEOUT_S)["parent_header"]["msg_id"] == msg_id
    kinds: list[str] = []
    while "execute_result" not in kinds:
        message = frontend.get_iopub_msg(timeout=TIMEOUT_S)
        if message["parent_header"]["session"] == other.session.session:
            kinds.append(message["msg_type"])
    assert not frontend.shell_channel.msg_ready()


def test_one_frontends_error_ends_no_others_cells(
    client: Any, frontend: Any, attach: Callable[..., Any], tmp_path: Path
) -> None:
    path = client[0].apply_sync(ipp.bind_kernel)
    gate = str(tmp_path / "gate")
    os.mkfifo(gate)
    cell = Cell(frontend, f"print('waiting'); open({gate!r}).read(); 1/0")
    cell.wait_for_text("waiting")
    other = attach(path)
    other.wait_for_ready(timeout=TIMEOUT_S)
    frontend.execute("1")
    frontend.execute("2", stop_on_error=False)
    other.execute("3")
    for one in (frontend, other):  # when this is answered, all before it has arrived
        one.kernel_info()
    for one in (frontend, other):
        kinds = one.get_shell_msg(timeout=TIMEOUT_S)["msg_type"]
        assert kinds == "kernel_info_reply"
    with open(gate, "w"):
        pass
    replies = [frontend.get_shell_msg(timeout=TIMEOUT_S)["content"] for _ in range(3)]
    assert [reply["status"] for reply in replies] == ["error", "aborted", "aborted"]
    assert other.get_shell_msg(timeout=TIMEOUT_S)["content"]["status"] == "ok"
    assert run_after(frontend, "4")["status"] == "ok"


def run_after(frontend: Any, code: str) -> Any:
    frontend.execute(code)
    return frontend.get_shell_msg(timeout=TIMEOUT_S)["content"]


def test_who_does_not_know_the_key_is_ignored(
    frontend: Any, attach: Callable[..., Any], client: Any
) -> None:
    stranger = attach(key="0" * 64)
    stranger.execute("stolen = 1")
    stranger.shell_channel.socket.send_multipart([b"no", b"message"])
    stranger.shell_channel.socket.send_multipart([b"<IDS|MSG>", b"none"])
    stranger.control_channel.socket.send(b"")
    assert value_of(run(frontend, "'still here'")) == "'still here'"
    assert client[0].apply_sync(lambda: "stolen" in globals()) is False
    assert not stranger.shell_channel.msg_ready()


def reply_to(frontend: Any, request: str) -> Any:
    """Return the content of the reply to *request*, and pass over those to others."""
    reply: dict[str, Any] = {"parent_header": {}}
    while reply["parent_header"].get("msg_id") != request:
        reply = frontend.get_shell_msg(timeout=TIMEOUT_S)
    return reply["content"]


def test_signed_nonsense_costs_nobody_the_kernel(frontend: Any, attach: Callable[..., Any]) -> None:
    other = attach()
    deep = b"[" * 100_000 + b"]" * 100_000
    for part in (deep, b"[]", b"1", b"no json", b'{"msg_type": ["x"]}', b'{"msg_type": "none"}'):
        parts = [part, b"{}", b"{}", b"{}"]
        frames = [b"<IDS|MSG>", other.session.sign(parts), *parts]
        other.shell_channel.socket.send_multipart(frames)
    for content in ({}, {"code": None}, {"code": "1", "cursor_pos": 10**30}, {"n": "many"}):
        for kind in ("execute", "complete", "inspect", "is_complete", "history", "unheard_of"):
            content = {**content, "stop_on_error": False}  # which would abort the last one
            other.shell_channel.send(other.session.msg(f"{kind}_request", content))
    assert reply_to(other, other.execute("1"))["status"] == "ok"
    assert run_after(frontend, "2")["status"] == "ok"


def test_a_client_of_the_cluster_interrupts_a_cell_as_well(client: Any, frontend: Any) -> None:
    cell = Cell(frontend, WAIT)
    cell.wait_for_text("waiting")
    client.send_signal("SIGINT", targets=[0])
    assert cell.finish().reply["ename"] == "KeyboardInterrupt"


def test_a_frontend_that_dies_in_the_middle_of_a_cell_leaves_it_running(
    client: Any, frontend: Any, tmp_path: Path
) -> None:
    path, gate = client[0].apply_sync(ipp.bind_kernel), str(tmp_path / "gate")
    os.mkfifo(gate)
    code = f"print('waiting'); outlived = open({gate!r}).read()"
    with attaching(client[0]) as attach_mortal:
        Cell(attach_mortal(path), code).wait_for_text("waiting")
    with open(gate, "w") as writer:
        writer.write("the frontend")
    assert client[0].pull("outlived", block=True) == "the frontend"
    assert run_after(frontend, "2")["status"] == "ok"
