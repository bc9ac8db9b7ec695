"""What widgets on engines leave in results, and what they cost those who have none."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

UPDATES = 5000


def slide(n: int) -> int:
    import ipywidgets
    from IPython.display import display

    slider = ipywidgets.IntSlider(max=n)
    display(slider)
    for value in range(n + 1):
        slider.value = value
    return slider.value


def test_a_widget_is_kept_with_its_last_state_beside_the_outputs(client: Any) -> None:
    pytest.importorskip("ipywidgets", reason="ipywidgets is not installed here")
    result = client[0].apply_async(slide, UPDATES)
    assert result.get(timeout=60) == UPDATES
    assert [one["output_type"] for one in result.outputs] == ["display_data"]
    assert "IntSlider" in result.outputs[0]["data"]["text/plain"]
    said = [(one.kind, json.loads(one.content)) for one in result._tasks.result_of(0).shown.comms]
    assert [kind for kind, _ in said] == ["comm_open"] * 3 + ["comm_msg"], "layout, style, slider"
    assert said[-1][1]["data"]["state"] == {"value": UPDATES}
    (again,) = client.db_query({"msg_id": result.msg_id}, keys=["stdout", "execute_result"])
    assert again["execute_result"] is None
    assert result.stderr == ""


def loaded(name: str) -> bool:
    return name in sys.modules


def test_engines_without_widgets_do_not_pay_for_them(client: Any) -> None:
    view = client[-1]
    view.execute("from IPython.display import display; display(1)", block=True)
    assert not view.apply_sync(loaded, "comm")
    assert not view.apply_sync(loaded, "hippodrome.engine.widgets")


def import_own(directory: str) -> str:
    import sys

    sys.path.insert(0, directory)
    sys.modules.pop("comm", None)
    try:
        import comm

        return str(comm.rank)
    finally:
        sys.path.remove(directory)
        del sys.modules["comm"]


def test_a_module_of_the_user_may_have_the_same_name(client: Any, tmp_path: Path) -> None:
    (tmp_path / "comm.py").write_text("rank = 7")
    assert client[-1].apply_sync(import_own, str(tmp_path)) == "7"


def import_kernel_and_make_comm() -> str:
    import ipykernel.ipkernel  # noqa: F401, I001 - which brings comms of its own
    import comm

    return type(comm.create_comm(target_name="any")).__name__


def test_a_kernel_that_somebody_imports_takes_no_comms_away(client: Any) -> None:
    pytest.importorskip("ipykernel", reason="ipykernel is not installed here")
    assert client[0].apply_sync(import_kernel_and_make_comm) == "EngineComm"
