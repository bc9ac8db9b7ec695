"""Options of launchers: the same names and values in Python, on command lines and in files."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from traitlets.config import Config

import hippodrome as ipp
from hippodrome.apps.base import configure
from hippodrome.apps.commandline import parse
from hippodrome.apps.settings import UsageError
from hippodrome.apps.subcommands import IPClusterStart
from hippodrome.launch import options as o
from hippodrome.launch.find import engine_launcher
from hippodrome.launch.options import LAUNCHER_OPTIONS, SECTIONS, read_options


def read(**given: Any) -> dict[str, Any]:
    return read_options("slurm", LAUNCHER_OPTIONS["slurm"], given)


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        (90, 90),
        ("90", 90),
        ("45m", 2700),
        ("1h", 3600),
        ("1h30m", 5400),
        ("1.5 hours", 5400),
        ("1:30:00", 5400),
        ("30:00", 1800),
        ("2-12:00", 216000),
        ("2-12:00:01", 216001),
        (timedelta(minutes=3), 180),
    ],
)
def test_times_are_seconds(given: object, seconds: int) -> None:
    assert read(time=given)["time"] == seconds


@pytest.mark.parametrize("given", ["", "soon", "1h x", 0, -5, "1e99", float("nan"), [1], "1h-2m"])
def test_what_is_no_time_is_said_so(given: object) -> None:
    with pytest.raises(ValueError, match="time must be a time such as 90"):
        read(time=given)


@pytest.mark.parametrize(
    ("given", "size"),
    [("16G", 16 << 30), ("512 MiB", 512 << 20), ("1.5g", 3 << 29), (1000, 1000), ("7kB", 7168)],
)
def test_sizes_are_bytes(given: object, size: int) -> None:
    assert read(memory=given)["memory"] == size


@pytest.mark.parametrize("given", ["x", "-1G", 0, True, "1Q", None.__class__])
def test_what_is_no_size_is_said_so(given: object) -> None:
    with pytest.raises(ValueError, match="memory must be a size such as '16G'"):
        read(memory=given)


@pytest.mark.parametrize("given", [{"jobs": 0}, {"jobs": 1.5}, {"jobs": True}, {"account": "a\nb"}])
def test_other_wrong_values_are_errors_too(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        read(**given)


def test_reading_twice_changes_nothing() -> None:
    once = read(time="1h", memory="2G", jobs="3", prologue="module load gcc", per_host="auto")
    assert read(**once) == once
    assert once["prologue"] == ["module load gcc"]


def test_names_of_ipyparallel_are_taken() -> None:
    assert read(timelimit="2:00:00")["time"] == 7200
    assert read(timelimit="2:00:00", time="1h")["time"] == 3600


def test_an_unknown_option_names_the_nearest() -> None:
    with pytest.raises(TypeError, match="has no option 'tiem'; did you mean 'time'"):
        ipp.Cluster(engines="slurm", tiem="1h")
    with pytest.raises(TypeError, match="has no option 'profil'; did you mean 'profile'"):
        ipp.Cluster(engines="slurm", profil="x")
    with pytest.raises(TypeError, match=r"'time' with engines='local'; with engines='slurm'"):
        ipp.Cluster(n=1, time="1h")
    with pytest.raises(TypeError, match="has no option 'engine'; did you mean 'engines'"):
        ipp.Cluster(engine="slurm")


def test_every_launcher_with_options_has_them_in_the_table() -> None:
    for name, options in LAUNCHER_OPTIONS.items():
        assert tuple(engine_launcher(name).OPTIONS) == options
        assert not options or SECTIONS[name][-1] == engine_launcher(name).__name__
        names = [called for option in options for called in (option.name, *option.old)]
        assert len(names) == len(set(names))
        for option in options:
            assert option.default is None or option.kind.read(option.default) == option.default


def test_an_option_means_the_same_wherever_it_is() -> None:
    kinds: dict[str, o.Kind] = {}
    for options in LAUNCHER_OPTIONS.values():
        for option in options:
            assert kinds.setdefault(option.name, option.kind) is option.kind, option.name


def started(directory: Path, file: str, *words: str) -> Mapping[str, Any]:
    (directory / "ipcluster_config.py").write_text(f"c = get_config()\n{file}\n")
    line = parse([f"--profile-dir={directory}", *words], IPClusterStart.syntax())
    program = IPClusterStart(configure(IPClusterStart, line), line.arguments)
    return program.engine_options()


def test_command_line_wins_over_the_more_specific_class_over_the_others(tmp_path: Path) -> None:
    slurm = "--engines=slurm"
    file = "c.BatchSystemLauncher.time = '1h'"
    assert started(tmp_path, file, slurm)["time"] == 3600
    file += "\nc.SlurmLauncher.time = '2h'"
    assert started(tmp_path, file, slurm)["time"] == 7200
    file += "\nc.SlurmEngineSetLauncher.timelimit = '3:00:00'"
    assert started(tmp_path, file, slurm)["time"] == 7200  # its own name wins over the old one
    file += "\nc.SlurmEngineSetLauncher.time = '4h'"
    assert started(tmp_path, file, slurm)["time"] == 14400
    assert started(tmp_path, file, slurm, "--time=5h")["time"] == 18000


def test_a_list_collects_on_the_command_line_and_is_extended_in_files(tmp_path: Path) -> None:
    assert started(tmp_path, "", "--engines=slurm", "--extra=-x", "--extra=-y")["extra"] == [
        "-x",
        "-y",
    ]
    file = "c.SlurmLauncher.prologue = ['a']\nc.SlurmLauncher.prologue.append('b')"
    assert started(tmp_path, file, "--engines=slurm")["prologue"] == ["a", "b"]


def test_an_option_of_another_launcher_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no option 'time' with engines='local'; with engines="):
        started(tmp_path, "", "--time=1h")
    # a file is for all launchers
    assert started(tmp_path, "c.SlurmLauncher.time = '1h'") == {}


def test_a_wrong_value_in_a_file_is_said_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"line 2: c\.SlurmLauncher\.time must be a time such"):
        started(tmp_path, "c.SlurmLauncher.time = 'soon'", "--engines=slurm")
    with pytest.raises(UsageError, match=r"--jobs must be a whole number of at least 1"):
        started(tmp_path, "", "--engines=slurm", "--jobs=many")


def test_a_cluster_keeps_its_options(tmp_path: Path) -> None:
    own = ipp.Cluster(engines="slurm", profile_dir=tmp_path, jobs=3, per_host=2, time="1h")
    assert own.n == 6
    again = ipp.Cluster.from_dict(own.to_dict())
    assert again.engine_options == own.engine_options
    assert again.engine_launcher_class is own.engine_launcher_class
    assert Config(own.engine_options)["time"] == 3600
