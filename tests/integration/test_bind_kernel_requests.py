"""What a Jupyter frontend can ask of an engine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from support.frontends import TIMEOUT_S, run, value_of


def test_a_frontend_learns_what_it_talks_to(frontend: Any) -> None:
    reply = frontend.kernel_info(reply=True, timeout=TIMEOUT_S)["content"]
    assert reply["status"] == "ok"
    assert reply["implementation"] == "hippodrome"
    assert reply["language_info"]["name"] == "python"
    assert reply["protocol_version"] == "5.3"
    reply = frontend.comm_info(reply=True, timeout=TIMEOUT_S)["content"]
    assert reply["comms"] == {}


def test_a_cell_shows_text_displays_and_its_value_in_order(frontend: Any) -> None:
    code = """
import os, sys
from IPython.display import HTML, display, clear_output
print("printed")
print("complaint", file=sys.stderr)
display(HTML("<b>"))
handle = display({"text/plain": "one"}, raw=True, display_id="mine")
handle.update({"text/plain": "two"}, raw=True)
clear_output(wait=True)
os.write(1, b"written\\n")
os.system("echo by a child")
6 * 7
"""
    cell = run(frontend, code)
    assert cell.text() == "printed\nwritten\nby a child\n"
    assert cell.text("stderr") == "complaint\n"
    assert value_of(cell) == "42"
    assert [kind for kind, _ in cell.messages if kind != "stream"] == [
        *("status", "execute_input", "display_data", "display_data", "update_display_data"),
        *("clear_output", "execute_result", "status"),
    ]
    assert cell.contents("display_data")[0]["data"]["text/html"] == "<b>"
    assert cell.contents("display_data")[1]["transient"] == {"display_id": "mine"}
    assert cell.contents("update_display_data")[0]["data"]["text/plain"] == "two"
    assert cell.reply["status"] == "ok"
    assert cell.reply["payload"] == []
    (shown,), (result,) = cell.contents("execute_input"), cell.contents("execute_result")
    assert shown == {"code": code, "execution_count": cell.reply["execution_count"]}
    assert result["execution_count"] == cell.reply["execution_count"]


def test_cells_count_unless_they_are_silent_or_not_stored(frontend: Any) -> None:
    first = run(frontend, "1").reply["execution_count"]
    silent = run(frontend, "print('x'); 2", silent=True)
    assert silent.contents("execute_input") == silent.contents("execute_result") == []
    assert silent.text() == "x\n"
    assert silent.reply["execution_count"] == first
    assert value_of(run(frontend, "3", store_history=False)) == "3"
    assert run(frontend, "4").reply["execution_count"] == first + 1


def test_user_expressions_are_evaluated_each_by_itself(frontend: Any) -> None:
    expressions = {"good": "a + 1", "bad": "1/0"}
    reply = run(frontend, "a = 1", user_expressions=expressions).reply
    assert reply["user_expressions"]["good"]["data"] == {"text/plain": "2"}
    assert reply["user_expressions"]["bad"]["ename"] == "ZeroDivisionError"


@pytest.mark.parametrize(("code", "name"), [("1/0", "ZeroDivisionError"), ("1 +", "SyntaxError")])
def test_errors_are_shown_and_replied(frontend: Any, code: str, name: str) -> None:
    cell = run(frontend, code)
    (shown,) = cell.contents("error")
    assert shown["ename"] == cell.reply["ename"] == name
    assert cell.reply["status"] == "error"
    assert name in "\n".join(shown["traceback"])
    assert value_of(run(frontend, "'goes on'")) == "'goes on'"


def test_asking_for_input_fails_at_once(frontend: Any) -> None:
    assert run(frontend, "input('? ')").reply["ename"] == "StdinNotImplementedError"
    assert run(frontend, "import getpass; getpass.getpass()").reply["status"] == "error"


def test_leaving_ends_the_frontend_and_not_the_engine(client: Any, frontend: Any) -> None:
    pid = client[0].apply_sync(os.getpid)
    payload = run(frontend, "exit").reply["payload"]
    assert payload == [{"source": "ask_exit", "keepkernel": True}]
    reply = frontend.shutdown(reply=True, timeout=TIMEOUT_S)
    assert reply["content"] == {"status": "ok", "restart": False}
    while frontend.get_iopub_msg(timeout=TIMEOUT_S)["content"] != {"execution_state": "idle"}:
        pass
    assert value_of(run(frontend, "import os; os.getpid()")) == str(pid)


def test_frontends_and_tasks_share_variables(client: Any, frontend: Any) -> None:
    client[0].push({"pushed": [1, 2]}, block=True)
    run(frontend, "made = sum(pushed)\nawaited = __import__('asyncio').sleep(0, 'slept')")
    assert client[0].pull("made", block=True) == 3
    assert value_of(run(frontend, "await awaited")) == "'slept'"


def test_code_is_completed_described_and_judged(frontend: Any) -> None:
    run(frontend, "class Horse:\n    'Runs.'\n    gallop = trot = 1\nhorse = Horse()")
    reply = frontend.complete("x = horse.ga", reply=True, timeout=TIMEOUT_S)["content"]
    assert "x = horse.ga"[: reply["cursor_start"]] + reply["matches"][0] in (
        "x = horse.gallop",
        "x = horse..gallop",  # with the dot, as IPython without jedi says it
    )
    reply = frontend.complete("nothing_like_it", reply=True, timeout=TIMEOUT_S)["content"]
    assert (reply["matches"], reply["status"]) == ([], "ok")
    reply = frontend.inspect("horse", reply=True, timeout=TIMEOUT_S)["content"]
    assert reply["found"]
    assert "Runs." in reply["data"]["text/plain"]
    reply = frontend.inspect("no_horse", reply=True, timeout=TIMEOUT_S)["content"]
    assert (reply["found"], reply["data"], reply["status"]) == (False, {}, "ok")
    judged = {"f(": "incomplete", "1": "complete", "1 = = 2": "invalid"}
    for code, state in judged.items():
        frontend.is_complete(code)
        assert frontend.get_shell_msg(timeout=TIMEOUT_S)["content"]["status"] == state


def test_the_history_is_that_of_the_engine(frontend: Any) -> None:
    run(frontend, "'first'")
    run(frontend, "'second'")

    def history(**options: Any) -> list[Any]:
        reply = frontend.history(reply=True, timeout=TIMEOUT_S, **options)
        found: list[Any] = reply["content"]["history"]
        return found

    first, second = history(hist_access_type="tail", n=2)
    assert [first[2], second[2]] == ["'first'", "'second'"]
    assert second[1] == first[1] + 1
    assert history(hist_access_type="range", start=first[1], stop=second[1]) == [first]
    assert history(hist_access_type="search", pattern="'fir*") == [first]
    assert history(hist_access_type="search", pattern="*'", n=1) == [second]
    ((*_, code_and_value),) = history(hist_access_type="tail", n=1, output=True)
    assert code_and_value[0] == "'second'"


def test_threads_of_a_cell_go_on_to_show_things_to_its_frontend(
    client: Any, frontend: Any, tmp_path: Path
) -> None:
    gate = str(tmp_path / "gate")
    os.mkfifo(gate)
    code = f"""
import threading
def late():
    open({gate!r}).read()
    print("late")
thread = threading.Thread(target=late); thread.start()
"""
    cell = run(frontend, code)
    with open(gate, "w"):
        pass
    cell.wait_for_text("late\n")
    assert client[0].execute("thread.join()").stdout == ""


def test_a_flood_of_text_arrives_in_few_messages(frontend: Any) -> None:
    cell = run(frontend, "for i in range(20_000): print(i)")
    assert cell.text() == "".join(f"{i}\n" for i in range(20_000))
    assert len(cell.contents("stream")) < 4000


def test_a_child_that_a_cell_forks_leaves_the_kernel_alone(frontend: Any) -> None:
    code = """
import os
pid = os.fork()
if pid == 0:
    raise SystemExit(3)
os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
"""
    assert value_of(run(frontend, code)) == "3"
    assert value_of(run(frontend, "1")) == "1"


def test_a_value_that_json_cannot_hold_costs_nobody_the_engine(frontend: Any) -> None:
    code = """
class Odd:
    def _repr_mimebundle_(self, include=None, exclude=None):
        return {"application/json": {(1, 2): 3}}
"""
    reply = run(frontend, code, user_expressions={"odd": "Odd()"}).reply
    assert (reply["status"], reply["ename"]) == ("error", "TypeError")
    assert run(frontend, "Odd()").reply["status"] == "error"
    assert value_of(run(frontend, "1")) == "1"


@pytest.mark.parametrize("channel", ["shell_channel", "control_channel"])
def test_odd_requests_of_a_frontend_that_has_the_key_end_nothing(attach: Any, channel: str) -> None:
    hostile, frontend = attach(), attach()
    deep: Any = {}
    for _ in range(400):
        deep = {"a": deep}
    odd = [{}, {"code": 3}, {"code": None, "silent": "x"}, {"code": "1", "cursor_pos": -1e308}]
    odd += [{"code": "a", "cursor_pos": "x"}, {"hist_access_type": 7, "n": "x"}, deep]
    odd += [{"code": "1", "user_expressions": 5}, {"target_name": []}, {"restart": deep}]
    kinds = ["execute", "complete", "inspect", "is_complete", "history", "comm_info", "kernel_info"]
    names = [*(f"{kind}_request" for kind in kinds), "shutdown_request", "nonsense", "x" * 10_000]
    socket = getattr(hostile, channel).socket
    for name in names:
        for content in odd:
            hostile.session.send(socket, name, content=content)
    headers = [{"msg_id": "1", "msg_type": 3}, {"msg_id": [], "msg_type": {}, "session": {}}]
    for name in names:
        headers.append({"msg_id": 7, "msg_type": name, "session": {}})
        headers.append({"msg_id": [], "msg_type": name, "session": deep, "date": 5})
        headers.append({"msg_id": "1", "msg_type": name})
    for header in headers:
        for content in ({"code": "1/0"}, {"code": "1"}):
            hostile.session.send(socket, "kernel_info_request", content=content, header=header)
    hostile.session.send(socket, "execute_request", content=b"[1, 2]")
    reply = frontend.kernel_info(reply=True, timeout=TIMEOUT_S)
    assert reply["content"]["implementation"] == "hippodrome"
    asked = frontend.execute("", user_expressions={"x": "6 * 7"}, reply=True, timeout=TIMEOUT_S)
    assert asked["content"]["user_expressions"]["x"]["data"] == {"text/plain": "42"}
