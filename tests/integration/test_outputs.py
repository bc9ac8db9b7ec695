"""What tasks show: text, displays and errors, while they run and afterwards."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

import pytest

import hippodrome as ipp


def show_everything() -> None:
    import ctypes

    print("printed")
    os.write(1, b"written\n")
    ctypes.CDLL(None).puts(b"by C")
    subprocess.run(["echo", "by a child"], check=True)
    subprocess.run("echo complaint >&2", shell=True, check=True)
    print("printed again")


def test_text_of_children_and_of_c_code_belongs_to_the_task_in_order(client: Any) -> None:
    result = client[0].apply_async(show_everything)
    result.get(timeout=20)
    assert result.stdout == "printed\nwritten\nby C\nby a child\nprinted again\n"
    assert result.stderr == "complaint\n"
    assert client[0].apply_async(len, "a").stdout == ""


def test_balanced_tasks_show_things_too(client: Any) -> None:
    view = client.load_balanced_view()
    results = [view.apply_async(os.system, f"echo task {i}") for i in range(20)]
    client.wait(results, timeout=20)
    assert [result.stdout for result in results] == [f"task {i}\n" for i in range(20)]


def redirect(how: str) -> str:
    """Lead the descriptors elsewhere, for good."""
    if how == "close":
        os.closerange(0, 3)
    else:
        end = os.pipe()[1] if how == "pipe" else os.open(os.devnull, os.O_WRONLY)
        for number in (1, 2):
            os.dup2(end, number)
    return how


@pytest.mark.parametrize("how", ["pipe", "file", "close"])
def test_an_engine_whose_descriptors_lead_elsewhere_goes_on(own_client: Any, how: str) -> None:
    view = own_client[0]
    assert view.apply_sync(redirect, how) == how
    result = view.apply_async(print, "still here")
    result.get(timeout=10)
    assert result.stdout == "still here\n"
    assert own_client.ids == [0, 1]


def wait_for_text(result: Any, text: str) -> None:
    deadline = time.monotonic() + 10
    while text not in str(result.stdout):
        assert time.monotonic() < deadline, f"{text!r} has not come: {result.stdout!r}"
        assert not result.done()
        threading.Event().wait(0.01)


def print_and_wait(path: str) -> str:
    print("before")
    with open(path) as gate:
        gate.read()
    print("after")
    return "done"


def test_text_comes_while_the_task_runs(client: Any, tmp_path: Any) -> None:
    gate = str(tmp_path / "gate")
    os.mkfifo(gate)
    result = client.load_balanced_view().apply_async(print_and_wait, gate)
    (part,) = result.split()
    wait_for_text(result, "before\n")
    assert part.stdout == "before\n"
    with open(gate, "w"):
        pass
    assert result.get(timeout=10) == "done"
    assert result.stdout == part.stdout == "before\nafter\n"


def test_streamed_output_is_whole_and_says_where_it_comes_from(
    client: Any, tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    gate = str(tmp_path / "gate")
    os.mkfifo(gate)
    result = client[1].apply_async(print_and_wait, gate)
    with result.stream_output():
        wait_for_text(result, "before\n")
        with open(gate, "w"):
            pass
        result.get(timeout=10)
    assert capsys.readouterr().out == "[stdout:1] before\n[stdout:1] after\n"


def flood(n: int) -> int:
    line = "x" * 1023 + "\n"
    for _ in range(n):
        sys.stdout.write(line)
    return n


def test_a_flood_is_cut_and_stalls_nothing(client: Any) -> None:
    shown = io.StringIO()
    result = client[:].apply_async(flood, 100_000)  # 100 MB each
    with redirect_stdout(shown), result.stream_output():
        assert result.get(timeout=60) == [100_000] * 2
    for text in result.stdout:
        assert len(text) < 1.1e6
        assert "characters were dropped]" in text
        assert text.endswith("x\n")
    text = shown.getvalue()
    assert len(text) < 3e6
    assert "characters are not shown)" in text


def test_a_child_that_floods_is_cut_as_well(client: Any) -> None:
    result = client[0].apply_async(os.system, "head -c 300000000 /dev/zero | tr '\\0' y")
    assert result.get(timeout=60) == 0
    assert len(result.stdout) < 1.1e6
    assert "characters were dropped]" in result.stdout
    assert result.stdout.endswith("y")


def test_a_cell_may_be_any_ipython(client: Any) -> None:
    code = """
import asyncio
words = !echo one two
value = %lsmagic
await asyncio.sleep(0)
words[0].split()
"""
    reply = client[0].execute(code, silent=False, block=True).get()
    assert reply.data["text/plain"] == "['one', 'two']"
    assert reply.execution_count == 1
    assert str(reply) == "Out[0:1]: ['one', 'two']"
    assert client[0]["words"] == ["one two"]
    assert client[0].execute("2 + 2", silent=False).get().execution_count == 2
    assert client[0].execute("2 + 2").get().data == {}


SHOW = """
from IPython.display import HTML, Image, display, update_display
handle = display({"text/plain": "plain", "application/x-own": {"a": 1}}, raw=True, display_id="one")
display(HTML("<b>bold</b>"))
display(Image(b"\\x89PNG\\r\\n", format="png"))
handle.update({"text/plain": "changed"}, raw=True)
'value'
"""


def test_displays_of_all_kinds_arrive(client: Any) -> None:
    result = client[1].execute(SHOW, silent=False, block=True)
    outputs = result.metadata.outputs
    assert [one["data"].get("text/plain") for one in outputs] == [
        "changed",
        "<IPython.core.display.HTML object>",
        "<IPython.core.display.Image object>",
    ]
    assert outputs[0]["output_type"] == "display_data"
    assert outputs[0]["transient"] == {"display_id": "one"}
    assert outputs[1]["data"]["text/html"] == "<b>bold</b>"
    assert outputs[2]["data"]["image/png"].strip() == "iVBORw0K"
    assert result.metadata.execute_result["data"] == {"text/plain": "'value'"}
    assert result.metadata.execute_input == SHOW


def display_something() -> None:
    from IPython.display import HTML, display

    display(HTML("<i>"))


def draw() -> None:
    from matplotlib import pyplot

    pyplot.plot([1, 2, 3])


def test_functions_may_display_and_draw_too(client: Any) -> None:
    view = client.load_balanced_view()
    result = view.apply_async(display_something)
    result.get(timeout=20)
    assert result.metadata.outputs[0]["data"]["text/html"] == "<i>"
    pytest.importorskip("matplotlib", reason="matplotlib is not installed here")
    result = view.apply_async(draw)
    result.get(timeout=60)
    assert "image/png" in result.metadata.outputs[0]["data"]


@pytest.mark.parametrize("groupby", ["type", "engine", "order"])
def test_outputs_of_a_single_call_are_shown_as_they_are(
    client: Any, capsys: pytest.CaptureFixture[str], groupby: str
) -> None:
    code = "import sys\nprint('text\\nmore')\ndisplay(1)\nprint('odd', file=sys.stderr)\n3"
    single = client[1].execute(code, silent=False, block=True)
    single.display_outputs(groupby)
    shown, label = capsys.readouterr(), f"Out[1:{single.get().execution_count}]:"
    assert (shown.out, shown.err) == (f"text\nmore\n1\n{label} 3\n", "odd\n")
    client[[1]].apply(print, "text").display_outputs(groupby)
    assert capsys.readouterr().out == "[stdout:1] text\n", "of a list of one"


def test_replies_and_results_say_what_can_be_asked_of_them(client: Any) -> None:
    code = "from IPython.display import HTML\nHTML('<b>it</b>')"
    result = client[:].execute(code, silent=False, block=True)
    reply = result.get()[0]
    assert {"stdout", "engine_id", "execute_result", "started"} <= set(dir(result))
    assert {"stdout", "msg_id", "started", "_repr_html_"} <= set(dir(reply))
    assert reply.msg_id == result.msg_ids[0]
    assert reply._repr_html_() == reply._repr_mime_("text/html") == "<b>it</b>"
    for kind in ("javascript", "jpeg", "json", "latex", "markdown", "png", "svg"):
        assert getattr(reply, f"_repr_{kind}_")() is None


def test_outputs_are_shown_by_type_by_engine_and_in_order(
    client: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    code = "from IPython.display import display\nprint('text')\ndisplay(1)\ndisplay(2)\n3"
    result = client[:].execute(code, silent=False, block=True)
    counts = [reply.execution_count for reply in result.get()]
    values = [f"Out[{engine}:{counts[engine]}]: 3" for engine in (0, 1)]
    texts = ["[stdout:0] text", "[stdout:1] text"]
    blocks = {e: {n: [f"[output:{e}]", f"{n}"] for n in (1, 2)} for e in (0, 1)}
    expected = {
        "type": [*texts, *blocks[0][1], *blocks[0][2], *blocks[1][1], *blocks[1][2], *values],
        "engine": [
            *(texts[0], *blocks[0][1], *blocks[0][2], values[0]),
            *(texts[1], *blocks[1][1], *blocks[1][2], values[1]),
        ],
        "order": [*texts, *blocks[0][1], *blocks[1][1], *blocks[0][2], *blocks[1][2], *values],
    }
    for groupby, lines in expected.items():
        result.display_outputs(groupby)
        assert capsys.readouterr().out.splitlines() == lines
    result.display_outputs(result_only=True)
    assert capsys.readouterr().out.splitlines() == values
    with pytest.raises(ValueError, match="group by one of"):
        result.display_outputs("color")


def test_errors_of_cells_look_as_in_ipython(client: Any) -> None:
    with pytest.raises(ipp.RemoteError, match="ZeroDivisionError") as caught:
        client[0].execute("def f():\n    1/0\nf()", block=True)
    text = "\n".join(caught.value.render_traceback())
    assert re.search(r"Code of execute, line 2.* in f\b", text)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    with pytest.raises(ipp.RemoteError, match="SyntaxError"):
        client[0].execute("1 +", block=True)
    assert client[0].apply_sync(len, "engine") == 6


FAILING = {
    "a cell in the cell": "get_ipython().run_cell('1 / 0')",
    "no cell in the cell": "get_ipython().run_cell('1 +')",
    "a script": "%run {script}",
    "a script that exits": "%run {script} exit",
    "a display": "class Bad:\n    def __repr__(self): 1 / 0\ndisplay(Bad())",
    "what is asked for": "try: 1 / 0\nexcept ZeroDivisionError: get_ipython().showtraceback()",
}


@pytest.mark.parametrize("what", FAILING)
def test_errors_that_do_not_end_a_cell_are_shown_as_it_goes_on(
    client: Any, tmp_path: Any, what: str
) -> None:
    script = tmp_path / "script.py"
    script.write_text("import sys\nif sys.argv[1:]: sys.exit(3)\n1 / 0\n")
    cell = FAILING[what].replace("{script}", str(script))
    result = client[0].execute(f"{cell}\nprint('goes on')", silent=False)
    result.get(timeout=20)
    assert result.stdout == "goes on\n"
    names = ("ZeroDivisionError", "SyntaxError", "SystemExit")
    assert sum(name in result.stderr for name in names) == 1


def test_groups_of_errors_are_shown_once(client: Any) -> None:
    result = client[0].execute("raise ExceptionGroup('both', [KeyError(1), OSError(2)])")
    with pytest.raises(ipp.RemoteError, match="both") as caught:
        result.get(timeout=20)
    assert result.stderr == ""
    text = "\n".join(caught.value.render_traceback())
    assert "KeyError: 1" in text
    assert "OSError: 2" in text
    assert "run_code" not in text


def test_clearing_leaves_an_ipython_that_works(client: Any) -> None:
    client[0].execute("a = 1; _ = 2", block=True)
    client[0].clear(block=True)
    with pytest.raises(ipp.RemoteError, match="NameError"):
        client[0].pull("a", block=True)
    reply = client[0].execute("b = 3\nb", silent=False).get()
    assert reply.data == {"text/plain": "3"}


def test_what_a_crashed_engine_wrote_last_is_told(own_client: Any) -> None:
    def crash() -> None:
        os.write(2, b"the last words\n")
        os.abort()

    with pytest.raises(ipp.EngineError, match="the last words"):
        own_client[0].apply_sync(crash)


@pytest.mark.parametrize("is_direct", [True, False])
def test_what_came_before_an_engine_was_lost_is_kept(
    own_client: Any, capsys: pytest.CaptureFixture[str], is_direct: bool
) -> None:
    def print_and_wait_for_death() -> None:
        print("the last words")
        threading.Event().wait(60)

    view = own_client[1] if is_direct else own_client.load_balanced_view([1])
    result = view.apply_async(print_and_wait_for_death)
    with result.stream_output():
        wait_for_text(result, "the last words\n")
        assert result.engine_id == 1
        own_client.send_signal("SIGKILL", 1, block=True)
        with pytest.raises(ipp.EngineError):
            result.get(timeout=10)
    assert capsys.readouterr().out == "[stdout:1] the last words\n"
    assert result.stdout == "the last words\n"
    result.display_outputs()
    assert capsys.readouterr().out == "the last words\n", "of one engine there is one anyway"


def wait_for_ever(path: str) -> str:
    open(path, "w").close()
    try:
        threading.Event().wait(60)
    except KeyboardInterrupt:
        return "interrupted"
    return "not interrupted"


def test_an_interrupt_strikes_the_tasks_that_are_meant_and_no_others(
    client: Any, tmp_path: Any
) -> None:
    paths = [str(tmp_path / f"started-{i}") for i in range(2)]
    first, other = (client[i].apply_async(wait_for_ever, paths[i]) for i in (0, 1))
    behind = client[0].apply_async(wait_for_ever, str(tmp_path / "never"))
    while not all(map(os.path.exists, paths)):
        threading.Event().wait(0.005)
    behind.interrupt()
    with pytest.raises(ipp.TaskAborted):
        behind.get(timeout=10)
    first.interrupt()
    assert first.get(timeout=10) == "interrupted"
    assert not other.done()
    assert other.cancel(interrupt=True)
    assert client[:].apply_async(os.getpid).wait(10)


def interrupted(result: Any, started: str) -> Any:
    """Interrupt a task that has made the file *started*, and return its result."""
    while not os.path.exists(started):
        threading.Event().wait(0.005)
    result.interrupt()
    return result.get(timeout=10)


def test_a_handler_of_the_users_own_is_called_once(client: Any, tmp_path: Any) -> None:
    def handle(path: str) -> int:
        calls: list[int] = []
        signal.signal(signal.SIGINT, lambda *_: calls.append(1))
        open(path, "w").close()
        while not calls:
            time.sleep(0.001)
        time.sleep(0.3)  # for as long as it would be called again
        return len(calls)

    path = str(tmp_path / "started")
    assert interrupted(client[0].apply_async(handle, path), path) == 1


def test_a_task_can_be_interrupted_after_one_that_blocked_signals(
    client: Any, tmp_path: Any
) -> None:
    def block() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])

    client[0].apply_sync(block)
    path = str(tmp_path / "started")
    assert interrupted(client[0].apply_async(wait_for_ever, path), path) == "interrupted"


def test_the_traceback_of_an_interrupted_cell_is_that_of_the_cell(
    client: Any, tmp_path: Any
) -> None:
    path = str(tmp_path / "started")
    cell = f"import time\nopen({path!r}, 'w').close()\ntime.sleep(60)"
    result = client[0].execute(cell, silent=False)
    while not os.path.exists(path):
        threading.Event().wait(0.005)
    result.interrupt()
    with pytest.raises(ipp.RemoteError, match="KeyboardInterrupt") as caught:
        result.get(timeout=10)
    frames = [line for line in caught.value.render_traceback() if line.startswith("  File")]
    assert len(frames) == 1
    assert "line 3, in <module>" in frames[0]


def test_a_wrong_magic_is_an_error_of_one_line(client: Any) -> None:
    result = client[0].execute("%nothing_like_this", silent=False)
    with pytest.raises(ipp.RemoteError, match="not found") as caught:
        result.get(timeout=10)
    assert caught.value.ename == "UsageError"
    assert caught.value.render_traceback() == [f"UsageError: {caught.value.evalue}"]
    assert (result.stdout, result.stderr) == ("", "")


def test_a_hundred_interrupts_leave_a_usable_cluster(client: Any) -> None:
    for _ in range(100):
        result = client[:].apply_async(time.sleep, 60)
        result.interrupt()
        with pytest.raises(ipp.CompositeError), redirect_stderr(io.StringIO()):
            result.get(timeout=10)
        errors = result.get(return_exceptions=True)
        assert {error.ename for error in errors} <= {"KeyboardInterrupt", "TaskAborted"}
    assert client[:].apply_sync(len, "abc") == [3, 3]
