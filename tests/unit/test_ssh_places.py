"""What names a host for ssh, and a cluster there; and what does not."""

from __future__ import annotations

import pytest

from hippodrome.ssh.places import RemoteCluster, SSHServer, parse_server, parse_url


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("gpu01", SSHServer("gpu01")),
        ("me@gpu02:2222", SSHServer("gpu02", "me", 2222)),
        ("ssh://me@gpu02:2222", SSHServer("gpu02", "me", 2222)),
        ("ssh://gpu02/", SSHServer("gpu02")),
        ("me@site.org@gpu02", SSHServer("gpu02", "me@site.org")),
        ("[fe80::1]:22", SSHServer("fe80::1", "", 22)),
        ("fe80::1", SSHServer("fe80::1")),
    ],
)
def test_a_host_is_named_as_ssh_and_scp_name_it(text: str, server: SSHServer) -> None:
    assert parse_server(text) == server
    assert parse_server(str(server)) == server


@pytest.mark.parametrize(
    "text", ["", "me@", "-oProxyCommand=reboot", "a b", "-l@host", "host:0", "host:99999", "host:x",
             "$(reboot)", "a;b", "a\nb", "host/profile"],
)  # fmt: skip
def test_what_ssh_or_a_shell_would_take_for_something_else_names_no_host(text: str) -> None:
    with pytest.raises(ValueError, match="names no host"):
        parse_server(text)


@pytest.mark.parametrize(
    ("url", "cluster"),
    [
        ("ssh://site", RemoteCluster(SSHServer("site"))),
        ("ssh://me@site:22/work", RemoteCluster(SSHServer("site", "me", 22), "work")),
        ("ssh://site/work?cluster_id=x", RemoteCluster(SSHServer("site"), "work", "x")),
        ("ssh://site/?cluster_id=x", RemoteCluster(SSHServer("site"), "default", "x")),
        ("ssh://site//tmp/a.json", RemoteCluster(SSHServer("site"), path="/tmp/a.json")),
        ("ssh://site/my%20jobs/a.json", RemoteCluster(SSHServer("site"), path="my jobs/a.json")),
    ],
)
def test_a_url_names_a_profile_or_a_connection_file(url: str, cluster: RemoteCluster) -> None:
    assert parse_url(url) == cluster


@pytest.mark.parametrize(
    "url", ["ssh://", "ssh:///work", "ssh://site/a/b", "ssh://site/work?id=x", "ssh://site/work#x"]
)
def test_a_url_that_names_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="ssh:"):
        parse_url(url)
