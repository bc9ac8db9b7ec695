"""Scripts written for ipyparallel's batch launchers are filled as there, and lose nothing."""

from __future__ import annotations

import re

import pytest

from hippodrome.errors import LaunchError
from hippodrome.launch.templates import (
    Said,
    completed,
    filled,
    starts_all,
    with_lines,
    without_indent,
)

VALUES = {"n": 8, "queue": "gpu", "profile_dir": "/p", "cluster_id": "c"}
SAID = [
    Said("queue", "-q gpu", re.compile(r"-q\b")),
    Said("time", "-l walltime=01:00:00", re.compile(r"walltime")),
]


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{n}", "8"),
        ("{n//4}:ppn=4", "2:ppn=4"),
        ("{n:03d}", "008"),
        ("{queue!r}", "'gpu'"),
        ("${{HOME}}/{cluster_id}", "${HOME}/c"),
        ("{profile_dir}/{queue.upper()}", "/p/GPU"),
        ("{max(1, n - 1)}", "7"),
        ("{'x' * 3}", "xxx"),
    ],
)
def test_expressions_are_evaluated(template: str, text: str) -> None:
    assert filled(template, VALUES, "the template") == text


def test_an_unknown_name_is_said_with_its_line() -> None:
    with pytest.raises(LaunchError, match=r"mine\.tpl, line 2: name 'walltime' is not defined"):
        filled("#!/bin/sh\n#PBS -l {walltime}", VALUES, "mine.tpl")


@pytest.mark.parametrize("template", ["{n", "n}", "{1/0}", "{n:zz}", "{}"])
def test_what_cannot_be_filled_is_said(template: str) -> None:
    with pytest.raises(LaunchError, match="cannot be filled"):
        filled(template, VALUES, "the template")


@pytest.mark.parametrize(
    ("template", "all_at_once"),
    [
        ("#!/bin/sh\n{program_and_args}", True),
        ("#PBS -t 1-{n}\n{program_and_args}", False),
        ("#PBS -t 1-8\n{program_and_args}", False),
        ("srun {program_and_args}", False),
        ("mpiexec -n 8 {program_and_args}", False),
        ("#$ -t 1-4\n{program_and_args}", False),
        ("#BSUB -J x[1-4]\n{program_and_args}", False),
        ("echo {cluster_id} {queue}; {program_and_args}", True),
    ],
)
def test_it_is_known_whether_the_program_starts_all(template: str, all_at_once: bool) -> None:
    assert starts_all(template) is all_at_once


@pytest.mark.parametrize(
    ("template", "lines"),
    [
        ("#!/bin/sh\nrun", ["#PBS -q gpu", "#PBS -l walltime=01:00:00"]),
        ("#!/bin/sh\n#PBS -q fast\nrun", ["#PBS -l walltime=01:00:00", "#PBS -q fast"]),
        ("#!/bin/sh\n#PBS -l walltime=3:00\nrun", ["#PBS -q gpu", "#PBS -l walltime=3:00"]),
        ("#!/bin/sh\nqsub_mine {queue}", ["#PBS -l walltime=01:00:00"]),
    ],
)
def test_a_template_loses_neither_queue_nor_time(template: str, lines: list[str]) -> None:
    script = filled(template, VALUES, "it")
    text = completed(script, template, "#PBS ", SAID, {"queue": "gpu", "time": 3600})
    assert [line for line in text.splitlines() if line.startswith("#PBS")] == lines
    assert text.startswith("#!/bin/sh\n")


def test_what_is_not_set_is_not_added() -> None:
    assert completed("run", "run", "#PBS ", SAID, {}) == "run"


def test_lines_come_first_where_nothing_says_what_runs_the_script() -> None:
    assert with_lines("run\n", ["#PBS -q gpu"]) == "#PBS -q gpu\nrun\n"


def test_an_indented_template_is_as_good() -> None:
    text = "\n    #!/bin/sh\n    #PBS -q gpu\n    # PBS\n    if true; then\n        run\n    fi\n"
    assert without_indent(text) == (
        "#!/bin/sh\n#PBS -q gpu\n    # PBS\n    if true; then\n        run\n    fi\n"
    )
