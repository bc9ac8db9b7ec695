"""IPython on engines: it is there for whoever asks, and nobody pays for it before."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

import hippodrome as ipp

MODULE = """
import threading

def by_the_builtin():
    return get_ipython()

def by_the_package():
    from IPython import get_ipython
    return get_ipython()

def by_the_module():
    from IPython.core.getipython import get_ipython
    return get_ipython()

def by_the_class():
    from IPython.core.interactiveshell import InteractiveShell
    assert InteractiveShell.initialized()
    return InteractiveShell.instance()

def in_threads():
    found = []
    threads = [threading.Thread(target=lambda: found.append(get_ipython())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(id, found))) == 1
    return found[0]

def by_what_is_displayed():
    display(1)
    return get_ipython()

def by_the_flag():
    assert __IPYTHON__
    return get_ipython()

def check(way):
    import __main__
    shell = globals()[way]()
    shell.run_line_magic("timeit", "-n1 -r1 1 + 1")
    shell.user_ns["noted"] = way
    return type(shell).__name__, __main__.noted, shell is by_the_package()
"""
WAYS = [
    "by_the_builtin", "by_the_package", "by_the_module", "by_the_class", "in_threads",
    "by_what_is_displayed", "by_the_flag",
]  # fmt: skip


def in_a_module(folder: str, way: str) -> Any:
    import sys

    sys.path.insert(0, folder)
    try:
        import module_of_a_user

        return module_of_a_user.check(way)
    finally:
        sys.path.remove(folder)


def is_imported() -> bool:
    return any(name.partition(".")[0] in {"IPython", "traitlets"} for name in sys.modules)


def test_nobody_pays_before_it_is_used(client: Any) -> None:
    assert (
        client[:].apply_sync(eval, "get_ipython.__name__, display.__name__, __IPYTHON__")
        == [("get_ipython", "display", True)] * 2
    )
    assert not any(client[:].apply_sync(is_imported))


@pytest.mark.parametrize("way", WAYS)
def test_the_first_task_that_asks_finds_it(way: str, site: Any, tmp_path: Path) -> None:
    (tmp_path / "module_of_a_user.py").write_text(MODULE)
    site.start_cluster(1)
    with ipp.Client(str(site.client_file)) as rc:
        rc.wait_for_engines(1, timeout=10)
        told = rc[0].apply_async(in_a_module, str(tmp_path), way)
        assert told.get() == ("EngineShell", way, True)
        assert "per loop" in told.stdout
        assert rc[0].execute("%lsmagic\nnoted", silent=False).get().text == repr(way)
        assert rc[0].apply_sync(in_a_module, str(tmp_path), way) == ("EngineShell", way, True)


def test_functions_of_a_program_find_it(client: Any) -> None:
    def used() -> Any:
        get_ipython().user_ns["noted"] = 1  # type: ignore[name-defined]  # noqa: F821
        display(noted)  # type: ignore[name-defined]  # noqa: F821
        return type(get_ipython()).__name__  # type: ignore[name-defined]  # noqa: F821

    told = client[:].apply_async(used)
    assert told.get() == ["EngineShell"] * 2
    assert [each[0]["data"]["text/plain"] for each in told.outputs] == ["1"] * 2


def test_nobody_puts_another_shell_in_its_place(client: Any) -> None:
    def instance() -> str:
        from IPython.core.interactiveshell import InteractiveShell

        return type(InteractiveShell.instance()).__name__

    assert client[:].apply_sync(instance) == ["EngineShell"] * 2
    assert client[:].execute("6 * 7", silent=False).get()[1].text == "42"
