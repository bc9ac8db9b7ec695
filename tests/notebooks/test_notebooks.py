"""The notebooks of the documentation, run from a clean state."""

from __future__ import annotations

import re
import shutil
import socket
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted([*ROOT.glob("docs/*.ipynb"), *ROOT.glob("examples/*.ipynb")])


def run(path: Path, directory: Path) -> Any:
    """Return the notebook as it is after all of its cells have run."""
    shutil.copy(path, directory)
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=60, resources={"metadata": {"path": directory}}).execute()
    return notebook


def shown(notebook: Any, *mimes: str) -> str:
    """Return all text that the notebook shows; of displays those forms, by default plain text."""
    texts = []
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            texts += [
                output.get("text", ""),
                *(data.get(mime, "") for mime in mimes or ("text/plain",)),
                *output.get("traceback", ()),
            ]
    return re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(texts))


def mime_types(notebook: Any) -> list[str]:
    return [
        mime
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        for mime in output.get("data", {})
    ]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_as_it_is_after_a_run(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    counts = [cell.execution_count for cell in cells]
    assert counts == [*range(1, len(cells) + 1)], "make notebooks"
    assert any(cell.outputs for cell in cells)
    for cell in cells:
        failed = any(output.output_type == "error" for output in cell.outputs)
        assert failed == ("raises-exception" in cell.metadata.get("tags", [])), cell.source


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_is_kept_says_nothing_of_the_machine_and_needs_no_kernel(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    text = shown(notebook, "text/plain", "text/html")
    assert not re.search(r"(?<![<\w.:/])/\w[\w.-]*/", text)
    assert socket.gethostname() not in re.findall(r"[\w.-]+", text)
    assert not any("widget" in mime for mime in mime_types(notebook))
    assert "widgets" not in notebook.metadata


def test_the_tour(tmp_path: Path) -> None:
    notebook = run(ROOT / "docs" / "tour.ipynb", tmp_path)
    text = shown(notebook)
    for engine in range(4):
        assert re.search(rf"Out\[{engine}:\d+\]: 120", text)
    assert "ZeroDivisionError on engines 0-3; first:" in text
    assert str([10 * n for n in range(16)]) in text.replace("\n", "").replace(",  ", ", ")
    assert "[11, 11, 11, 11]" in text
    assert "text/html" in mime_types(notebook)


def test_figures(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed here")
    notebook = run(ROOT / "docs" / "figures.ipynb", tmp_path)
    text = shown(notebook)
    assert mime_types(notebook).count("image/png") == 3
    assert "step 3" in text
    assert "['from a shell']" in text


def test_mandelbrot(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed here")
    notebook = run(ROOT / "examples" / "mandelbrot.ipynb", tmp_path)
    assert mime_types(notebook).count("image/png") == 1
    text = shown(notebook)
    assert "[stdout:0] rows (100, 300) mean" in text
    assert "True" in text.splitlines()


def test_every_notebook_is_run() -> None:
    assert {path.stem for path in NOTEBOOKS} == {"tour", "figures", "mandelbrot"}
