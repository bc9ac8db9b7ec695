"""Type checkers find wrong calls, and know what calls return."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

CALLS: Final = Path(__file__).parents[1] / "typing" / "calls.py"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_wrong_calls_are_found_and_results_have_types() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable, CALLS],
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert ran.stdout.startswith("{"), ran.stdout + ran.stderr
    found = {
        one["range"]["start"]["line"] + 1: one["message"]
        for one in json.loads(ran.stdout)["generalDiagnostics"]
        if one["severity"] == "error"
    }
    lines = CALLS.read_text().splitlines()
    wrong = {number for number, line in enumerate(lines, 1) if line.endswith("# wrong")}
    assert len(wrong) > 5
    assert found.keys() == wrong, found
