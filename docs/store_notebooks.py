"""``make notebooks``: run the notebooks, and store them with what they show.

Each runs from a clean state, in a home and a folder of its own. What is so on this machine
only is not stored, nor what can only be shown by a kernel: widgets, as progress bars are.
"""

from __future__ import annotations

import os
import re
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted([*ROOT.glob("docs/*.ipynb"), *ROOT.glob("examples/*.ipynb")])
WIDGET = "application/vnd.jupyter.widget-view+json"
LANGUAGE = {"name": "python", "pygments_lexer": "ipython3"}


def main(paths: list[Path]) -> None:
    """Run and store the notebooks at *paths*."""
    os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"
    for path in paths:
        notebook = nbformat.read(path, as_version=4)
        with tempfile.TemporaryDirectory(prefix="notebook-") as folder:
            os.environ |= {"HOME": folder, "IPYTHONDIR": f"{folder}/.ipython"}
            resources = {"metadata": {"path": folder}}
            NotebookClient(notebook, timeout=120, resources=resources).execute()
            tidy(notebook, folder)
        nbformat.write(notebook, path)
        print(f"stored {path.relative_to(ROOT)}", file=sys.stderr)


def tidy(notebook: Any, folder: str) -> None:
    """Leave out of *notebook* what is so on this machine only."""
    known = {folder: "~", str(ROOT): "hippodrome", socket.gethostname(): "localhost"}
    notebook.metadata = {"kernelspec": notebook.metadata.kernelspec, "language_info": LANGUAGE}
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if "outputs" in cell:
            cell.outputs = [one for one in cell.outputs if WIDGET not in one.get("data", {})]
        for output in cell.get("outputs", ()):
            for holder, key in _texts(output):
                holder[key] = plain(holder[key], known)


def plain(text: str, known: dict[str, str]) -> str:
    """Return *text* with what it knows of this machine in other words."""
    for here, anywhere in known.items():
        text = re.sub(rf"(?<!\w){re.escape(here)}(?!\w)", anywhere, text)
    return text


def _texts(output: Any) -> list[tuple[Any, Any]]:
    """Return where the texts of an output are: what holds each, and by which key."""
    data = output.get("data", {})
    found = [(data, mime) for mime, text in data.items() if mime.startswith("text/")]
    found += [(output, key) for key in ("text", "evalue") if key in output]
    lines = output.get("traceback", [])
    return found + [(lines, index) for index in range(len(lines))]


if __name__ == "__main__":
    main([Path(name).resolve() for name in sys.argv[1:]] or NOTEBOOKS)
