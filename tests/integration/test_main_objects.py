"""Objects of a script's ``__main__`` in its tasks, which pickle them and hand them on."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

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


def run(cluster: Any, tmp_path: Path, source: str, *args: str) -> str:
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(source))
    done = cluster.python(str(script), str(cluster.client_file), *args)
    assert done.returncode == 0, done.stderr
    return str(done.stdout)


def test_a_task_pickles_saves_and_hands_on_what_it_took_along(cluster: Any, tmp_path: Path) -> None:
    assert run(cluster, tmp_path, SCRIPT, str(tmp_path / "shelf")) == "done\n"
