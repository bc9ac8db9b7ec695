"""What the pages of the site are made of: every block runs, or says why it does not."""

from __future__ import annotations

import ast
import dataclasses
import re
from pathlib import Path
from typing import Final

import pytest

import hippodrome as ipp
from hippodrome import errors
from hippodrome.client.results.metadata import KEYS
from hippodrome.client.views.flags import TaskFlags
from hippodrome.magics.px import ParallelMagics
from support import environment

DOCS: Final = Path(__file__).parents[2] / "docs"
SECTIONS: Final = ("start", "tutorials", "how-to", "trouble", "coming-from")
PAGES: Final = sorted(page for section in SECTIONS for page in (DOCS / section).rglob("*.md"))
REFERENCE: Final = "\n".join(page.read_text() for page in (DOCS / "reference").rglob("*.md"))
THEIRS: Final = ("numpy", "networkx", "matplotlib", "joblib", "distributed")
LIVE: Final = {"code-cell", "terminal", "file", "not-run"}
STILL: Final = re.compile(
    r"toctree|include|figure|image|note|tip|warning|important|seealso|dropdown|eval-rst|table"
    r"|list-table|grid|card|tab-"
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_what_looks_like_code_runs(page: Path) -> None:
    opened = ""
    for number, line in enumerate(page.read_text().splitlines(), 1):
        fence = re.match(r"(`{3,}|~{3,}|:{3,})(.*)", line)
        if fence is None:
            continue
        if opened:
            opened = "" if fence[1] == opened and not fence[2] else opened
            continue
        if fence[1][0] == ":":
            continue
        opened = fence[1]
        kind = fence[2].strip()
        directive = re.match(r"\{([a-z-]+)\}", kind)
        assert directive or kind == "text", (
            f"line {number}: a block of {kind or 'nothing'} is not run: make it a code-cell, a "
            "terminal, a file, text, or not-run with a reason"
        )
        if directive:
            name = directive[1]
            assert name in LIVE or STILL.match(name), f"line {number}: what is {{{name}}}?"


@pytest.mark.parametrize("name", sorted(ipp.__all__))
def test_each_public_name_is_in_the_reference(name: str) -> None:
    assert re.search(rf"\bhippodrome\.{re.escape(name)}\b", REFERENCE)


def words_in_code(page: str) -> set[str]:
    """Return all that a page of the reference has between backticks."""
    return {*re.findall(r"`([^`\n]+)`", (DOCS / "reference" / page).read_text())}


NAME = "[A-Z0-9]{2,}(_[A-Za-z0-9]+)*"


def test_each_environment_variable_that_is_read_is_on_the_page_and_no_other() -> None:
    page = {word for word in words_in_code("environment.md") if re.fullmatch(NAME, word)}
    assert page == environment.variables()


@pytest.mark.parametrize(
    "text",
    [
        "os.environ.get('NEW')", "os.environ['NEW']", "os.getenv('NEW', 1)", "'NEW' in os.environ",
        "if new := os.environ.setdefault('NEW', ''): pass",
    ],
)  # fmt: skip
def test_a_variable_is_found_however_it_is_read(text: str) -> None:
    assert [*environment.of_tree("new", ast.parse(text))] == ["NEW"]


def test_what_reads_variables_without_their_names_is_found() -> None:
    with pytest.raises(AssertionError, match="not by a name"):
        [*environment.of_tree("new", ast.parse("dict(os.environ)"))]


def test_each_magic_is_on_the_page_and_each_option_is_told_in_words() -> None:
    page = (DOCS / "reference" / "magics.md").read_text()
    with_options = {
        name for name, magic in vars(ParallelMagics).items() if hasattr(magic, "parser")
    }
    assert {*re.findall(r"\{magic-options\} (\w+)", page)} == with_options
    for name in with_options:
        assert all(action.help for action in getattr(ParallelMagics, name).parser._actions)
    assert {"%px CODE", "%autopx"} <= words_in_code("magics.md")


def test_each_key_of_metadata_and_each_flag_is_on_its_page() -> None:
    assert words_in_code("api/async-result.md") >= {*KEYS}
    assert words_in_code("api/load-balanced-view.md") >= {
        f.name for f in dataclasses.fields(TaskFlags)
    }


def test_each_page_of_the_reference_is_in_its_list() -> None:
    index = (DOCS / "reference" / "index.md").read_text()
    listed = re.findall(r"^([\w./-]+)$", index, re.MULTILINE)
    linked = {link.removesuffix(".md") for link in re.findall(r"\]\(([^)#]+)\)", index)}
    assert linked == {*listed}
    assert linked >= {path.stem for path in (DOCS / "reference").glob("*.md")} - {"index"}


def test_each_example_is_on_the_page_with_what_it_imports() -> None:
    page = (DOCS / "reference" / "examples.md").read_text()
    rows = {line.split("]")[0]: line for line in page.splitlines() if line.startswith("| [")}
    for path in sorted((DOCS.parent / "examples").glob("*.*")):
        row = rows.pop(f"| [{path.name}")
        needs = {name for name in THEIRS if re.search(rf"(import|from) {name}\b", path.read_text())}
        assert all(name in row for name in needs), f"{path.name} needs {needs}"
        if path.suffix == ".py":
            assert f"{{literalinclude}} ../../examples/{path.name}\n" in page
    assert not rows


def test_each_error_is_in_the_reference() -> None:
    page = (DOCS / "reference" / "api" / "errors.md").read_text()
    for name, error in vars(errors).items():
        if isinstance(error, type) and error.__module__ == errors.__name__ and name[0] != "_":
            assert re.search(rf"autoexception:: hippodrome(\.errors)?\.{name}\n", page), name
