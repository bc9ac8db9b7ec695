"""Command lines and files that were written for ipyparallel, versions 5 to 9, each with its fate.

Taken as it is, taken with a line that says that nothing needs it, or refused with what to do.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any, Final

import pytest

from hippodrome.apps import base, ipcluster
from hippodrome.apps.commandline import UsageError, parse
from hippodrome.apps.controller_options import IPController
from hippodrome.apps.engine_options import IPEngine
from hippodrome.apps.fates import Renamed
from hippodrome.apps.oldtables import ANY, OLD_CLASSES, OLD_OPTIONS, OLD_SWITCHES
from hippodrome.launch.find import controller_launcher, engine_launcher
from hippodrome.launch.local import LocalControllerLauncher, LocalEngineSetLauncher

PROGRAMS: Final[dict[str, type[base.Program]]] = {
    "ipcontroller": IPController,
    "ipengine": IPEngine,
    **{f"ipcluster {name}": program for name, program in ipcluster.SUBCOMMANDS.items()},
}


@pytest.fixture(autouse=True)
def profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    (tmp_path / "profile_default").mkdir()
    return tmp_path / "profile_default"


def read(line: str) -> Any:
    """Return the program that *line* makes, not started."""
    words = shlex.split(line)
    name = " ".join(words[:2]) if words[0] == "ipcluster" else words[0]
    program = PROGRAMS[name]
    parsed = parse(words[len(name.split()) :], program.syntax())
    return program(base.configure(program, parsed), parsed.arguments)


TAKEN: Final = [
    ("ipcontroller --ip='*' --sqlitedb --ping=30000", {"ip": "*", "db_class": "SQLiteDB"}),
    ("ipcontroller --HubFactory.ip=10.0.0.1", {"ip": "10.0.0.1"}),
    (
        "ipcontroller --HubFactory.ip '*' --HubFactory.db_class=NoDB",
        {"ip": "*", "db_class": "NoDB"},
    ),
    (
        "ipcontroller --HubFactory.engine_ip='*' --HubFactory.regport=5555",
        {"ip": "*", "port": 5555},
    ),
    ("ipcontroller --RegistrationFactory.ip='*'", {"ip": "*"}),
    ("ipcontroller --IPController.regport=5555", {"port": 5555}),
    ("ipcontroller --IPControllerApp.use_threads=True", {"use_threads": True}),
    ("ipcontroller --IPControllerApp.location=head", {"location": "head"}),
    ("ipcontroller --usethreads=True", {"use_threads": True}),
    ("ipcontroller --reuse", {"reuse_files": True}),
    ("ipcontroller --IPController.reuse_files=False", {"reuse_files": False}),
    ("ipcontroller --IPControllerApp.reuse_files=True", {"reuse_files": True}),
    ("ipcontroller --ip=10.0.0.5 --ip=eth0,lo", {"ip": "10.0.0.5,eth0,lo"}),
    ("ipcluster start --ip=a --ip=b --port=5", {"controller_ip": "a,b", "controller_port": 5}),
    ("ipcontroller --usethreads --port 5555", {"use_threads": True, "port": 5555}),
    ("ipcontroller --Application.log_level=10", {"log_level": "DEBUG"}),
    ("ipcontroller --BaseParallelApplication.cluster_id=x", {"cluster_id": "x"}),
    ("ipcontroller --BaseIPythonApplication.profile=mpi", {"profile": "mpi"}),
    ("ipcontroller --ProfileDir.location=/tmp/p", {"profile_dir": "/tmp/p"}),
    ("ipcontroller --log-to-file=True --log-level=WARN", {"log_to_file": True}),
    ("ipcontroller --log-to-file False", {"log_to_file": False}),
    ("ipengine --IPEngineApp.startup_command='import numpy'", {"startup_command": "import numpy"}),
    ("ipengine --IPEngineApp.startup_script=a.py", {"startup_script": "a.py"}),
    ("ipengine --IPEngineApp.url_file=a.json", {"url_file": "a.json"}),
    ("ipengine --EngineFactory.timeout=10", {"timeout": 10.0}),
    ("ipengine --ssh=me@head:22 --sshkey=key", {"sshserver": "me@head:22", "sshkey": "key"}),
    ("ipcontroller --ssh=head --enginessh=b", {"ssh_server": "head", "engine_ssh_server": "b"}),
    ("ipcontroller --HubFactory.ssh_server=head", {"ssh_server": "head"}),
    ("ipengine --InteractiveShellApp.exec_lines='import os'", {"exec_lines": ["import os"]}),
    ("ipengine -c 'x = 1' -s a.py", {"startup_command": "x = 1", "startup_script": "a.py"}),
    ("ipengine --c='x = 1' --s a.py", {"startup_command": "x = 1", "startup_script": "a.py"}),
    ("ipcluster start -n 4 --daemonize=True", {"n": 4, "daemonize": True}),
    ("ipcluster start --n=4 --daemonize True", {"n": 4, "daemonize": True}),
    ("ipcluster start --n 4 --daemonize=False", {"n": 4, "daemonize": False}),
    ("ipcluster start -n=4 --profile default", {"n": 4}),
    ("ipcluster start --IPClusterEngines.n=4", {"n": 4}),
    ("ipcluster start --IPClusterStart.n=4", {"n": 4}),
    ("ipcluster start --Cluster.n=4 --Cluster.controller_ip='*'", {"n": 4, "controller_ip": "*"}),
    ("ipcluster start --IPClusterEngines.daemonize=True", {"daemonize": True}),
    ("ipcluster start --delay=1.0 --clean-logs=True", {"delay": 1.0, "clean_logs": True}),
    ("ipcluster start --clean-logs", {"clean_logs": True}),
    ("ipcluster engines -n 2 --daemonize=1", {"n": 2, "daemonize": True}),
    ("ipcluster start --LocalControllerLauncher.controller_args=--hwm=1", {}),
    ("ipcluster stop --IPClusterStop.all_cluster_ids=True", {"all": True}),
    ("ipcluster clean --IPClusterClean.all_profiles=True", {"all": True}),
    ("ipcluster list --IPClusterList.output_format=json", {"output": "json"}),
]


@pytest.mark.parametrize(("line", "values"), TAKEN, ids=[line for line, _ in TAKEN])
def test_what_is_here_too_is_taken_without_a_word(
    line: str, values: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    made = read(line)
    assert {name: getattr(made, name) for name in values} == values
    assert capsys.readouterr().err == ""


NOT_NEEDED: Final = [
    ("ipcontroller --secure", "--secure is not needed here: connections are always"),
    ("ipcontroller --no-secure", "--no-secure is not needed here: connections are always"),
    ("ipengine --secure", "--secure"),
    ("ipengine --location=head", "--location is not needed here: the connection file says"),
    ("ipengine --location head -n 1", "--location"),
    ("ipcontroller --transport=tcp", "--transport"),
    ("ipcontroller --ident=x --port=1", "--ident"),
    ("ipcontroller --user=me", "--user"),
    ("ipcontroller --keyfile=/tmp/key", "--keyfile"),
    ("ipcontroller --Session.key=s3cr3t", "--Session.key is not needed here"),
    ("ipengine --Session.packer=pickle", "--Session.packer"),
    ("ipcluster start --Session.debug=True", "--Session.debug"),
    ("ipcontroller --clean-logs", "--clean-logs"),
    ("ipengine --clean-logs=True", "--clean-logs"),
    ("ipcontroller --ports=10101-10120", "--ports is more than is needed"),
    ("ipcontroller --IPController.enable_curve=True", "--IPController.enable_curve"),
    ("ipcontroller --IPController.broadcast_scheduler_depth=2", "broadcast_scheduler_depth"),
    ("ipcontroller --HubFactory.registration_timeout=10", "registration_timeout"),
    ("ipcontroller --HubFactory.monitor_ip=127.0.0.1", "monitor_ip"),
    ("ipcontroller --HeartMonitor.debug=True", "HeartMonitor.debug"),
    ("ipcontroller --DictDB.cull_fraction=0.2", "cull_fraction"),
    ("ipcontroller --SQLiteDB.table=t", "table"),
    ("ipengine --IPEngine.enable_nanny=False", "supervisor"),
    ("ipengine --EngineFactory.max_heartbeat_misses=50", "--patience"),
    ("ipengine --ZMQInteractiveShell.colors=NoColor", "changes nothing that tasks do"),
    ("ipcluster start --IPClusterEngines.early_shutdown=1", "early_shutdown"),
    ("ipcluster start --IPClusterStart.early_shutdown=1", "early_shutdown"),
    ("ipcluster start --LocalEngineSetLauncher.delay=1", "--LocalEngineSetLauncher.delay"),
    ("ipcluster engines --delay=0.1", "--delay"),
    ("ipcluster stop --signal=9", "--signal"),
    ("ipcluster start -n 4 '&'", "'&' is passed over: it means something to a shell only"),
    ("ipcluster start -n 4 ''", "'' is passed over: it is empty"),
    ("ipcluster start local", "'local' is passed over: everything is started on this host"),
    ("ipcontroller '&'", "'&' is passed over"),
    ("ipengine '' '&'", "'' is passed over"),
    ("ipcluster stop '&'", "'&' is passed over"),
]


@pytest.mark.parametrize(("line", "said"), NOT_NEEDED, ids=[line for line, _ in NOT_NEEDED])
def test_what_nothing_needs_is_taken_with_a_line_that_says_so(
    line: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    read(line)
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == max(1 if said else 0, line.count("''") + line.count("'&'"))
    assert "s3cr3t" not in err


def test_the_first_of_a_pool_of_ports_is_the_port() -> None:
    assert read("ipcontroller --ports=10101-10120").port == 10101
    assert read("ipcontroller --ports 10101,10102").port == 10101
    assert read("ipcontroller --IPController.ports='[10103, 10104]'").port == 10103


REFUSED: Final = [
    ("ipcontroller --restore", "with --reuse their old file is still good"),
    ("ipcontroller --IPController.restore_engines=True", "engines end with their controller"),
    ("ipcontroller --mongodb", "--sqlitedb"),
    ("ipcontroller --log-url=tcp://x:1", "--log-to-file"),
    ("ipcontroller --HubFactory.mux=1,2", "--port=PORT"),
    ("ipcontroller --IPController.client_ports=1-9", "--port=PORT"),
    ("ipcontroller --IPController.engine_json_file=x", "--cluster-id"),
    ("ipcontroller --IPController.curve_secretkey=s3cr3t", "connection file"),
    ("ipengine --mpi=mpi4py", "True or False"),
    ("ipengine --MPI.use=mpi4py", "ipengine --mpi"),
    ("ipengine --ip=10.0.0.1", "--url"),
    ("ipengine --InteractiveShellApp.extensions=autoreload", "%load_ext"),
    ("ipengine --IPKernelApp.pylab=inline", "-c 'from pylab import *'"),
    ("ipcluster start --engines=WinHPC", "from wherever"),
    (
        "ipcluster start --IPClusterStart.controller_launcher_class="
        "ipyparallel.apps.launcher.WindowsHPCControllerLauncher",
        "wherever",
    ),
    ("ipcluster start --IPClusterEngines.engine_launcher_class=WinHPC", "wherever"),
    ("ipcluster start --WindowsHPCLauncher.owner='[]x'", "Windows HPC Server"),
    ("ipcluster start --LocalEngineSetLauncher.engine_cmd=python2", "the Python that starts"),
    ("ipcluster start -n 4 remote", "unexpected argument 'remote'"),
]


@pytest.mark.parametrize(("line", "said"), REFUSED, ids=[line for line, _ in REFUSED])
def test_what_would_change_the_result_is_refused_with_what_to_do(line: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(line)
    assert said in str(caught.value)
    assert "s3cr3t" not in str(caught.value)


LAUNCHERS: Final = [
    "local",
    "Local",
    "LocalEngineSetLauncher",
    "ipyparallel.apps.launcher.LocalEngineSetLauncher",
    "ipyparallel.cluster.launcher.LocalEngineSetLauncher",
    "ipyparallel.cluster.launcher:LocalEngineSetLauncher",
    "IPython.parallel.apps.launcher.LocalEngineSetLauncher",
    "hippodrome.cluster.launcher.LocalEngineSetLauncher",
]


@pytest.mark.parametrize("name", LAUNCHERS)
def test_dotted_names_of_launchers_of_this_host_mean_ours(name: str) -> None:
    started = read(f"ipcluster start --engines={name}")
    assert engine_launcher(started.engines) is LocalEngineSetLauncher
    other = name.replace("EngineSet", "Controller")
    line = f"ipcluster start --IPClusterStart.controller_launcher_class={other}"
    assert controller_launcher(read(line).controller) is LocalControllerLauncher


FILES: Final = [
    ("ipcluster start", "c.LocalEngineSetLauncher.delay = 0.2\nc.Cluster.delay = 3", "lines 1, 2"),
    ("ipcluster start", "c.IPClusterStart.early_shutdown = 3", "line 1"),
    ("ipcluster start", "c.Session.key = b's3cr3t'", "c.Session.key is not needed"),
    ("ipcluster start", "c.SSHProxyEngineSetLauncher.to_send = []", "to nothing"),
    ("ipcontroller", "c.Session.packer = 'json'\nc.Session.unpacker = 'json'", "are not needed"),
    ("ipcontroller", "c.IPControllerApp.restore_engines = False", "to nothing"),
    ("ipengine", "c.IPythonKernel.debug_just_my_code = True", "changes nothing"),
    ("ipengine", "c.InteractiveShell.colors = 'NoColor'", "changes nothing"),
    ("ipengine", "c.IPKernelApp.matplotlib = 'inline'", "shown inline anyway"),
]


@pytest.mark.parametrize(("line", "text", "said"), FILES, ids=[text for _, text, _ in FILES])
def test_what_nothing_needs_of_a_file_is_one_line_that_names_it(
    profile: Path, line: str, text: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = profile / f"{line.split()[0]}_config.py"
    path.write_text(text)
    read(line)
    err = capsys.readouterr().err
    assert said in err
    assert str(path) in err
    assert err.count("\n") == 1
    assert "s3cr3t" not in err


@pytest.mark.parametrize(
    ("line", "text", "said"),
    [
        ("ipcluster start", "c.SSHProxyEngineSetLauncher.hostname = 'a'", "ipengine by hand"),
        ("ipcluster start", "\nc.IPClusterStart.engine_launcher_class = 'WinHPC'", "wherever"),
        ("ipcontroller", "c.IPControllerApp.restore_engines = True", "start new ones"),
        ("ipengine", "c.MPI.use = 'mpi4py'", "ipengine --mpi"),
        ("ipengine", "c.InteractiveShellApp.extensions = ['autoreload']", "%load_ext"),
    ],
)
def test_what_would_change_the_result_is_refused_in_files_too(
    profile: Path, line: str, text: str, said: str
) -> None:
    path = profile / f"{line.split()[0]}_config.py"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        read(line)
    assert str(path) in str(caught.value)
    assert said in str(caught.value)


def test_stopping_and_listing_do_not_depend_on_launchers(
    profile: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "c.SSHEngineSetLauncher.engines = {'a': 1}\nc.IPClusterStart.engines = 'slrum'\n"
    (profile / "ipcluster_config.py").write_text(text)
    for line in ("ipcluster stop", "ipcluster list", "ipcluster clean"):
        read(line)
    assert "Launcher" not in capsys.readouterr().err


def test_what_the_tables_rename_is_there() -> None:
    families = {
        "ipcluster": "ipcluster start",
        "ipcontroller": "ipcontroller",
        "ipengine": "ipengine",
    }
    of_others = {"all", "output"}  # options of other subcommands
    for family, name in families.items():
        given = set(PROGRAMS[name].class_traits(config=True)) | of_others
        classes = {**OLD_CLASSES[family], **OLD_CLASSES[ANY]}
        tables = [*classes.values(), OLD_OPTIONS[family], OLD_SWITCHES[family]]
        renamed = {
            fate.to for table in tables for fate in table.values() if isinstance(fate, Renamed)
        }
        assert renamed <= given, renamed - given
