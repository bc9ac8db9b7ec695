"""Tasks that change their process before IPython is there: the first cell runs all the same."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

import pytest

# What a task does to its engine, by what that is.
FAULTS = {
    "its folder is gone": """
        import os, shutil, tempfile
        folder = tempfile.mkdtemp()
        os.chdir(folder)
        shutil.rmtree(folder)
    """,
    "no output": "import sys; sys.stdout = None",
    "no streams": """
        import sys
        sys.stdout = sys.stderr = sys.stdin = sys.__stdout__ = sys.__stderr__ = sys.__stdin__ = None
    """,
    "a closed stream": "import io, sys; sys.stdout = io.StringIO(); sys.stdout.close()",
    "no hooks and arguments": "import sys; sys.displayhook = sys.excepthook = None; del sys.argv",
    "an empty path": "import sys; sys.path[:] = []",
    "no path": "import sys; sys.path = None",
    "another main module": "import sys, types; sys.modules['__main__'] = types.ModuleType('main')",
    "no environment": "import os; os.environ.clear()",
    "another home": """
        import os
        os.environ.update(HOME="/nowhere", IPYTHONDIR="/proc/nowhere", TERM="", TMPDIR="/nowhere")
    """,
    "warnings are errors": "import warnings; warnings.simplefilter('error')",
    "signals are ignored": """
        import signal
        for name in ("SIGINT", "SIGTERM", "SIGCHLD"):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    """,
    "files that nobody can read": "import os; os.umask(0o777)",
    "little room on the stack": "import sys; sys.setrecursionlimit(100)",
    "no collector": "import gc; gc.disable()",
    "another open": "import builtins; builtins.open = None",
    "another clock": """
        import time
        time.time, time.monotonic, time.perf_counter = (lambda: 1e9), None, None
    """,
    "another os": "import os; os.getcwd = os.makedirs = os.path.expanduser = None",
    "no module finders": "import sys; sys.path_hooks[:] = []",
    "modules of the same names": """
        import os, sys, tempfile
        folder = tempfile.mkdtemp()
        names = ["traitlets", "decorator", "pygments", "stack_data", "pdb", "cmd", "IPython"]
        for name in names:
            with open(os.path.join(folder, f"{name}.py"), "w") as file:
                file.write("mine = True")
        sys.path.insert(0, folder)
        os.chdir(folder)
        for name in names[:-1]:
            assert __import__(name).mine
    """,
    "modules made by hand": """
        import sys, types
        sys.modules["traitlets"], sys.modules["pygments"] = None, types.ModuleType("pygments")
    """,
    "a drawing": """
        import io
        from matplotlib import pyplot
        figure, axes = pyplot.subplots()
        axes.plot([1, 2])
        figure.savefig(io.BytesIO())
        pyplot.close(figure)
    """,
    "tracing": "import sys; sys.settrace(lambda *args: None)",
}
SCRIPT = """
    import json, sys
    import hippodrome as ipp

    with open(sys.argv[1]) as file:
        faults = json.load(file)
    cell = "import os, sys\\nfrom __main__ import *\\nx = 21\\nx * 2"
    with ipp.Cluster(n=len(faults), log_level=40) as rc:
        for engine, (name, source) in zip(rc.ids, faults.items(), strict=True):
            view = rc[engine]
            if name == "another main module":
                cell = cell.replace("from __main__ import *", "")
            try:
                view.apply_async(exec, source, {}).get(60)
                shown = view.execute(cell, silent=False).get(60).data
                assert shown == {"text/plain": "42"}, shown
                assert view.pull("x").get(60) == 21
                try:
                    view.execute("1/0").get(60)
                except ZeroDivisionError as error:
                    assert "another exception" not in error.traceback, error.traceback
                assert view.apply_async(lambda: 7).get(60) == 7
            except BaseException as error:
                print(name, type(error).__name__, error, getattr(error, "traceback", ""))
    print("done")
"""
FIGURES = """
    import sys
    import hippodrome as ipp

    def save():
        import io
        from matplotlib import pyplot
        figure, axes = pyplot.subplots()
        axes.plot([1, 2])
        figure.savefig(io.BytesIO())
        pyplot.close(figure)

    def draw():
        from matplotlib import pyplot
        pyplot.plot([1, 2])

    def n_pictures(result):
        result.get(60)
        return sum("image/png" in output["data"] for output in result.outputs)

    if __name__ == "__main__":
        with ipp.Cluster(n=2, log_level=40) as rc:
            first, second = rc[0], rc[1]
            first.apply_sync(save)
            cells = ["from matplotlib import pyplot; pyplot.plot([1, 2])",
                     "pyplot.figure(); pyplot.plot([1, 2]); pyplot.show()"]
            print([n_pictures(first.execute(cell)) for cell in cells])
            print(n_pictures(second.apply_async(draw)), n_pictures(second.execute("1")))
"""


def run(cluster: Any, tmp_path: Path, source: str, *args: str) -> str:
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(source))
    done = cluster.python(str(script), *args, timeout_s=300)
    assert done.returncode == 0, done.stderr
    return str(done.stdout)


def test_the_first_cell_runs_whatever_a_task_has_done_to_its_process(
    cluster: Any, tmp_path: Path
) -> None:
    faults = {name: textwrap.dedent(source) for name, source in FAULTS.items()}
    (tmp_path / "faults").write_text(json.dumps(faults))
    assert run(cluster, tmp_path, SCRIPT, str(tmp_path / "faults")) == "done\n"


def test_figures_are_shown_whether_a_task_or_a_cell_drew_first(
    cluster: Any, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    assert run(cluster, tmp_path, FIGURES) == "[1, 1]\n1 0\n"
