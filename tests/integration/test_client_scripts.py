"""What ordinary scripts use besides apply and map, with real engines."""

from __future__ import annotations

from typing import Any

import pytest

import hippodrome as ipp


@pytest.fixture
def dv(client: Any) -> Any:
    return client[:]


def test_imports_of_a_block_happen_here_and_on_all_engines(dv: Any, capsys: Any) -> None:
    with dv.sync_imports():
        import wave as w
        from colorsys import hls_to_rgb
        from colorsys import rgb_to_hls as back
    assert "importing wave as w on engine(s)" in capsys.readouterr().out
    assert (w.__name__, hls_to_rgb.__name__) == ("wave", "hls_to_rgb")
    names = ["w.__name__", "hls_to_rgb.__name__", "back.__name__"]
    assert dv.pull(names, block=True) == [["wave", "hls_to_rgb", back.__name__]] * 2


def test_imports_that_fail_on_an_engine_are_errors(client: Any, dv: Any) -> None:
    dv.execute("import sys; sys.modules['stringprep'] = None", block=True)
    with pytest.raises(ipp.CompositeError) as caught, dv.importer:
        import stringprep
    assert [error[0] for error in caught.value.elist] == ["ModuleNotFoundError"] * 2
    with pytest.raises(ipp.RemoteError, match="stringprep"), client[1].sync_imports(quiet=True):
        import stringprep  # noqa: F401
    with pytest.raises(NotImplementedError, match="execute"):
        dv.sync_imports(local=False)
