"""The command lines of ssh, and what they must not hold."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

from hippodrome.security.keys import Secret
from hippodrome.ssh.askpass import password_at_hand
from hippodrome.ssh.command import Login
from hippodrome.ssh.places import SSHServer


def test_nobody_is_asked_unless_somebody_can_answer() -> None:
    login = Login(SSHServer("gpu01"))
    assert "BatchMode=yes" in login.argv(["true"])
    assert "BatchMode=no" in Login(SSHServer("gpu01"), may_ask=True).argv(["true"])
    assert Login(SSHServer("gpu01"), may_ask=True).unasked() == login


def test_a_host_is_no_option_and_a_named_key_is_the_only_one() -> None:
    argv = Login(SSHServer("gpu01", "me", 2222), key="/k").argv(["true"])
    assert argv[-3:] == ["--", "me@gpu01", "true"]
    assert argv[argv.index("-p") + 1] == "2222"
    assert argv[argv.index("-i") + 1] == "/k"
    assert "IdentitiesOnly=yes" in argv


def test_a_silence_is_measured_in_questions_without_an_answer() -> None:
    argv = Login(SSHServer("gpu01"), silence_s=120).argv(["true"])
    assert "ServerAliveInterval=5" in argv
    assert "ServerAliveCountMax=24" in argv


def test_a_password_is_at_hand_for_its_owner_only_and_not_for_long(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with password_at_hand(tmp_path, Secret("s3 'cret$")) as environment:
        assert not any("s3 'cret$" in value for value in environment.values())
        helper = environment["SSH_ASKPASS"]
        for path in tmp_path.iterdir():
            assert not stat.S_IMODE(os.stat(path).st_mode) & 0o077
        answers = [
            subprocess.run([helper, prompt], capture_output=True, text=True, check=True).stdout
            for prompt in ("me@gpu01's password: ", "Are you sure (yes/no/[fingerprint])? ")
        ]
        assert answers == ["s3 'cret$\n", "no\n"]
    assert list(tmp_path.iterdir()) == []


def test_without_a_password_there_is_nothing_at_hand(tmp_path: Path) -> None:
    with password_at_hand(tmp_path, None) as environment:
        assert environment == {}
        assert list(tmp_path.iterdir()) == []
