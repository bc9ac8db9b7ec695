"""What the extension of Jupyter servers takes and refuses, and what Jupyter finds of it."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import msgspec
import pytest

import hippodrome
from hippodrome.jupyter.messages import MAX_ENGINES, NewCluster, Start, read

ROOT = Path(__file__).parents[2]


def test_what_is_left_out_is_as_clusters_have_it() -> None:
    assert read(b"", NewCluster) == read(b" {}\n", NewCluster) == NewCluster()
    assert read(b'{"n": 2, "cluster_id": ""}', NewCluster) == NewCluster(n=2, cluster_id="")
    assert read(b"", Start).n is None


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"{", "truncated"),
        (b"[]", "Expected `object`"),
        (b"null", "Expected `object`"),
        (b"[" * 100_000, "Expected `object`"),
        (b'{"n": 1} {}', "trailing"),
        (b'{"m": 1}', "unknown field `m`"),
        (b'{"n": true}', r"`bool` - at `\$\.n`"),
        (b'{"n": "2"}', r"`str` - at `\$\.n`"),
        (b'{"n": 1.5}', r"at `\$\.n`"),
        (b'{"n": 0}', ">= 1"),
        (b'{"n": 1%s}' % (b"0" * 30), "<= 1024"),
        (b'{"cluster_id": "../x"}', "cluster_id"),
        (b'{"cluster_id": "x\\n"}', "cluster_id"),
        (b'{"cluster_id": "%s"}' % (b"x" * 300), "cluster_id"),
        (b'{"profile": "a/b"}', "profile"),
        (b'{"profile": "\xff"}', "utf-8"),
        (b'{"engine_timeout": 1e9}', "engine_timeout"),
        (b'{"shutdown_atexit": 1}', "shutdown_atexit"),
        (b'{"engine_args": ["--x"]}', "unknown field"),
    ],
)
def test_a_body_that_is_no_request_is_refused_with_a_reason(body: bytes, complaint: str) -> None:
    with pytest.raises(msgspec.DecodeError, match=complaint):
        read(body, NewCluster)


def test_a_start_takes_nothing_but_a_number_of_engines() -> None:
    assert read(b'{"n": %d}' % MAX_ENGINES, Start).n == MAX_ENGINES
    with pytest.raises(msgspec.DecodeError, match="unknown field"):
        read(b'{"profile": "x"}', Start)


def test_jupyter_finds_its_hooks() -> None:
    for points in (
        hippodrome._jupyter_server_extension_points,
        hippodrome._jupyter_server_extension_paths,
    ):
        assert points() == [{"module": "hippodrome"}]
    assert hippodrome._jupyter_labextension_paths() == []
    assert hippodrome._jupyter_nbextension_paths() == []
    assert callable(hippodrome._load_jupyter_server_extension)
    assert callable(hippodrome.load_jupyter_server_extension)


def test_the_package_brings_the_file_that_turns_the_extension_on() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["shared-data"]["etc/jupyter"] == "etc/jupyter"
    shipped = ROOT / "etc" / "jupyter" / "jupyter_server_config.d" / "hippodrome.json"
    wanted = {"ServerApp": {"jpserver_extensions": {"hippodrome": True}}}
    assert json.loads(shipped.read_text()) == wanted
