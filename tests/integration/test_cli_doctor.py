"""``ipcluster doctor``: the verdict first, then a line each; the exit code is the verdict too."""

from __future__ import annotations

import json
from typing import Any


def lines(shown: Any) -> list[str]:
    return [str(line) for line in shown.stdout.splitlines()]


def test_a_host_without_a_cluster_is_well(site: Any) -> None:
    shown = site.run("ipcluster", "doctor")
    assert shown.returncode in (0, 1)  # as this machine is
    first, *others = lines(shown)
    assert ("would fail" in first) == (shown.returncode == 1)
    assert all(line.split()[0] in ("ok", "warn", "bad") for line in others)
    text = "\n".join(others)
    for what in ("folder", "versions", "open files", "profile", "shared", "syncs"):
        assert f" {what}: " in text
    assert not list(site.security_dir.parent.parent.glob("profile_*"))  # it only looks


def test_a_controller_that_runs_is_reached_and_lets_us_in(site: Any) -> None:
    site.start("ipcontroller", "--ip=127.0.0.1")
    shown = site.run("ipcluster", "doctor", "--json")
    told = json.loads(shown.stdout)
    texts = [one["text"] for one in told["findings"] if one["what"] == "controller"]
    assert texts[0].startswith("reached by ipc://")
    assert "tcp://127.0.0.1:" in texts[0]
    assert texts[1] == "it lets us in, and has 0 engines"
    assert told["ok"] == (shown.returncode == 0)
    assert told["hosts"]["here"]["versions"]["python"]
    info = json.loads(site.client_file.read_text())
    for secret in (info["secret_key"], info["public_key"], info["server_key"]):
        assert secret not in shown.stdout + shown.stderr


def test_a_stale_file_and_an_open_one_would_fail(site: Any) -> None:
    process = site.start("ipcontroller", "--ip=127.0.0.1")
    kept = site.client_file.read_bytes()
    process.stop()
    site.client_file.write_bytes(kept)
    site.client_file.chmod(0o600)
    other = site.security_dir / "ipcontroller-other-engine.json"
    other.write_bytes(kept)
    other.chmod(0o644)
    site.security_dir.chmod(0o755)
    shown = site.run("ipcluster", "doctor")
    assert shown.returncode == 1
    assert "would fail" in lines(shown)[0]
    assert f"bad   here     file: {site.client_file} is stale: process" in lines(shown)[1]
    assert "Connection refused" in lines(shown)[1]
    assert any(
        line.startswith("warn  here     file:") and "chmod 600" in line for line in lines(shown)
    )
    assert any("is open to other users: chmod go-rwx" in line for line in lines(shown))


def test_commands_of_launchers_are_looked_for(site: Any) -> None:
    shown = site.run("ipcluster", "doctor", "--engines=oar")
    assert shown.returncode == 1
    assert "there is no oarsub on the PATH" in shown.stdout


def test_a_host_that_ssh_does_not_reach_is_a_line(site: Any) -> None:
    shown = site.run("ipcluster", "doctor", "--hosts=nobody.invalid")
    assert shown.returncode == 1
    assert any(line.startswith("bad   nobody.invalid ssh: ") for line in lines(shown))
