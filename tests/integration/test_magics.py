"""The magics, in an IPython of this process and with real engines."""

from __future__ import annotations

import os
import pickle
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from traitlets.config import Config

import hippodrome as ipp
from support.leaks import wait_until

Run = Callable[[str], Any]


@pytest.fixture(scope="module")
def shell() -> Iterator[Any]:
    """An IPython whose errors are raised by `run` and shown nowhere."""
    config = Config()
    config.HistoryManager.enabled = False
    shell = InteractiveShell.instance(config=config, colors="nocolor")
    yield shell
    InteractiveShell.clear_instance()


@pytest.fixture
def run(shell: Any, client: Any) -> Run:
    """Run a cell while the magics use all engines of the cluster; raise what it raises."""
    client.activate()

    def run(cell: str) -> Any:
        result = shell.run_cell(cell)
        result.raise_error()
        return result.result

    return run


def test_the_first_client_brings_the_magics(shell: Any, cluster: Any) -> None:
    shell.magics_manager.magics["line"].pop("px", None)
    with ipp.Client(str(cluster.client_file)) as rc:
        assert shell.find_line_magic("px").__self__.view.client is rc
        with ipp.Client(str(cluster.client_file)):
            assert shell.find_line_magic("px").__self__.view.client is rc


def test_the_extension_offers_magics_that_wait_for_a_client(shell: Any, cluster: Any) -> None:
    shell.magics_manager.magics["line"].pop("px", None)
    shell.run_cell("%load_ext hippodrome").raise_error()
    with pytest.raises(Exception, match="no cluster"):
        shell.run_cell("%px 1").raise_error()
    with ipp.Client(str(cluster.client_file)) as rc:
        assert shell.find_line_magic("px").__self__.view.client is rc


def test_a_line_runs_on_all_engines(run: Run, client: Any, capsys: Any) -> None:
    assert run("%px a = 6 * 7; print(a)") is None
    lines = capsys.readouterr().out.splitlines()
    assert sorted(lines) == ["[stdout:0] 42", "[stdout:1] 42"]  # the first cell may take long
    assert client[:]["a"] == [42, 42]


def test_names_here_are_not_put_into_the_code(run: Run, shell: Any, capsys: Any) -> None:
    shell.user_ns["word"] = "here"
    run("%px print('$word {word}')")
    assert "[stdout:0] $word {word}" in capsys.readouterr().out.splitlines()


def test_a_cell_shows_its_values_in_the_order_of_engines(run: Run, capsys: Any) -> None:
    run("%%px\nfrom hippodrome.engine.namespace import engine_id\nengine_id()")
    lines = capsys.readouterr().out.splitlines()
    assert [line.rpartition(" ")[2] for line in lines] == ["0", "1"]
    assert lines[0].startswith("Out[0:")


def test_options_choose_engines_and_keep_results(run: Run, shell: Any, capsys: Any) -> None:
    result = run("%%px -t 1 --noblock --out kept --verbose\n'text'")
    assert capsys.readouterr().out.startswith("running on engines 1\n")
    assert shell.user_ns["kept"] is result
    assert result.get().data["text/plain"] == "'text'"
    capsys.readouterr()
    run("%pxresult")
    assert "'text'" in capsys.readouterr().out
    run("%result -e")
    assert "'text'" in capsys.readouterr().out
    run("%%px -t ::2\nonly = 1")
    with pytest.raises(ipp.RemoteError, match="NameError"):
        run("%%px -t 1\nonly")


@pytest.mark.parametrize("written", ["$one", "{one}", "$some", "{some[-1:]}", "$few", "{one - 2}"])
def test_names_in_the_line_of_options_stand_for_their_values(
    run: Run, shell: Any, client: Any, written: str
) -> None:
    shell.user_ns |= {"one": 1, "some": [1], "few": range(1, 2), "name": "kept", "how": "order"}
    client[:].clear(block=True)
    run(f"%%px -t {written} -o {{name}} --group-outputs=$how\nthere = '$one {{one}}'")
    assert client[1]["there"] == "$one {one}"
    assert client[0].apply_sync(lambda: "there" in globals()) is False
    assert shell.user_ns.pop("kept").get() is not None
    run("%pxresult -o $name")
    assert shell.user_ns.pop("kept").get() is not None
    run(f"%pxconfig --targets {written}")
    assert shell.find_line_magic("px").__self__.view.targets in (1, [1])


@pytest.mark.parametrize(
    ("cell", "complaint"),
    [
        ("%px", "needs the code"),
        ("%px --targets 2 print(1)", "takes no options"),
        ("%px -t 2 print(1)", "takes no options"),
        ("%px  --noblock x = 1", "takes no options"),
        ("%%px -o {nobody_has_it}\n1", "needs a name"),
        ("%%px -t nobody\n1", "cannot read the targets"),
        ("%%px --signal-on-interrupt SIGNONE\n1", "no signal"),
        ("%%px --nonsense\n1", "unrecognized"),
    ],
)
def test_what_makes_no_sense_is_said(run: Run, cell: str, complaint: str) -> None:
    with pytest.raises(Exception, match=complaint) as caught:
        run(cell)
    assert type(caught.value).__name__ == "UsageError"


def test_a_cell_can_run_here_as_well(run: Run, shell: Any, client: Any) -> None:
    run("%%px --local\nboth = 5")
    assert shell.user_ns["both"] == 5
    assert client[:]["both"] == [5, 5]


def test_output_is_grouped_as_asked(run: Run, capsys: Any) -> None:
    cell = "print('text')\ndisplay(1)\n2"
    run(f"%%px --group-outputs engine\n{cell}")
    kinds = [line[:8] for line in capsys.readouterr().out.splitlines() if line[:1] in "[O"]
    assert kinds == ["[stdout:", "[output:", kinds[2], "[stdout:", "[output:", kinds[5]]
    run(f"%%px -r\n{cell}")
    kinds = [line[:4] for line in capsys.readouterr().out.splitlines() if line[:1] in "[O"]
    assert kinds == ["[std", "[std", "[out", "[out", "Out[", "Out["]


def test_the_same_error_everywhere_is_shown_once(run: Run, capsys: Any) -> None:
    with pytest.raises(ipp.CompositeError):
        run("%%px\ndef fail():\n    raise ValueError('alike')\nfail()")
    shown = "".join(capsys.readouterr())
    assert "ValueError on engines 0, 1; first:" in shown
    assert shown.count("Traceback") == 1


@pytest.mark.parametrize("line", ["%%px --stream", "%%px --stream --targets 1"])
def test_a_stream_shows_errors_as_they_come_and_not_again(
    run: Run, capsys: Any, tmp_path: Path, line: str
) -> None:
    n = 1 if "targets" in line else 2
    os.mkfifo(gate := tmp_path / "gate")
    seen: list[str] = []

    def opened() -> None:
        wait_until(lambda: seen.append(capsys.readouterr().err) or "ValueError" in "".join(seen))
        gate.write_text("")  # while the other engine goes on

    thread = threading.Thread(target=opened)
    thread.start()
    code = (
        f"{line}\nfrom hippodrome.engine.namespace import engine_id\n"
        f"if engine_id() == {n - 1}:\n    open({str(gate)!r}).close()\n    print('done')\n"
    )
    if n == 1:
        gate.unlink()
        gate.write_text("")
    with pytest.raises(ipp.AlreadyDisplayedError) as caught:
        run(f"{code}raise ValueError('loud')")
    thread.join()
    error = caught.value
    assert isinstance(error, ipp.RemoteError)
    assert error.n == n
    assert "".join(error._render_traceback_()) == str(error)
    shown = re.sub(r"\x1b\[[0-9;]*m", "", "".join(seen) + capsys.readouterr().err)
    assert shown.count("raise ValueError('loud')") == 1
    assert shown.count("ValueError: loud, as above") == n - 1
    assert error.original_error.engine_info.get("engine_id") in (1, None)
    assert pickle.loads(pickle.dumps(error)).n == n


def test_a_short_cell_is_streamed_where_that_is_set(run: Run, capsys: Any) -> None:
    run("%pxconfig --stream")
    with pytest.raises(ipp.AlreadyDisplayedError, match="2 errors, shown above"):
        run("%px 1 / 0")
    assert "ZeroDivisionError" in capsys.readouterr().err
    run("%pxconfig --no-stream")
    with pytest.raises(ipp.CompositeError):
        run("%px 1 / 0")


def test_a_cell_on_one_engine_is_shown_as_it_is_unless_streamed(run: Run, capsys: Any) -> None:
    run("%%px --targets 1 --no-stream\nprint('text')")
    assert capsys.readouterr().out == "text\n"
    for how in ("--stream", ""):
        run(f"%%px --targets 1 {how}\nprint('text')")
        assert capsys.readouterr().out == "[stdout:1] text\n"


def test_results_of_cells_are_named_by_the_magic(run: Run, client: Any, capsys: Any) -> None:
    assert repr(run("%%px --noblock\n1")).startswith("<AsyncResult(%px): ")
    with pytest.raises(ipp.CompositeError) as caught:
        run("%px 1 / 0")
    assert caught.value.evalue == "2 of 2 tasks of %px failed"
    assert str(caught.value.errors[0]).startswith("[0:execute] ZeroDivisionError")


def test_programs_can_pick_displays_by_engine(run: Run, client: Any) -> None:
    with capture_output() as captured:
        run("%%px --no-stream\nfrom IPython.display import HTML\ndisplay(HTML('<b>1</b>'))\n2")
    engines = [one.metadata["engine"] for one in captured.outputs if "text/html" in one.data]
    assert engines == [0, 1]
    texts = [one.data["text/plain"] for one in captured.outputs if "text/html" not in one.data]
    assert [text.partition(":")[0] for text in texts] == ["Out[0", "Out[1"]


def test_the_label_of_a_rich_value_is_shown_once(run: Run, shell: Any, monkeypatch: Any) -> None:
    code = "%%px --no-stream -t 0\nfrom IPython.display import HTML\nHTML('<b>1</b>')"
    for is_notebook in (False, True):
        if is_notebook:
            monkeypatch.setattr(shell, "kernel", None, raising=False)
        with capture_output() as captured:
            run(code)
        text = captured.stdout + captured.outputs[0].data["text/plain"]
        assert text.count("Out[0:") == 1
        assert captured.stdout.startswith("Out[0:") is is_notebook


def test_settings_hold_until_they_are_changed(run: Run, client: Any, capsys: Any) -> None:
    run("%pxconfig --targets 0 --noblock --verbose")
    result = run("%px 1")
    assert "running on engines 0" in capsys.readouterr().out
    assert result.msg_ids == client.history[-1:]
    run("%pxconfig --block --targets all --no-verbose")
    assert run("%px 1") is None


def test_all_cells_can_go_to_the_engines(run: Run, shell: Any, client: Any, capsys: Any) -> None:
    run("%autopx")
    try:
        run("auto = 1\nquoted = '''a \"b\" \\n'''")
        run("import asyncio\nawait asyncio.sleep(0)\nauto += 1")
        assert shell.check_complete("for i in range(3):")[0] == "incomplete"
    finally:
        run("%autopx")
    assert capsys.readouterr().out == "%autopx enabled\n%autopx disabled\n"
    assert "auto" not in shell.user_ns
    assert client[:].pull(("auto", "quoted"), block=True) == [[2, 'a "b" \n']] * 2
    run("here = 1")
    assert shell.user_ns["here"] == 1


def test_cells_behind_one_that_failed_do_not_run(
    run: Run, client: Any, cluster: Any, tmp_path: Path
) -> None:
    view, go = client[:], tmp_path / "go"
    run(f"%%px\nimport pathlib, time\ngo, ran = pathlib.Path({str(go)!r}), []")
    failed = run("%%px --noblock\nwhile not go.exists():\n    time.sleep(0.01)\n1 / 0")
    behind = [run("%%px --noblock\nran.append(1)"), view.execute("ran.append(2)", block=False)]
    call = view.apply_async(lambda: "called")
    with ipp.Client(str(cluster.client_file)) as other:
        apart = other[:].execute("ran.append(3)", block=False)
        wait_until(lambda: [client.queue_status()[n]["queue"] for n in (0, 1)] == [5, 5])
        go.touch()
        with pytest.raises(ipp.CompositeError):
            failed.get(timeout=30)
        for result in behind:
            with pytest.raises(ipp.CompositeError) as caught:
                result.get(timeout=30)
            assert {type(error) for error in caught.value.errors} == {ipp.TaskAborted}
            assert result.metadata[0].status == "aborted"
            assert result.metadata[0].started is None
        apart.get(timeout=30)
    assert call.get() == ["called"] * 2
    assert view["ran"] == [[3]] * 2
    run("%px ran.append(4)")
    assert view["ran"] == [[3, 4]] * 2


def test_no_cell_is_kept_from_running_by_code_that_nobody_watches(client: Any) -> None:
    view = client[:]
    sleeps = view.execute("import time; time.sleep(0.3); 1 / 0", block=False)
    behind = view.execute("behind = 1", block=False)
    with pytest.raises(ipp.CompositeError):
        sleeps.get(timeout=30)
    behind.get(timeout=30)
    assert view["behind"] == [1, 1]


def test_several_views_have_magics_of_their_own(run: Run, client: Any, capsys: Any) -> None:
    client.activate(1, "_one")
    run("%px_one print('one')")
    assert capsys.readouterr().out == "[stdout:1] one\n"
    run("%%px_one\nprint('cell')")
    assert capsys.readouterr().out == "[stdout:1] cell\n"
    run("%px print('all')")
    assert capsys.readouterr().out.count("all") == 2


def test_outside_of_ipython_there_are_no_magics(client: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("hippodrome.magics.activating.running_shell", lambda: None)
    with pytest.warns(RuntimeWarning, match="for IPython"):
        client[:].activate()


class Interrupting:
    """Sends Ctrl-C to this process when *is_so*, and notes when."""

    def __init__(self, is_so: Callable[[], bool]) -> None:
        self.at = 0.0
        self._is_so = is_so
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Interrupting:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._thread.join()

    def _run(self) -> None:
        while not self._is_so():
            threading.Event().wait(0.01)
        self.at = time.monotonic()
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


@pytest.mark.alone
def test_an_interrupt_ends_the_cell_and_leaves_everything_usable(
    run: Run, client: Any, tmp_path: Any, capsys: Any
) -> None:
    started = [str(tmp_path / f"{i}") for i in range(2)]
    run("%px import time")
    for _ in range(5):
        cell = (
            "%%px\nfrom hippodrome.engine.namespace import engine_id\n"
            f"open('{tmp_path}/' + str(engine_id()), 'w').close()\ntime.sleep(60)"
        )
        with (
            Interrupting(lambda: all(map(os.path.exists, started))) as interrupting,
            pytest.raises((ipp.CompositeError, KeyboardInterrupt)) as caught,
        ):
            run(cell)
        if isinstance(caught.value, ipp.CompositeError):  # else it took them longer than we wait
            assert {ename for ename, *_ in caught.value.elist} == {"KeyboardInterrupt"}
        assert time.monotonic() - interrupting.at < 1.0
        for path in started:
            os.unlink(path)
        assert client[:].apply_sync(len, "ab") == [2, 2]


@pytest.mark.alone
def test_a_cell_that_does_not_care_gives_the_prompt_back(
    run: Run, client: Any, tmp_path: Any, capsys: Any
) -> None:
    path = str(tmp_path / "started")
    cell = f"""%%px -t 0
import time
open({path!r}, 'w').close()
ignored = 0
while ignored < 1:
    try:
        time.sleep(60)
    except KeyboardInterrupt:
        ignored += 1
try:
    time.sleep(60)
except KeyboardInterrupt:
    ignored += 1
"""
    with Interrupting(lambda: os.path.exists(path)) as interrupting:
        with pytest.raises(KeyboardInterrupt, match=r"engines \[0\] have not stopped"):
            run(cell)
        assert time.monotonic() - interrupting.at < 1.0
    asked = time.monotonic()
    with Interrupting(lambda: time.monotonic() > asked + 0.6), pytest.raises(BaseException):  # noqa: B017
        run("%%px -t 0\ntime.sleep(60)")
    assert client[0].pull("ignored").get(timeout=10) == 2
    assert client[:].apply_sync(len, "ab") == [2, 2]


@pytest.mark.parametrize(
    "cell",
    [
        "%%px --targets 9\n1",
        "%%px --targets 0,9\n1",
        "%%px --targets bogus\n1",
        "%%px --signal-on-interrupt 99\n1",
        "%%px --progress-after soon\n1",
        "%%px --bogus\n1",
        "%pxconfig --targets 9",
        "%autopx on",
    ],
)
def test_a_wrong_option_is_one_line(run: Run, shell: Any, capsys: Any, cell: str) -> None:
    run("pass")
    assert not shell.run_cell(cell).success
    shown = "".join(capsys.readouterr()).strip().splitlines()
    assert len(shown) == 1
    assert shown[0].startswith("UsageError: ")


def test_functions_of_cells_are_shown_with_their_cell_and_lines(
    run: Run, shell: Any, client: Any, capsys: Any
) -> None:
    shell.user_ns["rc"] = client
    shell.run_cell("def f(x):\n    return 1 / x", store_history=True)
    n = shell.execution_count - 1
    shell.run_cell("rc[0].apply_sync(f, 0)", store_history=True)
    shown = "".join(capsys.readouterr())
    assert f"  Cell In[{n}], line 2, in f\n    return 1 / x\n" in shown
    shell.run_cell("g = f\ndef f(x):\n    return 2 / x", store_history=True)
    shell.run_cell("rc[0].apply_sync(g, 0)", store_history=True)
    shown = "".join(capsys.readouterr())
    assert f"  Cell In[{n}], line 2, in f\n    return 1 / x\n" in shown


def test_functions_of_cells_that_cells_on_engines_call_are_shown_so_too(
    run: Run, shell: Any, client: Any, capsys: Any
) -> None:
    shell.user_ns["rc"] = client
    shell.run_cell("def pushed(x):\n    return 1 / x", store_history=True)
    n = shell.execution_count - 1
    shell.run_cell("rc[:].push({'pushed': pushed}, block=True)", store_history=True)
    capsys.readouterr()
    for cell in ("%%px\npushed(0)", "rc[0].execute('pushed(0)', block=True)"):
        shell.run_cell(cell, store_history=True)
        shown = re.sub(r"\x1b\[[0-9;]*m", "", "".join(capsys.readouterr()))
        assert f"Cell In[{n}], line 2, in pushed(x)\n----> 2 return 1 / x\n" in shown
        assert "Could not get source" not in shown


def test_code_on_engines_has_the_number_of_the_users_cell(
    run: Run, shell: Any, client: Any, capsys: Any
) -> None:
    shell.user_ns["rc"] = client
    for target in (0, 0, 1):  # whatever engines count by themselves
        client[target].execute("1", silent=False, block=True)
    shell.run_cell("%%px\ndef unlucky(x):\n    return 1 / x", store_history=True)
    n = shell.execution_count - 1
    shell.run_cell("rc[:].execute('unlucky(0)', block=True)", store_history=True)
    shown = re.sub(r"\x1b\[[0-9;]*m", "", "".join(capsys.readouterr()))
    assert "ZeroDivisionError on engines 0, 1; first:" in shown
    assert f"Cell In[{n + 1}], line 1\n" in shown
    assert f"Cell In[{n}], line 2, in unlucky(x)\n" in shown


@pytest.mark.parametrize(
    ("line", "some"),
    [
        ("%%px --ta", ["--targets"]),
        ("%%px ", ["--targets", "--noblock", "--local", "--group-outputs"]),
        ("%%px --no", ["--noblock", "--no-stream"]),
        ("%%px --group-outputs ", ["engine", "order", "type"]),
        ("%%px --group-outputs en", ["engine"]),
        ("%%px --block --targets ", ["all"]),
        ("%pxconfig --pro", ["--progress-after"]),
        ("%pxresult --ou", ["--out"]),
    ],
)
def test_options_of_magics_are_completed(shell: Any, run: Run, line: str, some: list[str]) -> None:
    with provisionalcompleter():
        found = [one.text for one in shell.Completer.completions(line, len(line))]
    assert set(some) <= set(found)
    assert "--local" not in found or line.startswith("%%px ")


def test_keys_of_views_are_completed(shell: Any, client: Any) -> None:
    view = client[:]
    view.push({"measured": 1, "means": 2, "_hidden": 3}, block=True)
    before = client.history
    shell.user_ns["view"] = view
    with provisionalcompleter():
        found = [one.text for one in shell.Completer.completions('view["mea', 9)]
    assert {"measured", "means"} <= {text.strip("\"'") for text in found}
    assert "_hidden" not in view._ipython_key_completions_()
    assert client.history == before, "no call of the user's"


def test_keys_of_an_engine_that_computes_are_not_waited_for(client: Any, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "go")
    busy = client[0].apply_async(Path.read_text, tmp_path / "go")
    start = time.monotonic()
    assert client[0]._ipython_key_completions_() == []
    assert time.monotonic() - start < 10
    (tmp_path / "go").write_text("on")
    assert busy.get(timeout=20) == "on"
