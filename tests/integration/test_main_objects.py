"""Objects of a script's ``__main__`` in its tasks, which pickle them and hand them on."""

from __future__ import annotations

import socket
import textwrap
from pathlib import Path
from typing import Any

import pytest

SCRIPT = """
    import sys
    from dataclasses import dataclass
    from functools import singledispatch
    import hippodrome as ipp

    @dataclass
    class Row:
        x: int

    class Net:
        def __init__(self): self.w = 3
        def step(self, x): return x + self.w

    def helper(x): return x + 1

    @singledispatch
    def kind(x): return "object"

    @kind.register
    def _(x: int): return "int"

    def pickles():
        import pickle
        return pickle.loads(pickle.dumps(Row(3))) == Row(3) and pickle.dumps(Row(4))

    def saves(path):
        import shelve
        with shelve.open(path) as shelf:
            shelf["net"] = Net()
            return shelf["net"].step(1)

    def pool(rows):
        import multiprocessing
        with multiprocessing.get_context("fork").Pool(2) as pool:
            found = pool.map(helper, range(3)), pool.map(Net().step, range(3))
            return found, pool.map(make, range(2)), pool.map(same, rows)

    def make(x): return Row(x)
    def same(row): return row

    if __name__ == "__main__":
        rc = ipp.Client(sys.argv[1])
        for view in (rc[0], rc.load_balanced_view()):
            import pickle
            assert pickle.loads(view.apply_sync(pickles)) == Row(4)
            assert view.apply_sync(saves, sys.argv[2]) == 4
            numbers, made, same_rows = view.apply_sync(pool, [Row(7)])
            assert numbers == ([1, 2, 3], [3, 4, 5])
            assert made == [Row(0), Row(1)] and same_rows == [Row(7)]
            assert view.apply_sync(kind, 3) == "int"
        names = rc[:].apply_sync(lambda: [name for name in globals() if name[:2] != "__"])
        assert not any(names), names
        print("done")
"""


HANDING = """
    import multiprocessing, subprocess, sys
    from concurrent.futures import ProcessPoolExecutor
    from dataclasses import dataclass
    import hippodrome as ipp

    N = 10

    @dataclass
    class Row:
        x: int
        def up(self): return Row(self.x + N)

    def inner(x): return x + N
    def make(x): return Row((lambda: inner(x))())
    def put(queue, row): queue.put(row.up())
    ROWS = [Row(10), Row(11), Row(12)]

    def pool(how):
        with multiprocessing.get_context(how).Pool(2) as pool:
            return pool.map(make, range(3)) == ROWS and pool.apply(Row(3).up) == Row(13)

    def executor(how):
        with ProcessPoolExecutor(2, multiprocessing.get_context(how)) as pool:
            return list(pool.map(make, range(3))) == ROWS

    def process(how):
        context = multiprocessing.get_context(how)
        queue = context.Queue()
        process = context.Process(target=put, args=(queue, Row(1)))
        process.start()
        row = queue.get(timeout=60)
        process.join()
        return row == Row(11)

    def joblib(how):
        from joblib import Parallel, delayed
        from joblib.externals.loky import get_reusable_executor
        try:
            return Parallel(2, backend=how)(delayed(make)(i) for i in range(3)) == ROWS
        finally:
            if how == "loky":
                get_reusable_executor().shutdown()

    def cloudpickle(how):
        import cloudpickle
        code = "import pickle, sys; print(pickle.load(sys.stdin.buffer)(1).x)"
        done = subprocess.run([sys.executable, "-c", code], input=cloudpickle.dumps(make),
                              capture_output=True)
        return done.stdout.strip() == b"11"

    def later():
        return kept.map_async(make, range(3)).get(60) == ROWS

    if __name__ == "__main__":
        with ipp.Cluster(n=1, log_level=40) as rc:
            view = rc[0]
            for f in (pool, executor, process):
                for how in ("fork", "spawn", "forkserver"):
                    print(f.__name__, how, view.apply_sync(f, how))
            for how in sys.argv[2:]:
                print("joblib", how, view.apply_sync(joblib, how))
            print("cloudpickle", view.apply_sync(cloudpickle, None))
            view.execute("import multiprocessing as m; kept = m.get_context('fork').Pool(2)")
            print("kept pool", view.apply_sync(later))
            view.execute("kept.terminate(); kept.join()", block=True)
"""


def run(cluster: Any, tmp_path: Path, source: str, *args: str) -> str:
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(source))
    done = cluster.python(str(script), str(cluster.client_file), *args, timeout_s=300)
    assert done.returncode == 0, done.stderr
    return str(done.stdout)


def test_a_task_pickles_saves_and_hands_on_what_it_took_along(cluster: Any, tmp_path: Path) -> None:
    assert run(cluster, tmp_path, SCRIPT, str(tmp_path / "shelf")) == "done\n"


def test_a_task_hands_what_it_took_along_to_any_process(cluster: Any, tmp_path: Path) -> None:
    pytest.importorskip("joblib", reason="joblib is not installed")
    shown = run(cluster, tmp_path, HANDING, "loky", "multiprocessing", "threading").splitlines()
    assert len(shown) == 14
    assert [line for line in shown if not line.endswith(" True")] == []


ELSEWHERE = """
    import sys
    import hippodrome as ipp

    def double(x): return 2 * x

    if __name__ == "__main__":
        sys.path.insert(0, sys.argv[2])
        import module_of_the_client
        rc = ipp.Client(sys.argv[1])
        rc[0].execute("import hippodrome.serialize.rebuild as r; r.VERSION = (3, 5)", block=True)
        try:
            view = rc.load_balanced_view()
            assert view.map_sync(double, range(50), chunksize=1) == [2 * x for x in range(50)]
            assert view.map_sync(double, range(50)) == [2 * x for x in range(50)]
            for call in (rc[0], rc.load_balanced_view(targets=0)):
                try:
                    print(call.apply_sync(double, 1))
                except ipp.RemoteError as error:
                    assert error.ename == "VersionMismatch", error
                    assert "cannot run under Python 3.5" in str(error), error
                else:
                    raise AssertionError("it cannot run there")
        finally:
            rc[0].execute("import sys; r.VERSION = sys.version_info[:2]", block=True)
        try:
            rc[0].apply_sync(module_of_the_client.f)
        except ImportError as error:
            print("\\n".join(error.__notes__))
"""


def test_what_an_engine_cannot_unpickle_goes_to_others_or_says_why(
    cluster: Any, tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "module_of_the_client.py").write_text("def f(): return 1")
    shown = run(cluster, tmp_path, ELSEWHERE, str(tmp_path / "folder"))
    assert f"'module_of_the_client' cannot be imported on host {socket.gethostname()}" in shown
    assert "register_pickle_by_value(module_of_the_client)" in shown
