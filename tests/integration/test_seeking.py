"""Clients that are made before their cluster, or after it has been killed."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

import hippodrome as ipp
from support.leaks import wait_until


def test_who_waits_for_a_cluster_is_told_after_a_second(
    site: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ipp.ConnectionFileError, match=r"ipcontroller-client\.json"):
        ipp.Client(timeout=0.9)
    assert capfd.readouterr().err == ""
    with pytest.raises(ipp.ConnectionFileError, match=r"there is no connection file"):
        ipp.Client(timeout=1.5)
    said = capfd.readouterr().err
    assert said.count("\n") == 1
    assert f"waiting up to 1.5 s for a cluster: there is no {site.client_file} yet" in said


def test_a_file_that_a_killed_controller_left_is_as_good_as_none(
    site: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    process = site.start("ipcontroller")
    stale = site.client_file.read_bytes()
    process.stop()
    site.client_file.write_bytes(stale)
    site.client_file.chmod(0o600)
    found: list[Any] = []

    def connect() -> None:
        with ipp.Client(timeout=30) as client:
            found.append(client.ids)

    thread = threading.Thread(target=connect)
    thread.start()
    said: list[str] = []

    def is_told() -> bool:
        said.append(capfd.readouterr().err)
        return "does not answer yet" in "".join(said)

    wait_until(is_told)
    site.start("ipcontroller")
    thread.join(30)
    assert found == [[]]
    assert f"{site.client_file} is there, and its controller" in "".join(said)


def test_a_file_whose_controller_stays_away_is_an_error_in_time(site: Any) -> None:
    process = site.start("ipcontroller")
    stale = site.client_file.read_bytes()
    process.stop()
    site.client_file.write_bytes(stale)
    site.client_file.chmod(0o600)
    began = time.monotonic()
    with pytest.raises(ipp.ConnectionFileError, match="is stale, or its controller"):
        ipp.Client(timeout=0.5)
    assert 0.4 < time.monotonic() - began < 10


def test_a_file_of_nobody_is_an_error_long_before_one_that_is_missing(
    site: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    process = site.start("ipcontroller", "--ip=127.0.0.1")
    stale = site.client_file.read_bytes()
    process.stop()
    site.client_file.write_bytes(stale)
    site.client_file.chmod(0o600)
    began = time.monotonic()
    with pytest.raises(ipp.ConnectionFileError, match=r"tcp://127\.0\.0\.1:\d+: Connection ref"):
        ipp.Client()
    assert time.monotonic() - began < 6
    assert "waiting up to" in capfd.readouterr().err


def test_a_controller_that_starts_removes_what_is_of_no_use(site: Any) -> None:
    """So that whoever waits, waits for the new file."""
    process = site.start("ipcontroller")
    stale = site.client_file.read_bytes()
    process.stop()
    for path in (site.client_file, site.security_dir / "ipcontroller-engine.json"):
        path.write_bytes(stale)
        path.chmod(0o600)
    assert site.run("ipcontroller", "--ip=192.0.2.1").returncode == 1  # which is too late for it
    assert not list(site.security_dir.glob("ipcontroller*"))


def test_the_file_for_engines_makes_no_client(site: Any) -> None:
    site.start("ipcontroller")
    text = "the key of role 'engine' does not make a client: use the connection file for clients"
    with pytest.raises(ipp.AuthenticationError, match=text):
        ipp.Client(site.security_dir / "ipcontroller-engine.json")
    shown = site.run("ipengine", f"--file={site.client_file}")
    assert "the key of role 'client' does not make a node: use the connection" in shown.stderr
