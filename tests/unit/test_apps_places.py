"""Folders and names that options give, and that cannot be: one sentence and exit code 2."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hippodrome.apps import base, exitcodes, ipcluster
from hippodrome.apps.controller_options import IPController
from hippodrome.apps.engine_options import IPEngine

PROGRAMS = [*ipcluster.SUBCOMMANDS.values(), IPController, IPEngine]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file where a folder should be; nothing else is there."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "a file"
    path.touch()
    return path


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--profile=a/b", "'a/b' is no name of a profile"),
        ("--profile=..", "'..' is no name of a profile"),
        ("--work-dir=/no/such", "cannot change to --work-dir /no/such: No such file"),
        ("--work-dir=a file", "cannot change to --work-dir a file: Not a directory"),
        ("--profile-dir=a file", "{file} is no folder"),
        ("--ipython-dir=a file", "{file} is no folder"),
        ("--cluster-id=a/b", "'a/b' is no cluster id: it must not contain a slash"),
        (f"--cluster-id={'a' * 300}", "is no cluster id: it is longer than 200 bytes"),
        ("--config=a", "there is no configuration file {file.parent}/a"),
        ("--config=.", "cannot read the configuration file {file.parent}: Is a directory"),
        (f"--profile-dir={'a' * 300}", "File name too long"),
    ],
)
def test_what_cannot_be_is_told_of_by_all_programs(
    file: Path,
    capsys: pytest.CaptureFixture[str],
    program: type[base.Program],
    option: str,
    words: str,
) -> None:
    argument = ["bash"] if program.name.endswith("completion") else []
    assert base.run(program, [*argument, option]) == exitcodes.USAGE
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"{program.name}: ")
    assert words.format(file=file) in said.err
    assert said.err.count("\n") == 1
    assert os.listdir(file.parent) == [file.name], "something was made"


@pytest.mark.parametrize("question", ["--generate-config", "--show-config", "--init"])
def test_nothing_is_written_below_a_file(
    file: Path, capsys: pytest.CaptureFixture[str], question: str
) -> None:
    program = ipcluster.SUBCOMMANDS["stop"]
    assert base.run(program, ["--profile-dir=a file", question]) == exitcodes.USAGE
    assert capsys.readouterr().err == f"{program.name}: {file} is no folder\n"


def test_a_name_of_a_cluster_may_be_as_long_as_names_of_files_allow() -> None:
    from hippodrome.apps.places import check_cluster_id
    from hippodrome.apps.settings import UsageError

    check_cluster_id("\u00e9" * 100)
    for name in ("\u00e9" * 100 + "a", "a\0b", "\udc80" * 201):
        with pytest.raises(UsageError, match="no cluster id"):
            check_cluster_id(name)


def test_a_folder_that_has_gone_is_told_of(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = file.parent / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert base.run(ipcluster.SUBCOMMANDS["list"], []) in (exitcodes.OK, exitcodes.FAILED)
    assert "Traceback" not in capsys.readouterr().err
