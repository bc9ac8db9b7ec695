"""What the README says that a user can type."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from support.processes import Site

ROOT = Path(__file__).parents[2]
README = re.findall(r"^```(\w+)\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)
PROGRAM = """
import hippodrome as ipp
rc = ipp.Client()
print(rc.ids)
print(rc[:].apply_sync(lambda: 1 + 1))
print(rc.load_balanced_view().map_sync(abs, range(-5, 0)))
"""


def test_a_controller_engines_and_a_program_in_three_terminals(site: Site) -> None:
    site.start("ipcontroller")
    site.start("ipengine", "-n", "4")
    shown = site.python("-c", PROGRAM)
    assert shown.stdout == "[0, 1, 2, 3]\n[2, 2, 2, 2]\n[5, 4, 3, 2, 1]\n", shown.stderr


def test_one_engine_is_what_ipengine_starts_if_not_told(site: Site) -> None:
    site.start("ipcontroller")
    site.start("ipengine")
    shown = site.python("-c", "import hippodrome; print(hippodrome.Client().ids)")
    assert shown.stdout == "[0]\n", shown.stderr


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_the_example_surveys_the_standard_library(site: Site, tmp_path: Path) -> None:
    example = ROOT / "examples" / "stdlib_survey.py"
    shown = site.python(str(example), timeout_s=150)
    assert shown.returncode == 0, shown.stderr
    assert "from_python_2.py" in shown.stdout  # the file that does not parse
    assert re.search(r"[\d,]+ files parsed, [\d,]+ lines", shown.stdout)
    assert re.search(r"_strptime.py:\d+ _strptime", shown.stdout)


def test_ipcluster_starts_lists_and_stops_a_cluster(site: Site) -> None:
    cluster = site.start("ipcluster", "start", "-n", "2")
    listed = site.run("ipcluster", "list").stdout
    shown = site.python("-c", "import hippodrome; print(hippodrome.Client().ids)")
    stopped = site.run("ipcluster", "stop")
    assert "default" in listed
    assert shown.stdout == "[0, 1]\n", shown.stderr
    assert stopped.returncode == 0, stopped.stderr
    assert cluster.wait() == 0


def test_the_program_of_the_readme_works(site: Site, tmp_path: Path) -> None:
    (program,) = [block for language, block in README if language == "python"]
    script = tmp_path / "script.py"
    script.write_text(program)
    shown = site.python(str(script))
    assert shown.stdout == f"{[x**2 for x in range(10)]}\n", shown.stderr


def test_the_terminals_of_the_readme_show_what_they_say(site: Site, tmp_path: Path) -> None:
    """All but what installs; that the wheel installs is known to test_packaging.py."""
    consoles = [block for language, block in README if language != "python"]
    commands = [
        command
        for block in consoles
        for command in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
        if not command.startswith("pip install ")
    ]
    assert len(commands) == 3
    for command in commands:
        name, *arguments = shlex.split(command.splitlines()[0])
        done = site.python(*arguments) if name == "python" else site.run(name, *arguments)
        assert done.returncode == 0, done.stderr
        assert "".join(command.splitlines(keepends=True)[1:]) in done.stdout + done.stderr
