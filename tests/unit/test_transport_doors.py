"""What ``--ip`` and ``--location`` mean: where a controller listens, and what others are told."""

from __future__ import annotations

import logging
import socket
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from hippodrome.errors import LaunchError
from hippodrome.transport import doors, interfaces
from hippodrome.transport.doors import addresses_of, find_doors
from hippodrome.transport.interfaces import bare_host, own_addresses, way_to

HOST = "alpha"


def of(family: int, address: str) -> Any:
    return SimpleNamespace(family=family, address=address)


@pytest.fixture(autouse=True)
def host(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host with two networks, of which one is down, and one that is for itself."""
    addresses = {
        "lo": [of(socket.AF_INET, "127.0.0.1"), of(socket.AF_INET6, "::1")],
        "eth0": [
            of(socket.AF_INET, "10.0.0.5"),
            of(socket.AF_INET6, "fd00::5"),
            of(socket.AF_INET6, "fe80::1%eth0"),
            of(psutil.AF_LINK, "02:00:00:00:00:01"),
        ],
        "ib0": [of(socket.AF_INET, "10.1.0.5")],
        "eth1": [of(socket.AF_INET, "192.168.7.5")],
    }
    states = {name: SimpleNamespace(isup=name != "eth1") for name in addresses}
    monkeypatch.setattr(psutil, "net_if_addrs", lambda: addresses)
    monkeypatch.setattr(psutil, "net_if_stats", lambda: states)
    monkeypatch.setattr(socket, "gethostname", lambda: HOST)
    ways = {"192.0.2.1": "10.1.0.5", "beta": "10.0.0.5", "gamma": "10.1.0.5", HOST: "127.0.0.1"}
    monkeypatch.setattr(interfaces, "way_to", lambda name: ways.get(name, ""))
    monkeypatch.setattr(doors, "way_to", lambda name: ways.get(name, ""))
    names = {HOST: ["127.0.1.1", "10.0.0.5"], "beta": ["10.0.0.9"]}
    monkeypatch.setattr(doors, "_look_up", lambda name: names.get(name, []))


ALL = (HOST, "10.1.0.5", "10.0.0.5", "fd00::5")


@pytest.mark.parametrize(
    ("ip", "bound", "published"),
    [
        ("10.0.0.5", ("10.0.0.5",), ("10.0.0.5",)),
        ("*", ("*",), (*ALL, "127.0.0.1")),
        ("auto", ("*",), (*ALL, "127.0.0.1")),
        ("0.0.0.0", ("0.0.0.0",), (HOST, "10.1.0.5", "10.0.0.5", "127.0.0.1")),
        ("::", ("::",), (*ALL, "::1")),
        ("eth0", ("10.0.0.5", "fd00::5"), ("10.0.0.5", "fd00::5")),
        ("10.0.0.5,ib0", ("10.0.0.5", "10.1.0.5"), ("10.0.0.5", "10.1.0.5")),
        (" 10.0.0.5 , , 10.0.0.5", ("10.0.0.5",), ("10.0.0.5",)),
        ("10.0.0.5,*", ("*",), ("10.0.0.5", HOST, "10.1.0.5", "fd00::5", "127.0.0.1")),
        (HOST, ("127.0.1.1", "10.0.0.5"), (HOST, "127.0.1.1", "10.0.0.5")),
        ("[fd00::5]", ("fd00::5",), ("fd00::5",)),
        ("127.0.0.9", ("127.0.0.9",), ("127.0.0.9",)),
    ],
)
def test_what_is_bound_and_published(
    ip: str, bound: tuple[str, ...], published: tuple[str, ...]
) -> None:
    found = find_doors(ip)
    assert found.bound == bound
    assert found.published == published


@pytest.mark.parametrize(
    ("towards", "bound"),
    [
        (["beta"], ("10.0.0.5",)),
        (["me@beta:2222", "gamma"], ("10.0.0.5", "10.1.0.5")),
        (["beta", HOST], ("10.0.0.5",)),
        ([HOST], ("127.0.0.1",)),
    ],
)
def test_auto_is_the_way_to_the_hosts_that_are_named(
    towards: list[str], bound: tuple[str, ...]
) -> None:
    found = find_doors("auto", towards)
    assert found.bound == found.published == bound


def test_a_host_that_nobody_knows_is_let_in_anywhere(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert find_doors("auto", ["beta", "nobody"]).bound == ("*",)
    assert "no way to nobody from here" in caplog.text


@pytest.mark.parametrize("ip", ["beta", "eth7", "nonsense!", "no.such.host.invalid"])
def test_what_this_host_does_not_have_is_an_error_that_says_what_it_has(ip: str) -> None:
    with pytest.raises(LaunchError, match=rf"'{ip}' is no .* has 10\.0\.0\.5 \(eth0\), 10.* --ip"):
        find_doors(ip)


def test_what_is_down_or_good_on_one_link_only_is_not_published() -> None:
    hosts = [one.host for one in own_addresses() if one.is_up]
    assert hosts == ["10.0.0.5", "10.1.0.5", "fd00::5", "127.0.0.1", "::1"]


@pytest.mark.parametrize(
    ("location", "addresses"),
    [
        ("", ("tcp://10.0.0.5:7",)),
        ("gate", ("tcp://gate:7", "tcp://10.0.0.5:7")),
        ("gate:70", ("tcp://gate:70", "tcp://10.0.0.5:7")),
        ("2001:db8::1", ("tcp://[2001:db8::1]:7", "tcp://10.0.0.5:7")),
        ("[2001:db8::1]:70,gate", ("tcp://[2001:db8::1]:70", "tcp://gate:7", "tcp://10.0.0.5:7")),
        ("10.0.0.5", ("tcp://10.0.0.5:7",)),
    ],
)
def test_a_location_comes_first(location: str, addresses: tuple[str, ...]) -> None:
    assert addresses_of(["10.0.0.5"], 7, location) == addresses


def test_many_addresses_are_cut_off() -> None:
    assert len(addresses_of([f"10.0.0.{n}" for n in range(99)], 7, "gate")) == 16


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("beta", "beta"),
        ("me@beta", "beta"),
        ("me@beta:2222", "beta"),
        ("beta:2222", "beta"),
        ("[fd00::5]:22", "fd00::5"),
        ("fd00::5", "fd00::5"),
        ("me@fd00::5", "fd00::5"),
    ],
)
def test_a_host_is_known_among_what_launchers_call_one(text: str, host: str) -> None:
    assert bare_host(text) == host


def test_the_way_to_oneself_is_known() -> None:
    assert way_to("127.0.0.1") == "127.0.0.1"
    assert way_to("no.such.host.invalid") == ""
    assert way_to("\0") == ""
