"""Configuration: what is wrong says where, and what is in effect can be seen."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from hippodrome.apps import base, exitcodes, ipcluster
from hippodrome.apps.commandline import parse
from hippodrome.apps.configfiles import read_config_file
from hippodrome.apps.controller_options import IPController
from hippodrome.apps.engine_options import IPEngine
from hippodrome.apps.generating import config_text
from hippodrome.apps.settings import UsageError
from hippodrome.apps.subcommands import IPClusterStart

PROGRAMS = [IPController, IPEngine, *ipcluster.SUBCOMMANDS.values()]


@pytest.fixture(autouse=True)
def profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    (tmp_path / "profile_default").mkdir()
    return tmp_path / "profile_default"


def configured(program: type[base.Program], *words: str) -> Any:
    line = parse(words, program.syntax())
    return program(base.configure(program, line), line.arguments)


def write(profile: Path, name: str, text: str) -> Path:
    path = profile / name
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("program", "name", "text", "line", "words"),
    [
        (
            IPController,
            "ipcontroller_config.py",
            "x = 1\nc.TaskScheduler.hwm = 'lots'\n",
            2,
            ["c.TaskScheduler.hwm must be", "not negative", "'lots'"],
        ),
        (
            IPController,
            "ipcontroller_config.py",
            "\n\nc.TaskScheduler.scheme_name = 'best'\n",
            3,
            ["one of leastload, lru,", "'best'"],
        ),
        (
            IPController,
            "ipcontroller_config.py",
            "c.IPController.port = 70000",
            1,
            ["a whole number from 0 to 65535", "70000"],
        ),
        (
            IPController,
            "ipcontroller_config.py",
            "c.HubFactory.ip = '*'\nc.HubFactory.regport = 'x'\n",
            2,
            ["c.HubFactory.regport", "a whole number", "'x'"],
        ),
        (
            IPEngine,
            "ipengine_config.py",
            "def fill(c):\n    c.IPEngine.n = 0\nfill(c)\n",
            2,
            ["c.IPEngine.n", "at least 1", "0"],
        ),
        (
            IPEngine,
            "ipengine_config.py",
            "c.IPEngine.exec_lines = 'x'\n",
            1,
            ["a list of texts", "'x'"],
        ),
        (
            IPClusterStart,
            "ipcluster_config.py",
            "c.Cluster.n = 2\nc.Cluster.engine_launcher_class = 'slrum'\n",
            2,
            ["c.Cluster.engine_launcher_class", "no launcher 'slrum'; there are: "],
        ),
        (
            IPClusterStart,
            "ipcluster_config.json",
            '{\n "version": 1,\n "IPClusterStart": {\n  "n": 2,\n  "engine_timeout": "soon"}\n}\n',
            5,
            ["IPClusterStart.engine_timeout", "a number of at least 0.1, in seconds", "'soon'"],
        ),
        (
            IPClusterStart,
            "ipcluster_config.json",
            '{"Cluster": {"n": 1,\n"n": "many"}}',
            2,
            ["Cluster.n", "a whole number", "'many'"],
        ),
        (IPController, "ipcontroller_config.json", '{\n"a": 1\n}', 2, ['"a" is no class']),
        (IPController, "ipcontroller_config.json", "{\n'a': {}\n}", 2, ["no JSON"]),
        (IPController, "ipcontroller_config.py", "x = 1\n1 / 0\n", 2, ["ZeroDivisionError"]),
        (IPController, "ipcontroller_config.py", "def f():\n  1 / 0\n\nf()", 2, ["ZeroDivision"]),
        (IPController, "ipcontroller_config.py", "x = 1\nimport os\n)", 3, ["SyntaxError"]),
        (IPController, "ipcontroller_config.py", "\nexit(3)", 2, ["SystemExit", "3"]),
        (
            IPController,
            "ipcontroller_config.py",
            "\nimport json\njson.loads('')",
            3,
            ["JSONDecode"],
        ),
        (IPController, "ipcontroller_config.py", "\nc.TaskScheduler = 3", 2, ["TaskScheduler"]),
    ],
)
def test_what_is_wrong_in_a_file_names_the_line(
    profile: Path,
    program: type[base.Program],
    name: str,
    text: str,
    line: int,
    words: list[str],
) -> None:
    path = write(profile, name, text)
    with pytest.raises(UsageError) as caught:
        configured(program)
    said = str(caught.value)
    assert f"{path}, line {line}" in said
    for word in words:
        assert word in said


def test_a_file_that_another_one_loads_has_lines_of_its_own(profile: Path) -> None:
    more = write(profile, "more.py", "\n\nc.TaskScheduler.hwm = -1\n")
    write(profile, "ipcontroller_config.py", "load_subconfig('more.py')\n")
    with pytest.raises(UsageError, match=re.escape(f"{more}, line 3: c.TaskScheduler.hwm")):
        configured(IPController)
    more.write_text("\nc.TaskScheduler.hwm = 7\nraise KeyError('gone')\n")
    with pytest.raises(UsageError, match=re.escape(f"{more}, line 3 failed: KeyError: 'gone'")):
        configured(IPController)


@pytest.mark.parametrize(
    ("program", "words", "said"),
    [
        (IPController, ["--hwm=lots"], "--hwm must be a number of tasks that is not negative"),
        (IPController, ["--scheme", "best"], "--scheme must be one of leastload, lru,"),
        (IPController, ["--port=x"], "--port must be a whole number from 0 to 65535, and not 'x'"),
        (IPController, ["--ping=0"], "--ping must be a number of at least 100, in milliseconds"),
        (IPController, ["--log-level=LOUD"], "--log-level must be one of DEBUG, INFO, WARNING"),
        (
            IPController,
            ["--usethreads=maybe"],
            "--usethreads must be True or False, and not 'maybe",
        ),
        (IPEngine, ["-n0"], "-n0 must be a whole number of at least 1, or auto, and not '0'"),
        (
            IPEngine,
            ["--IPEngine.timeout=no"],
            "--IPEngine.timeout must be a number of at least 0.1",
        ),
        (IPClusterStart, ["--engines=slrum"], "--engines: there is no launcher 'slrum'"),
        (IPClusterStart, ["--engines=no.such.Launcher"], "there is no launcher 'no.such.Launcher'"),
    ],
)
def test_a_wrong_value_names_its_option(
    program: type[base.Program], words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert base.run(program, words) == exitcodes.USAGE
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


def test_what_a_file_names_and_there_is_not_is_a_warning_said_once(
    profile: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (
        "c.TaskScheduler.hmw = 3\nc.TaskSchedular.hwm = 3\nc.TaskSchedular.hwn = 3\n"
        "c.IPController.scheme = 'lru'\nc.TaskScheduler.hwm = 5\n"
    )
    path = write(profile, "ipcontroller_config.py", text)
    assert configured(IPController).freeze().scheduler.hwm == 5
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4
    assert f"{path}, line 1: TaskScheduler has no option 'hmw'; did you mean hwm?" in lines[0]
    assert f"{path}, line 2: there is no class 'TaskSchedular' here; did you mean" in lines[1]
    assert all(line.startswith("ipcontroller: ") and "passed over" in line for line in lines)


def test_json_is_read_and_wins_over_python_and_the_command_line_over_both(profile: Path) -> None:
    write(profile, "ipcontroller_config.py", "c.TaskScheduler.hwm = 3\nc.IPController.ip = '*'\n")
    write(profile, "ipcontroller_config.json", '{"TaskScheduler": {"hwm": 4}}')
    assert configured(IPController).freeze().scheduler.hwm == 4
    assert configured(IPController).freeze().ip == "*"
    assert configured(IPController, "--hwm=5").freeze().scheduler.hwm == 5


def test_a_file_that_was_asked_for_may_be_json(tmp_path: Path) -> None:
    more = tmp_path / "more.json"
    more.write_text('{"TaskScheduler": {"scheme_name": "lru"}}')
    assert configured(IPController, f"--config={more}").freeze().scheduler.scheme == "lru"


def test_lists_in_files_can_be_set_and_extended(profile: Path, tmp_path: Path) -> None:
    write(profile, "ipengine_config.py", "c.IPEngine.exec_lines = ['a']\n")
    assert configured(IPEngine).exec_lines == ["a"]
    more = tmp_path / "more.py"
    more.write_text("c.IPEngine.exec_lines.append('b')\nc.IPEngine.exec_lines.extend(['c'])\n")
    assert configured(IPEngine, f"--config={more}").exec_lines == ["a", "b", "c"]
    assert [s.line for s in read_config_file(more)] == [1]


def test_lists_on_the_command_line_are_one_option_for_each_element() -> None:
    started = configured(
        IPClusterStart, "--IPClusterStart.engine_args=-c", "--IPClusterStart.engine_args=x = 1"
    )
    assert started.engine_args == ["-c", "x = 1"]


@pytest.mark.parametrize("content", [b"\xff\xfe", b"[]", b"3", b'"x"', b"[" * 100_000, b"", b"{"])
def test_a_damaged_json_file_is_a_sentence(profile: Path, content: bytes) -> None:
    (profile / "ipcontroller_config.json").write_bytes(content)
    with pytest.raises(UsageError, match=r"ipcontroller_config\.json"):
        configured(IPController)


@pytest.mark.parametrize("content", [b"x = '\xff'", b"\0", b"# coding: klingon\n"])
def test_a_damaged_python_file_is_a_sentence(profile: Path, content: bytes) -> None:
    (profile / "ipcontroller_config.py").write_bytes(content)
    with pytest.raises(UsageError, match=r"ipcontroller_config\.py.* failed: "):
        configured(IPController)


def test_a_file_that_cannot_be_read_says_why(profile: Path) -> None:
    (profile / "ipcontroller_config.py").mkdir()
    with pytest.raises(UsageError, match="cannot read the configuration file"):
        configured(IPController)


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_generated_file_loads_and_sets_nothing(
    profile: Path, program: type[base.Program], capsys: pytest.CaptureFixture[str]
) -> None:
    assert base.run(program, ["--generate-config"]) == exitcodes.OK
    path = Path(capsys.readouterr().out.removeprefix("wrote ").strip())
    assert path.parent == profile
    assert read_config_file(path) == []
    text = path.read_text()
    assert base.run(program, ["--generate-config"]) == exitcodes.FAILED
    assert f"{path} is there" in capsys.readouterr().err
    assert path.read_text() == text


@pytest.mark.parametrize("program", PROGRAMS)
def test_what_a_generated_file_proposes_is_what_holds_without_it(
    profile: Path, program: type[base.Program], capsys: pytest.CaptureFixture[str]
) -> None:
    name = program.config_name or program.name
    text = config_text(name, program.family_classes())
    enabled = re.sub(r"^# (c\.\w+\.\w+ = )", r"\1", text, flags=re.MULTILINE)
    assert enabled != text
    before = base.effective(program, parse([], program.syntax()))
    path = write(profile, f"{name}_config.py", enabled)
    assert len(read_config_file(path)) == text.count("\n# c.")
    after = configured(program)
    assert capsys.readouterr().err == ""
    for trait in program.class_traits(config=True):
        assert getattr(after, trait) == getattr(program(before.config), trait)


def test_a_generated_file_is_a_program_with_help(profile: Path) -> None:
    text = config_text("ipcontroller", IPController.family_classes())
    assert "#   lru: the one that was least recently given a task." in text
    assert "parent_fd" not in text
    assert all(len(line) <= 100 for line in text.splitlines())
    runpy.run_path(str(write(profile, "x.py", text)), {"get_config": dict})


def test_init_writes_the_file_where_there_is_none_and_goes_on(
    profile: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stop = ipcluster.SUBCOMMANDS["stop"]
    assert base.run(stop, ["--init"]) == exitcodes.ALREADY_STOPPED
    assert "wrote " in capsys.readouterr().err
    assert base.run(stop, ["--init"]) == exitcodes.ALREADY_STOPPED
    assert "wrote " not in capsys.readouterr().err


def test_what_is_in_effect_is_shown_with_where_it_was_written(
    profile: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(profile, "ipcontroller_config.py", "\nc.HubFactory.ip = '*'\n")
    more = tmp_path / "more.json"
    more.write_text('{"TaskScheduler": {"hwm": 4}}')
    words = [f"--config={more}", "--scheme=lru"]
    assert base.run(IPController, [*words, "--show-config"]) == exitcodes.OK
    shown = capsys.readouterr().out
    for found in (
        rf"ip = '\*' +# {re.escape(str(path))}, line 2\n",
        rf"hwm = 4 +# {re.escape(str(more))}, line 1\n",
        r"scheme_name = 'lru' +# the command line: --scheme\n",
        r"port = 0 +# default: any that is free\n",
        rf"ipython_dir = '{re.escape(str(tmp_path))}' +# \$IPYTHONDIR\n",
        r"ipcontroller_config.json \(not there\)\n",
    ):
        assert re.search(found, shown), found
    assert base.run(IPController, [*words, "--show-config-json"]) == exitcodes.OK
    told = json.loads(capsys.readouterr().out)
    assert told["IPController"]["ip"] == {"value": "*", "source": f"{path}, line 2"}
    assert told["TaskScheduler"]["scheme_name"]["source"] == "the command line: --scheme"
    assert told["DictDB"]["record_limit"] == {"value": 20000, "source": "default"}


@pytest.mark.parametrize("program", PROGRAMS)
def test_questions_of_every_program_have_an_answer(
    profile: Path, program: type[base.Program], capsys: pytest.CaptureFixture[str]
) -> None:
    for question in ("--help", "--help-all", "--show-config", "--show-config-json", "--version"):
        assert base.run(program, [question]) == exitcodes.OK
        shown = capsys.readouterr()
        assert shown.out
        assert shown.err == ""
    assert list(profile.iterdir()) == []
