"""What completion proposes is what the parser takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from hippodrome.apps import ipcluster
from hippodrome.apps.commandline import parse
from hippodrome.apps.completing import FILES, FOLDERS, complete
from hippodrome.apps.completion import SCRIPTS
from hippodrome.apps.controller_options import IPController
from hippodrome.apps.engine_options import IPEngine
from hippodrome.scheduler.schemes import SCHEME_NAMES

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def ipython_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    for name in ("default", "work"):
        (tmp_path / f"profile_{name}" / "security").mkdir(parents=True)
    security = tmp_path / "profile_work" / "security"
    (security / "cluster-monday.json").touch()
    (security / "ipcontroller-tuesday-client.json").touch()
    (security / "cluster-.json").touch()
    return tmp_path


def proposed(*words: str) -> list[str]:
    if words[0] in ("ipcontroller", "ipengine"):
        programs = {"": IPController if words[0] == "ipcontroller" else IPEngine}
        return [text for text, _ in complete(words, programs, {})]
    rest = {"start": IPController}
    return [text for text, _ in complete(words, ipcluster.SUBCOMMANDS, rest)]


def test_every_subcommand_is_proposed_with_what_it_does() -> None:
    found = dict(complete(["ipcluster", ""], ipcluster.SUBCOMMANDS, {}))
    for name, program in ipcluster.SUBCOMMANDS.items():
        assert found[name] == program.description
        assert name in proposed("hippodrome", "help", "")
    assert proposed("ipcluster", "sto") == ["stop"]
    assert proposed("ipcluster", "nonsense", "") == []


@pytest.mark.parametrize("command", ["ipcontroller", "ipengine", *ipcluster.SUBCOMMANDS])
def test_every_option_is_proposed_and_every_proposal_is_an_option(command: str) -> None:
    words = [command] if command.startswith("ip") else ["ipcluster", command]
    known = {"ipcontroller": IPController, "ipengine": IPEngine, **ipcluster.SUBCOMMANDS}
    syntax = known[command].syntax()
    found = {text.rstrip("=").lstrip("-") for text in proposed(*words, "-")} - {""}
    assert {*syntax.aliases, *syntax.flags} <= found
    targets = [text for text in proposed(*words, "--I") if "." in text]
    assert targets
    for text in [*proposed(*words, "--"), *targets]:
        if text != "--":
            parse([f"{text}1" if text.endswith("=") else text], syntax)


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["ipcontroller", "--scheme="], [f"--scheme={name}" for name in SCHEME_NAMES]),
        (["ipcontroller", "--scheme", "l"], ["leastload", "lru"]),
        (["ipcontroller", "--TaskScheduler.scheme_name=lr"], ["--TaskScheduler.scheme_name=lru"]),
        (["ipengine", "--log-level", "D"], ["DEBUG"]),
        (["ipcluster", "start", "--engines=lo"], ["--engines=local"]),
        (["ipcluster", "start", "--controller", ""], ["local", "ssh"]),
        (["ipcluster", "start", "--daemonize="], ["--daemonize=True", "--daemonize=False"]),
        (["ipcluster", "start", "--", "--sche"], ["--scheme="]),
        (["ipcluster", "start", "--", "--scheme=lr"], ["--scheme=lru"]),
        (["ipcluster", "list", "-o", ""], ["text", "json"]),
        (["ipcluster", "completion", "z"], ["zsh"]),
        (["ipcluster", "start", "--profile="], ["--profile=default", "--profile=work"]),
        (["ipcluster", "start", "--profile", "w"], ["work"]),
        (["ipcluster", "stop", ""], []),
        (["ipcluster", "stop", "--profile=work", ""], ["monday", "tuesday"]),
        (["ipcluster", "stop", "--profile", "work", "monday", ""], ["tuesday"]),
        (["ipengine", "--profile=work", "--cluster-id=m"], ["--cluster-id=monday"]),
        (["ipcluster", "stop", "--profile=a/b", ""], []),
        (["ipengine", "--file", ""], [FILES]),
        (["ipengine", "--profile-dir=x"], [FOLDERS]),
        (["ipengine", "-n", ""], []),
        (["ipcluster"], [*ipcluster.SUBCOMMANDS, "help", "--help", "--help-all", "--version"]),
    ],
)  # fmt: skip
def test_values_are_proposed(words: list[str], found: list[str]) -> None:
    assert proposed(*words) == found


def test_no_script_knows_an_option() -> None:
    for script in SCRIPTS.values():
        assert "--scheme" not in script
        assert "__complete" in script


def test_a_shell_that_there_is_not_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert ipcluster.main(["completion", "fsh"]) == 2
    assert "did you mean fish?" in capsys.readouterr().err
    assert ipcluster.main(["completion", "powershell"]) == 2
    assert "there are: bash, zsh, fish" in capsys.readouterr().err


def test_completion_fails_for_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    for words in ([], ["ipcluster"], ["/odd/ipengine", "--x="], ["ipcluster", "start", "--=", ""]):
        assert ipcluster.main(["__complete", *words]) == 0
    assert capsys.readouterr().err == ""


def test_the_page_of_options_is_what_the_programs_take() -> None:
    from hippodrome.apps.reference import reference_text

    ipcluster.main(["--version"])  # which gives the programs their names
    page = (ROOT / "docs" / "options.md").read_text(encoding="utf-8")
    assert page == reference_text(), "python -m hippodrome.apps.reference > docs/options.md"
