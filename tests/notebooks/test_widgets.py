"""Widgets on engines, in a real kernel: what a browser is told of them, and what it answers."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Iterator
from typing import Any

import pytest

from support.kernel import Kernel

has_widgets = pytest.mark.skipif(
    importlib.util.find_spec("ipywidgets") is None, reason="ipywidgets is not installed here"
)
VIEW = "application/vnd.jupyter.widget-view+json"
START = """
import hippodrome as ipp
cluster = ipp.Cluster(n=2)
rc = cluster.start_and_connect_sync()
"""
STOP = "cluster.stop_cluster_sync()"
FEW_S = 20.0


def send(kernel: Kernel, kind: str, content: dict[str, Any], *buffers: bytes) -> None:
    """Send a message over the channel on which cells are sent."""
    client = kernel.client
    message = client.session.msg(kind, content)
    client.session.send(client.shell_channel.socket, message, buffers=list(buffers))


class Page:
    """What a browser that sees a kernel's messages knows of widgets.

    Attributes:
        states: of each widget, by its model's id.
        shown: ids of the models that were displayed.
        text: of both streams, since the last cell was run.
    """

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self.states: dict[str, dict[str, Any]] = {}
        self.shown: list[str] = []
        self.text = ""

    def run(self, code: str) -> None:
        """Run a cell that must not fail."""
        self.text = ""
        msg_id = self._kernel.send(code)
        while not self._see(msg_id):
            pass

    def wait_for(self, text: str) -> None:
        """Wait until *text* is printed, after all cells."""
        while text not in self.text:
            self._see("")

    def say(self, kind: str, model: str, data: dict[str, Any]) -> None:
        """Send a message of a widget to the kernel, as when a slider has been moved."""
        send(self._kernel, kind, {"comm_id": model, "data": data})

    def named(self, name: str) -> list[dict[str, Any]]:
        """Return the states of the widgets with this model, in order."""
        return [one for one in self.states.values() if one["_model_name"] == name]

    def _see(self, msg_id: str) -> bool:
        """Take in a message; return whether the cell *msg_id* has ended."""
        message = self._kernel.client.get_iopub_msg(timeout=FEW_S)
        kind, content = message["msg_type"], message["content"]
        assert kind != "error", "\n".join(content["traceback"])
        if kind == "comm_open":
            assert content["comm_id"] not in self.states
            assert content["target_name"] == "jupyter.widget"
            assert message["metadata"]["version"]
            self.states[content["comm_id"]] = dict(content["data"]["state"])
        elif kind == "comm_msg" and content["data"]["method"] == "update":
            self.states[content["comm_id"]].update(content["data"]["state"])
        elif kind == "comm_close":
            del self.states[content["comm_id"]]
        elif kind == "stream":
            self.text += content["text"]
        elif VIEW in content.get("data", {}):
            model = content["data"][VIEW]["model_id"]
            assert model in self.states, "it was shown before it was known"
            self.shown.append(model)
        is_idle = kind == "status" and content["execution_state"] == "idle"
        return is_idle and message["parent_header"].get("msg_id") == msg_id


@pytest.fixture
def kernel(site: Any) -> Iterator[Kernel]:
    with Kernel() as kernel:
        kernel.run(START)
        yield kernel
        kernel.run(STOP)


@pytest.fixture
def page(kernel: Kernel) -> Page:
    return Page(kernel)


def children(page: Page, model: str) -> list[dict[str, Any]]:
    ids = [child.removeprefix("IPY_MODEL_") for child in page.states[model]["children"]]
    return [page.states[one] for one in ids]


def assert_are_full_bars(page: Page, total: int) -> None:
    assert len(page.shown) == 2
    for model in page.shown:
        _, bar, count = children(page, model)
        assert (bar["value"], bar["max"], bar["bar_style"]) == (total, total, "success")
        assert f"{total}/{total}" in count["value"]


COMM = """%%px --targets 1
import comm
mine = comm.create_comm(target_name='any', data={'n': 1}, metadata={'m': 2}, buffers=[b'xy'])
mine.on_msg(lambda one: mine.send(one['content']['data'], buffers=one['buffers']))
mine.on_close(lambda one: print('closed', mine.comm_id in comm.get_comm_manager().comms))
"""


def next_of(kernel: Kernel, kind: str) -> dict[str, Any]:
    """Return the next message of that kind."""
    while True:
        message: dict[str, Any] = kernel.client.get_iopub_msg(timeout=FEW_S)
        if message["msg_type"] == kind:
            return message


def test_a_comm_of_an_engine_speaks_with_the_browser(kernel: Kernel) -> None:
    kernel.send(COMM)
    opened = next_of(kernel, "comm_open")
    assert opened["content"]["data"] == {"n": 1}
    assert opened["content"]["target_name"] == "any"
    assert opened["metadata"] == {"m": 2}
    assert [bytes(one) for one in opened["buffers"]] == [b"xy"]
    names = {"comm_id": opened["content"]["comm_id"]}
    send(kernel, "comm_msg", {**names, "data": {"n": [2, None]}}, b"\0", b"")
    answer = next_of(kernel, "comm_msg")
    assert answer["content"] == {**names, "data": {"n": [2, None]}}
    assert [bytes(one) for one in answer["buffers"]] == [b"\0", b""]
    send(kernel, "comm_close", {**names, "data": {}})
    assert next_of(kernel, "stream")["content"]["text"] == "[stdout:1] closed False\n"


@has_widgets
@pytest.mark.parametrize("seconds", [0, 0.1])
def test_progress_bars_of_engines_are_widgets_of_the_notebook(page: Page, seconds: float) -> None:
    page.run(
        "%%px\nimport time\nfrom tqdm.notebook import tqdm\n"
        f"for _ in tqdm(range(8)): time.sleep({seconds})"
    )
    assert_are_full_bars(page, 8)
    page.run("outputs = rc.get_result(-1).outputs")
    page.run("assert [one['output_type'] for one in outputs] == ['display_data'], outputs")


@has_widgets
def test_bars_of_functions_and_of_results_of_others(page: Page) -> None:
    page.run(
        "def work(n):\n    from tqdm.notebook import tqdm\n    for _ in tqdm(range(n)): pass\n"
        "ar = rc[:].apply_async(work, 5); ar.display_outputs()"
    )
    assert_are_full_bars(page, 5)
    page.shown.clear()
    page.states.clear()  # another page, and another kernel that does not know them either
    page.run("import comm; comms = comm.get_comm_manager().comms")
    page.run("forgotten = list(comms.values()); comms.clear()")
    page.run("ipp.Client(cluster_id=cluster.cluster_id).get_result(ar.msg_ids).display_outputs()")
    assert_are_full_bars(page, 5)


SLIDER = """%%px --targets 1
from ipywidgets import IntSlider
slider = IntSlider(max=10)
def tell(change):
    print('moved to', change['new'])
    slider.description = f'is {1 / change["new"]}'
slider.observe(tell, 'value')
slider
"""


@has_widgets
def test_a_slider_moves_a_value_on_the_engine(page: Page) -> None:
    page.run(SLIDER)
    (model,) = page.shown
    page.run("n_before = len(rc.history)")
    page.say("comm_msg", model, {"method": "update", "state": {"value": 4}, "buffer_paths": []})
    page.wait_for("[stdout:1] moved to 4")
    assert page.states[model]["description"] == "is 0.25"
    page.run("assert rc[1]['slider.value'] == 4\nassert len(rc.history) == n_before + 1")
    page.say("comm_msg", model, {"method": "update", "state": {"value": 0}, "buffer_paths": []})
    page.wait_for("ZeroDivisionError")
    page.run("%%px --targets 1\nslider.value = 7; slider.close()")
    assert model not in page.states


@has_widgets
@pytest.mark.alone
def test_a_busy_engine_is_told_later_and_a_dead_one_is_not(page: Page) -> None:
    page.run(SLIDER)
    (model,) = page.shown
    move = {"method": "update", "state": {"value": 3}, "buffer_paths": []}
    page.run("import time; ar = rc[1].apply_async(time.sleep, 1)")
    asked = time.monotonic()
    page.say("comm_msg", model, move)
    page.run("print('the kernel is free')")
    assert time.monotonic() - asked < 0.9
    page.wait_for("[stdout:1] moved to 3")
    page.run("import signal; rc.send_signal(signal.SIGKILL, 1); rc[:].targets")
    page.run("while 1 in rc.ids: time.sleep(0.01)")
    page.say("comm_msg", model, move)
    page.run("rc[0].apply_sync(abs, -1); rc.close()")
    assert page.text == ""
    page.say("comm_msg", model, move)
    page.run("pass")
    assert page.text == ""
