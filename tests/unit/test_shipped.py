"""What systems and indexes are told of the package: man pages, completion files, a citation."""

from __future__ import annotations

import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

import hippodrome
from hippodrome.apps import ipcluster
from hippodrome.apps.completion import COMMANDS
from hippodrome.apps.described import COMMON, PROGRAMS
from hippodrome.apps.helptext import own_targets
from hippodrome.apps.manpages import man_page
from hippodrome.apps.shipped import main, shipped_files

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def files_below(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text(encoding="utf-8")
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_what_is_shipped_is_what_the_programs_take() -> None:
    assert files_below(ROOT / "share") == shipped_files(), "python -m hippodrome.apps.shipped"


def test_it_is_written_where_it_is_wanted(tmp_path: Path) -> None:
    main(str(tmp_path / "share"))
    assert files_below(tmp_path / "share") == shipped_files()


def test_pages_are_the_same_however_the_process_was_called() -> None:
    before = {command: man_page(command) for command in COMMANDS}
    with pytest.MonkeyPatch.context() as patch:
        for program in ipcluster.SUBCOMMANDS.values():
            patch.setattr(program, "name", program.name.replace("ipcluster", "hippodrome"))
        assert {command: man_page(command) for command in COMMANDS} == before


def test_each_command_has_a_page_and_each_option_is_on_it() -> None:
    assert {*PROJECT["scripts"]} == {*COMMANDS}
    for name, program in PROGRAMS.items():
        page = man_page(name.partition(" ")[0]).replace(r"\-", "-")
        told = own_targets(program)
        names = {trait.metadata.get("in_file", target) for target, trait in told.items()}
        for target in names - {f"{program.__name__}.{common}" for common in COMMON}:
            assert f"c.{target}\n" in page, target
        for code in program.exit_codes:
            assert f".B {code}\n" in page


@pytest.mark.parametrize("command", COMMANDS)
def test_troff_has_nothing_to_say_about_a_page(command: str) -> None:
    if shutil.which("groff") is None:
        pytest.skip("there is no groff: nobody has read the man pages")
    done = subprocess.run(
        ["groff", "-man", "-Tascii", "-ww"],
        input=man_page(command),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    assert command in done.stdout


def test_those_who_cite_it_find_how() -> None:
    yaml = pytest.importorskip("yaml", reason="there is no yaml: nobody has read CITATION.cff")
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert citation["version"] == hippodrome.__version__
    assert citation["license"] == PROJECT["license"]
    assert citation["authors"] == PROJECT["authors"]
    assert citation["url"] == PROJECT["urls"]["Documentation"]
    assert citation["repository-code"] == PROJECT["urls"]["Source"]


def test_an_extra_has_what_the_examples_import() -> None:
    extra = " ".join(PROJECT["optional-dependencies"]["examples"])
    known = {"hippodrome", "distributed", "joblib", "matplotlib", "networkx", "numpy"}
    for path in sorted((ROOT / "examples").iterdir()):
        for name in known - {"hippodrome"}:
            if f"import {name}" in path.read_text():
                assert name in extra, path
