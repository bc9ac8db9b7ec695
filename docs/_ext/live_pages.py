"""The pages of the site run while they are built: each in a home of its own, from top to bottom.

Three kinds of fences are for that, besides MyST-NB's ``{code-cell}``:

- ``{terminal}``: commands after ``$`` are typed into one shell for the page, and what they print is
  shown. Lines after ``>`` continue a command. Options on the first line of the block:
  ``:fails: CODE`` for a last command that has to fail so; ``:until: TEXT`` for a program that stays
  in the foreground of a terminal of its own, until the page ends; ``:hide:`` shows nothing;
  ``:hide-output:`` shows the commands only; ``:title: TEXT`` says whose terminal it is. After a
  cell with ``%hosts NAME...``, ``:on: NAME`` types into a terminal of that stand-in for a host.
  ``:needs: MODULE`` shows the commands only, and says so, where the module cannot be had.
- ``{file} NAME``: a file, shown, and written for the commands and cells after it.
- ``{not-run} LANGUAGE``: what cannot be run here; its first line, ``:because: REASON``, says why.

All of them are turned into cells before MyST-NB reads the page, so that what a terminal starts, a
cell can use, and the other way round. A page that leaves a process behind fails the build.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import sysconfig
import tempfile
from contextlib import suppress
from fnmatch import fnmatch
from importlib.util import find_spec
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Any

import psutil
from docutils import nodes
from docutils.parsers.rst import directives
from myst_nb.core import render
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

HEADER = """---
file_format: mystnb
kernelspec: {name: python3, display_name: Python 3}
language_info: {name: python, pygments_lexer: ipython3}
---

"""
LAST = """

```{code-cell}
:tags: [remove-cell]

%end_of_page
```
"""
# Engines read the folder too; what they run, and the kernel, see no name of it.
STARTUP = """import sys
if "ipykernel_launcher" in sys.orig_argv:
    sys.path.append({here!r})
    import page_magics
    sys.path.pop()
    del page_magics
del sys
"""
_CELLS = re.compile(r"^(?P<fence>```+)\{(?:code-cell|terminal|file)\}", re.MULTILINE)
_FENCE = re.compile(
    r"^(?P<fence>```+)\{(?P<kind>terminal|file)\}[ \t]*(?P<name>[^\n]*)\n"
    r"(?P<body>.*?)^(?P=fence)[ \t]*$",
    re.MULTILINE | re.DOTALL,
)
_NEEDS = re.compile(r"^:needs: *(\w+)\n", re.MULTILINE)
# Where the site is built, and what a reader has in its place.
PLACES = {
    str(Path(__file__).parents[2] / "src"): "site-packages",
    str(Path(sysconfig.get_path("purelib"))): "site-packages",
}
LEAVES_WITHIN_S = 15.0

log = logging.getLogger(__name__)
_merge = render.coalesce_streams


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to what Sphinx does with each page."""
    app.add_config_value("live_pages_run", "*", "env", str)
    app.add_directive("not-run", NotRun)
    app.connect("source-read", begin)
    app.connect("doctree-read", end)
    render.coalesce_streams = merge_pieces
    return {"parallel_read_safe": True, "parallel_write_safe": True}


class NotRun(SphinxDirective):
    """Shows a block that cannot be run where the site is built."""

    has_content = True
    required_arguments = 1
    option_spec = {"because": directives.unchanged_required}  # noqa: RUF012

    def run(self) -> list[nodes.Node]:
        """Return the block."""
        if not self.options.get("because"):
            raise self.error("a block that is not run says why: `:because: REASON`")
        text = "\n".join(self.content)
        return [nodes.literal_block(text, text, language=self.arguments[0])]


def begin(app: Sphinx, name: str, source: list[str]) -> None:
    """Turn the fences of a page into cells, and make a home for it."""
    text = source[0]
    is_notebook = Path(app.env.doc2path(name)).suffix == ".ipynb"
    if not is_notebook and not _CELLS.search(text):
        return
    if not is_notebook:
        source[0] = HEADER + _FENCE.sub(_as_cell, text) + LAST
    if any(fnmatch(name, pattern) for pattern in app.config.live_pages_run.split(",")):
        _make_home(name)


def _as_cell(match: re.Match[str]) -> str:
    """Return the cell that does what a fence says."""
    fence, body = match["fence"], match["body"]
    if (needed := _NEEDS.search(body)) and find_spec(needed[1]) is None:
        print(f"live_pages: there is no {needed[1]}: its commands are NOT RUN", file=sys.stderr)
        because = f":because: needs {needed[1]}"
        return f"{fence}{{not-run}} console\n{because}\n{_NEEDS.sub('', body)}{fence}"
    tags = ":tags: [remove-input]"
    return (
        f"{fence}{{code-cell}}\n{tags}\n\n%%{match['kind']} {match['name'].strip()}\n{body}{fence}"
    )


def _make_home(name: str) -> None:
    """Make an empty home, which the page's kernel will find itself in."""
    home = Path(tempfile.mkdtemp(prefix="page-"))
    startup = home / ".ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "00-page.py").write_text(STARTUP.format(here=str(Path(__file__).parent)))
    shutil.copy(Path(__file__).with_name("page_hosts"), startup / "page_hosts")
    os.environ |= {"HOME": str(home), "IPYTHONDIR": str(home / ".ipython"), "PAGE": name}
    os.environ["PAGE_HOME"] = str(home)
    Finalize(None, _clear, (home,), exitpriority=0)  # where a cell fails, `end` is not reached


def end(app: Sphinx, _doctree: nodes.document) -> None:
    """Remove the page's home, and complain of what it has left running."""
    home = os.environ.pop("IPYTHONDIR", None)
    page = os.environ.pop("PAGE", None)
    if home is None or page != app.env.docname:
        return
    for command in _clear(Path(home).parent):
        log.warning("the page has left %s running", command, location=page, type="live_pages")


def _clear(home: Path) -> list[str]:
    """Remove a page's home, and return the commands that had to be killed."""
    commands: list[str] = []
    if not home.exists():
        return commands
    left = [one for one in psutil.process_iter() if _environ(one).get("PAGE_HOME") == str(home)]
    _, alive = psutil.wait_procs(left, timeout=LEAVES_WITHIN_S)
    for process in alive:
        with suppress(psutil.Error):
            commands.append(" ".join(process.cmdline()))
            process.kill()
    shutil.rmtree(home, ignore_errors=True)
    return commands


def _environ(process: psutil.Process) -> dict[str, str]:
    """Return the environment of a process, if it may be known, and if it is not Sphinx's own."""
    try:
        return process.environ() if process.pid != os.getpid() else {}
    except psutil.Error:
        return {}


def merge_pieces(outputs: list[Any]) -> list[Any]:
    """Merge what a cell prints, and then act upon its carriage returns, as a terminal does.

    MyST-NB ends a line after each piece that it gets, so that a progress bar would take many.
    """
    streams: dict[str, Any] = {}
    merged = []
    for output in outputs:
        name = output.get("name")
        if output["output_type"] != "stream" or name not in streams:
            merged.append(output)
        if output["output_type"] == "stream":
            first = streams.setdefault(name, output)
            if first is not output:
                first["text"] += output["text"]
    return [_tidied(output) for output in _merge(merged)]


def _tidied(output: Any) -> Any:
    """Return what a reader with a home and an installation of their own would see."""
    if isinstance(output, dict):
        for key, value in output.items():
            output[key] = _tidied(value)
    elif isinstance(output, list):
        output[:] = map(_tidied, output)
    elif isinstance(output, str):
        for place, name in PLACES.items():
            output = output.replace(place, name)
        return output.replace(os.environ.get("PAGE_HOME", "~"), "~")
    return output
