"""What the README says that a user can type."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support.processes import Site

ROOT = Path(__file__).parents[2]
ONE_LINER = re.search(r'^\$ python -c "(.*)"$', (ROOT / "README.md").read_text(), re.MULTILINE)


def test_a_controller_engines_and_a_program_in_three_terminals(site: Site) -> None:
    assert ONE_LINER is not None
    site.start("ipcontroller")
    site.start("ipengine", "-n", "4")
    shown = site.python("-c", ONE_LINER[1])
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


def test_what_the_readme_shows_works(site: Site, tmp_path: Path) -> None:
    """The first example of the README, as a script."""
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)
    script = tmp_path / "script.py"
    script.write_text(next(block for block in blocks if "ipp.Cluster(" in block))
    shown = site.python(str(script))
    squares, scaled, pids = shown.stdout.splitlines()
    assert squares == str([x**2 for x in range(10)])
    assert scaled == "[40, 40, 40, 40]"
    assert len(set(pids.strip("[]").split(", "))) == 4
