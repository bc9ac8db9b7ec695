"""What a client says of its engines unasked."""

from __future__ import annotations

import pytest

from hippodrome.client.link.events import EnginesChanged
from hippodrome.client.link.presence import OURS, Presence
from hippodrome.protocol.messages import EngineId, EngineInfo, PeerId


def engines(**pythons: str) -> EnginesChanged:
    """Engines by host."""
    infos = [
        EngineInfo(EngineId(n), PeerId(f"u{n}"), PeerId("n"), host.rstrip("0"), 1, "alive", python)
        for n, (host, python) in enumerate(pythons.items())
    ]
    return EnginesChanged({info.engine: info for info in infos}, {})


def test_hosts_with_another_python_are_named_once(capsys: pytest.CaptureFixture[str]) -> None:
    presence = Presence()
    presence._change_engines(engines(same=f"{OURS}.99", old="3.5.2", old0="3.5.2", unknown=""))
    shown = capsys.readouterr().err
    assert shown.startswith(f"engines on old run Python 3.5, and this is {OURS}: ")
    assert shown.count("engines on") == 1
    presence._change_engines(engines(old="3.5.2", new="4.0.0rc1"))
    assert capsys.readouterr().err.startswith("engines on new run Python 4.0")
    presence._change_engines(engines(new="4.0.0rc1"))
    assert capsys.readouterr().err == ""


def test_a_question_says_nothing_of_other_pythons(capsys: pytest.CaptureFixture[str]) -> None:
    presence = Presence()
    presence.warns_of_versions = False
    presence._change_engines(engines(old="3.5.2"))
    assert capsys.readouterr().err == ""
