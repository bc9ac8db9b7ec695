"""Command lines and configuration files, strictly: nothing unknown is passed over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from traitlets import TraitError

from hippodrome.apps import base, exitcodes, ipcluster
from hippodrome.apps.commandline import UsageError, did_you_mean, parse
from hippodrome.apps.controller_options import IPController
from hippodrome.apps.engine_options import IPEngine
from hippodrome.apps.stopping import IPClusterStop
from hippodrome.apps.subcommands import IPClusterEngines, IPClusterStart
from hippodrome.hub.config import AUTO_HWM, ControllerConfig
from hippodrome.launch.find import engine_launcher
from hippodrome.launch.local import LocalEngineSetLauncher
from hippodrome.node.config import NodeConfig
from hippodrome.protocol.silence import PATIENCE_S


@pytest.fixture(autouse=True)
def ipython_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    return tmp_path


def built(program: type[base.Program], *words: str) -> Any:
    line = parse(words, program.syntax())
    return program(base.configure(program, line), line.arguments)


def controller(*words: str) -> ControllerConfig:
    config = built(IPController, *words).freeze()
    assert isinstance(config, ControllerConfig)
    return config


def engine(*words: str) -> NodeConfig:
    config = built(IPEngine, *words).freeze(Path("file"))
    assert isinstance(config, NodeConfig)
    return config


def configure_profile(ipython_dir: Path, name: str, text: str) -> Path:
    path = ipython_dir / "profile_default" / f"{name}_config.py"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def test_without_options_a_controller_listens_on_this_host_only(ipython_dir: Path) -> None:
    config = controller()
    assert config.ip == ""
    assert config.security_dir == ipython_dir / "profile_default" / "security"
    assert config.scheduler.hwm == AUTO_HWM
    assert (config.hub.suspect_after_s, config.hub.lost_after_s) == (5.0, 120.0)


@pytest.mark.parametrize(
    "words",
    [
        ["--scheme=lru", "--hwm=4"],
        ["--scheme", "lru", "--hwm", "4"],
        ["--TaskScheduler.scheme_name=lru", "--TaskScheduler.hwm=4"],
        ["-scheme=lru", "--TaskScheduler.hwm", "4"],
    ],
)
def test_an_option_can_be_given_in_several_ways(words: list[str]) -> None:
    scheduler = controller(*words).scheduler
    assert (scheduler.scheme, scheduler.hwm) == ("lru", 4)


def test_the_high_water_mark_may_be_a_word() -> None:
    assert controller("--hwm=auto").scheduler.hwm == AUTO_HWM
    assert controller("--hwm=0").scheduler.hwm == 0


def test_patience_or_missed_beats_say_when_silent_engines_are_lost() -> None:
    hub = controller("--patience=30").hub
    assert (hub.suspect_after_s, hub.lost_after_s) == (5.0, 30.0)
    hub = controller("--ping=500", "--patience=4").hub
    assert (hub.suspect_after_s, hub.lost_after_s) == (1.0, 4.0)
    hub = controller("--HeartMonitor.max_heartmonitor_misses=3").hub
    assert (hub.suspect_after_s, hub.lost_after_s) == (2.0, 3.0)


def test_engines_are_as_patient_as_they_are_told() -> None:
    assert engine().patience_s == PATIENCE_S
    assert engine("--patience=30").patience_s == 30.0


def test_a_cluster_passes_patience_on_to_both_sides() -> None:
    assert built(IPClusterStart).patience_args == []
    for program in (IPClusterStart, IPClusterEngines):
        assert built(program, "--patience=30").patience_args == ["--patience=30"]


def test_a_port_alone_is_a_port_of_this_host() -> None:
    assert controller("--port=5555").ip == "127.0.0.1"
    assert controller("--port=5555", "--ip=*").ip == "*"


@pytest.mark.parametrize(
    ("words", "store"),
    [
        ([], "memory"),
        (["--dictdb"], "memory"),
        (["--sqlitedb"], "sqlite"),
        (["--nodb"], "none"),
        (["--IPController.db_class=NoDB"], "none"),
        (["--IPController.db_class=sqlitedb"], "sqlite"),
        (["--IPController.db_class", "ipyparallel.controller.sqlitedb.SQLiteDB"], "sqlite"),
        (["--IPController.db_class=hippodrome.controller.dictdb.DictDB"], "memory"),
    ],
)
def test_a_store_is_chosen(words: list[str], store: str) -> None:
    assert controller(*words).hub.store == store


def test_a_store_can_be_chosen_in_the_profile(ipython_dir: Path) -> None:
    configure_profile(
        ipython_dir,
        "ipcontroller",
        "c.IPController.db_class = 'SQLiteDB'\nc.SQLiteDB.filename = 'mine.db'\n",
    )
    assert controller().hub.store == "sqlite"
    assert controller().hub.database == ipython_dir / "profile_default" / "mine.db"
    assert controller("--nodb").hub.store == "none"


@pytest.mark.parametrize("name", ["", "MongoDB", "a.b.MongoDB", "DictDB.x", "."])
def test_a_store_that_there_is_not_is_refused(name: str) -> None:
    with pytest.raises(TraitError, match="DictDB, SQLiteDB or NoDB"):
        controller(f"--IPController.db_class={name}")


def test_each_cluster_of_a_profile_has_a_database_of_its_own(
    ipython_dir: Path, tmp_path: Path
) -> None:
    profile = ipython_dir / "profile_default"
    assert controller().hub.database == profile / "tasks.db"
    assert controller("--cluster-id=x").hub.database == profile / "tasks-x.db"
    elsewhere = controller(f"--SQLiteDB.location={tmp_path}", "--SQLiteDB.filename=a.db")
    assert elsewhere.hub.database == tmp_path / "a.db"


def test_engines_are_counted_and_prepared(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("x = 1\n")
    config = engine("-n4", "-c", "-1", "-s", str(script), "--timeout=2")
    assert (config.n, config.registration_timeout_s) == (4, 2.0)
    assert config.startup.endswith("\n-1")
    namespace: dict[str, Any] = {}
    exec(config.startup, namespace)
    assert namespace["x"] == 1


def test_engines_execute_what_the_profile_says_first(
    ipython_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = "c.InteractiveShellApp.exec_lines = ['order += [3]', 'order += [4]']"
    path = configure_profile(ipython_dir, "ipengine", lines)
    directory = path.parent / "startup"
    directory.mkdir()
    (directory / "10-broken.py").write_text("1 / 0\n")
    (directory / "20-last.py").write_text("order += [2]\n")
    (directory / "00-first.py").write_text("order = [1]\n")
    (directory / "README").write_text("no Python\n")
    namespace: dict[str, Any] = {}
    words = ("-c", "order += [5]")
    with pytest.raises(ZeroDivisionError):
        exec(engine(*words).startup, {})
    exec(engine(*words, "--ignore-startup-errors").startup, namespace)
    assert namespace["order"] == [1, 2, 3, 4, 5]
    assert "10-broken.py" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["--hwn=4"], "did you mean --hwm?"),
        (["--Scheme=lru"], "did you mean --scheme?"),
        (["--profil", "x"], "did you mean --profile or --profile-dir?"),
        (["--TaskScheduler.hmw=4"], "did you mean --TaskScheduler.hwm?"),
        (["--TaskSheduler.hwm=4"], "did you mean --TaskScheduler.hwm?"),
        (["--qqqqqq"], "see --help"),
        (["--mongodb"], "there is no option --mongodb"),
        (["--hwm"], "--hwm needs a value"),
        (["--debug=1"], "--debug takes no value"),
        (["stray"], "unexpected argument 'stray'"),
        (["--", "x"], "there is no option --"),
    ],
)
def test_what_there_is_not_is_an_error_with_a_hint(words: list[str], hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        controller(*words)
    assert hint in str(caught.value)


@pytest.mark.parametrize(
    ("program", "words", "where"),
    [
        (IPClusterStart, ["--ping=9"], "ipcontroller's, and goes after a --: NAME -- --ping"),
        (IPClusterStart, ["--TaskScheduler.hwm=3"], "NAME -- --TaskScheduler.hwm"),
        (
            IPClusterStart,
            ["-s", "x.py"],
            "ipengine's, and given as --IPClusterStart.engine_args=-s",
        ),
        (IPClusterEngines, ["-s", "x.py"], "--IPClusterEngines.engine_args=-s"),
        (IPClusterEngines, ["--sqlitedb"], "see --help"),
    ],
)
def test_an_option_of_a_program_that_is_started_is_said_to_be_its(
    program: type[base.Program], words: list[str], where: str
) -> None:
    with pytest.raises(UsageError) as caught:
        built(program, *words)
    assert where.replace("NAME", program.name) in str(caught.value)


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("stat", "; did you mean status?"),
        ("sta", "; did you mean start or status?"),
        ("strat", "; did you mean start?"),
        ("x", ""),
        ("", ""),
    ],
)
def test_what_a_word_begins_is_what_may_be_meant(word: str, hint: str) -> None:
    assert did_you_mean(word, ipcluster.SUBCOMMANDS) == hint


@pytest.mark.parametrize(
    "words",
    [
        ["--hwm=-1"],
        ["--hwm=many"],
        ["--hwm=1.5"],
        ["--scheme=best"],
        ["--port=70000"],
        ["--port=x"],
        ["--ping=0"],
        ["--ping=nan"],
        ["--ping=inf"],
        ["--log-level=LOUD"],
    ],
)
def test_a_bad_value_is_an_error(words: list[str]) -> None:
    with pytest.raises(TraitError):
        controller(*words)


def test_the_profiles_file_is_read_and_the_command_line_wins(ipython_dir: Path) -> None:
    text = "c.TaskScheduler.hwm = 3\nc.TaskScheduler.scheme_name = 'lru'\nc.IPController.ip = '*'\n"
    configure_profile(ipython_dir, "ipcontroller", text)
    config = controller("--hwm=9")
    assert config.scheduler.hwm == 9
    assert config.scheduler.scheme == "lru"
    assert config.ip == "*"


def test_a_further_file_wins_over_the_profiles(ipython_dir: Path, tmp_path: Path) -> None:
    configure_profile(ipython_dir, "ipcontroller", "c.TaskScheduler.hwm = 3\n")
    more = tmp_path / "more.py"
    more.write_text("c.TaskScheduler.hwm = 'auto'\n")
    assert controller(f"--config={more}").scheduler.hwm == AUTO_HWM


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("c.TaskScheduler.hwm = ", "SyntaxError"),
        ("1 / 0", "ZeroDivisionError"),
    ],
)
def test_an_error_in_a_file_names_the_file(ipython_dir: Path, text: str, hint: str) -> None:
    path = configure_profile(ipython_dir, "ipcontroller", text)
    with pytest.raises(UsageError) as caught:
        controller()
    assert str(path) in str(caught.value)
    assert hint in str(caught.value)


def test_a_file_that_was_asked_for_must_exist() -> None:
    with pytest.raises(UsageError, match=r"no configuration file"):
        controller("--config=/no/such/file.py")


def test_a_file_in_the_current_directory_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ipcontroller_config.py").write_text("1 / 0")
    monkeypatch.chdir(tmp_path)
    controller()


def test_words_after_two_dashes_are_for_the_controller() -> None:
    assert built(IPClusterStart, "-n", "2", "--", "--hwm=1", "-x").arguments == ["--hwm=1", "-x"]
    assert built(IPClusterStart, "--delay=0.5", "--clean-logs=True").delay == 0.5
    assert built(IPClusterStop, "a", "b").arguments == ["a", "b"]


def test_subcommands_read_one_file(ipython_dir: Path) -> None:
    configure_profile(ipython_dir, "ipcluster", "c.IPClusterStart.n = 7\n")
    assert built(IPClusterStart).n_wanted == 7


def test_ipcluster_has_subcommands(capsys: pytest.CaptureFixture[str]) -> None:
    assert ipcluster.main(["strat"]) == exitcodes.USAGE
    assert "did you mean start?" in capsys.readouterr().err
    assert ipcluster.main([]) == exitcodes.OK
    assert "Subcommands:" in capsys.readouterr().out


@pytest.mark.parametrize("program", [IPController, IPEngine, *ipcluster.SUBCOMMANDS.values()])
def test_help_names_every_option(
    program: type[base.Program], capsys: pytest.CaptureFixture[str]
) -> None:
    assert base.run(program, ["--help"]) == exitcodes.OK
    shown = capsys.readouterr().out
    syntax = program.syntax()
    for option in [*syntax.aliases, *syntax.flags]:
        assert f"-{option}" in shown
    assert all(len(line) <= 100 for line in shown.splitlines())


def test_a_suggestion_is_close() -> None:
    assert did_you_mean("profle", ["profile", "port"]) == "; did you mean profile?"
    assert did_you_mean("zzz", ["profile", "port"]) == ""


@pytest.mark.parametrize(
    "text",
    [
        "c.Cluster.n = 7",
        "c.IPClusterEngines.n = 7",
        "c.Cluster.n = 1; c.IPClusterStart.n = 7; c.IPClusterEngines.n = 2",
        "c.IPClusterStart.n = 7; c.IPClusterStart.delay = 0.5",
        "c.Cluster.n = 7; c.LocalEngineSetLauncher.delay = 0.2; c.BaseLauncher.poll_seconds = 1",
        "c.Cluster.n = 7; c.Cluster.engine_launcher_class = 'LocalEngineSetLauncher'",
    ],
)
def test_a_file_written_for_ipyparallel_is_understood(ipython_dir: Path, text: str) -> None:
    configure_profile(ipython_dir, "ipcluster", text)
    assert built(IPClusterStart).n_wanted == 7
    assert engine_launcher(built(IPClusterStart).engines) is LocalEngineSetLauncher
    assert built(IPClusterStart, "-n", "3").n_wanted == 3
    for other in (IPClusterStop, IPClusterEngines):
        built(other)


def test_arguments_of_programs_can_be_in_the_file(ipython_dir: Path) -> None:
    configure_profile(
        ipython_dir,
        "ipcluster",
        "c.LocalControllerLauncher.controller_args = ['--hwm=2']\n"
        "c.LocalEngineSetLauncher.engine_args = ['--timeout=9']\n",
    )
    assert built(IPClusterStart).controller_args == ["--hwm=2"]
    assert built(IPClusterStart).engine_args == ["--timeout=9"]


def test_old_names_of_the_controllers_classes_are_understood(ipython_dir: Path) -> None:
    configure_profile(
        ipython_dir,
        "ipcontroller",
        "c.HubFactory.ip = '*'; c.HubFactory.db_class = 'NoDB'; c.IPControllerApp.location = 'me'",
    )
    assert controller().ip == "*"


def test_an_old_name_of_what_there_is_not_is_still_an_error(ipython_dir: Path) -> None:
    for text in (
        "c.SSHProxyEngineSetLauncher.hostname = 'a'",
        "c.LocalEngineSetLauncher.engine_cmd = ['python3.2']",
    ):
        path = configure_profile(ipython_dir, "ipcluster", text)
        with pytest.raises(UsageError, match=path.name):
            built(IPClusterStart)


def test_questions_about_the_file_need_no_subcommand(
    ipython_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ipcluster.main(["--generate-config"]) == exitcodes.OK
    assert (ipython_dir / "profile_default" / "ipcluster_config.py").exists()
    assert ipcluster.main(["--show-config"]) == exitcodes.OK
    assert "IPClusterStart:" in capsys.readouterr().out


def test_old_subcommands_say_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert ipcluster.main(["nbextension", "enable"]) == exitcodes.USAGE
    assert "extension of Jupyter servers is turned on" in capsys.readouterr().err
