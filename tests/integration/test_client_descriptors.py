"""A client in a process without free file descriptors: errors that say so, and nothing hangs."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from support.processes import Site

LIMITED = """
import os, resource, sys
import numpy as np
import hippodrome as ipp

ipp.Client  # what is imported now needs no descriptors later
LIMIT = 200
resource.setrlimit(resource.RLIMIT_NOFILE, (LIMIT, LIMIT))

def take_all_but(n):
    taken = []
    try:
        while True:
            taken.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        for descriptor in taken[:n]:
            os.close(descriptor)
    return taken[n:]

def give_back(taken):
    for descriptor in taken:
        os.close(descriptor)
"""


def run(site: Site, code: str) -> str:
    script = LIMITED + textwrap.dedent(code)
    ended = site.python("-c", script, str(site.client_file), timeout_s=60)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_who_cannot_connect_is_told_why_however_few_there_are(cluster: Site) -> None:
    code = """
    ipp.Client(sys.argv[1]).close()
    n_open = len(os.listdir("/proc/self/fd"))
    for n_left in range(40):
        taken = take_all_but(n_left)
        try:
            ipp.Client(sys.argv[1], timeout=10).close()
        except Exception as error:
            assert "oo many open files" in str(error), error
        else:
            assert n_left >= 11, n_left
        finally:
            give_back(taken)
        assert len(os.listdir("/proc/self/fd")) == n_open, n_left
    rc = ipp.Client(sys.argv[1])
    print(rc[:].apply_sync(abs, -1))
    """
    assert run(cluster, code) == "[1, 1]\n"


def test_calls_of_who_has_none_left_end(cluster: Site) -> None:
    code = """
    with ipp.Client(sys.argv[1]) as rc:
        rc.wait_for_engines(2, timeout=10)
        view = rc.load_balanced_view()
        taken = take_all_but(0)
        large = np.zeros(1 << 20)
        assert rc[:].apply_sync(abs, -1) == [1, 1]
        assert rc[:].apply_sync(len, large) == [large.size] * 2
        try:
            view.apply_sync(lambda n: __import__("numpy").zeros(n), large.size)
        except ipp.DeserializationError as error:
            assert "Too many open files" in str(error), error
        assert view.map_sync(abs, range(-100, 0)) == list(range(100, 0, -1))
        give_back(taken)
        assert view.apply_sync(lambda n: __import__("numpy").zeros(n), 1 << 20).size == large.size
    print("done")
    """
    assert run(cluster, code) == "done\n"
