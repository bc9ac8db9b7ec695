"""What OpenSSH really says at its end, and what is made of it."""

from __future__ import annotations

import pytest

from hippodrome.ssh.places import SSHServer
from hippodrome.ssh.reasons import Trouble, last_lines, why_ended

HOST = SSHServer("gpu01", "me")
CHANGED = """\
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!
Host key for gpu01 has changed and you have requested strict checking.
Host key verification failed.
"""


@pytest.mark.parametrize(
    ("output", "trouble", "passes"),
    [
        ("ssh: Could not resolve hostname gpu01: Name or service not known\r\n", "NAME", False),
        ("ssh: connect to host gpu01 port 22: Connection refused\r\n", "REFUSED", False),
        ("ssh: connect to host gpu01 port 22: Connection timed out\r\n", "NO_ANSWER", False),
        ("ssh: connect to host gpu01 port 22: No route to host\r\n", "NO_ANSWER", False),
        ("Connection timed out during banner exchange\r\n", "NO_ANSWER", False),
        (CHANGED, "HOST_KEY", False),
        ("No ED25519 host key is known for gpu01 and you have requested strict checking.\r\n"
         "Host key verification failed.\r\n", "HOST_KEY", False),
        ("me@gpu01: Permission denied (publickey,password).\r\n", "LOGIN", False),
        ("Received disconnect from 10.0.0.1 port 22:2: Too many authentication failures\r\n"
         "Disconnected from 10.0.0.1 port 22\r\n", "LOGIN", False),
        ("kex_exchange_identification: read: Connection reset by peer\r\n"
         "Connection reset by 10.0.0.1 port 22\r\n", "BUSY", True),
        ("kex_exchange_identification: Connection closed by remote host\r\n", "BUSY", True),
        ("Connection closed by 10.0.0.1 port 22\r\n", "BUSY", True),
        ("Timeout, server gpu01 not responding.\r\n", "NO_ANSWER", False),
        ("", "OTHER", False),
    ],
)  # fmt: skip
def test_the_kind_of_trouble_is_told(output: str, trouble: str, passes: bool) -> None:
    failure = why_ended(HOST, output)
    assert failure.trouble is Trouble[trouble]
    assert failure.is_passing is passes


def test_the_text_names_the_host_and_ends_with_what_ssh_said() -> None:
    failure = why_ended(HOST, "me@gpu01: Permission denied (publickey).\r\n")
    assert str(failure).startswith("ssh me@gpu01: it does not let this user in")
    assert str(failure).endswith("me@gpu01: Permission denied (publickey).")


def test_what_ends_after_the_login_was_cut() -> None:
    failure = why_ended(HOST, "client_loop: send disconnect: Broken pipe\r\n", had_login=True)
    assert failure.trouble is Trouble.CUT
    assert failure.is_passing


def test_ornaments_are_left_out() -> None:
    said = "Warning: Permanently added 'gpu01' (ED25519) to the list of known hosts.\r\n"
    assert last_lines(f"{said}\nno such thing\n") == ("no such thing",)
    assert not any("@@" in line for line in last_lines(CHANGED))
