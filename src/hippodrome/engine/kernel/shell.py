"""Frontends ask IPython through this: contents of requests in, contents of replies out.

On the main thread, as user code. Imported when the first frontend asks.
"""

from __future__ import annotations

import builtins
import fnmatch
import getpass
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, NoReturn  # Any: JSON, and IPython, which is not typed

from IPython.core.completer import provisionalcompleter, rectify_completions
from IPython.core.error import StdinNotImplementedError
from IPython.utils.tokenutil import token_at_cursor

from hippodrome.engine.ipython import IPythonAdapter, encoded

Content = dict[str, Any]
Publish = Callable[[str, Content], None]


def execute(ipython: IPythonAdapter, content: Content, publish: Publish) -> Content:
    """Run a cell.

    Raises:
        CellError: it raised.
    """
    shell = ipython.shell()
    code, silent = content["code"], bool(content.get("silent", False))
    is_stored = bool(content.get("store_history", True)) and not silent
    shell.payload_manager.clear_payload()
    if not silent:
        publish("execute_input", {"code": code, "execution_count": shell.execution_count})
    with _without_stdin():
        ipython.run_cell(code, silent, is_stored)
        expressions = shell.user_expressions(content.get("user_expressions") or {})
    return {
        "status": "ok",
        "execution_count": ipython.last_count,
        "user_expressions": {name: _encoded(value) for name, value in expressions.items()},
        "payload": shell.payload_manager.read_payload(),
    }


def complete(ipython: IPythonAdapter, content: Content, _publish: Publish) -> Content:
    """Say how the code could go on at the cursor."""
    code, cursor = content["code"], content.get("cursor_pos")
    cursor = len(code) if cursor is None else cursor
    with provisionalcompleter():
        found = ipython.shell().Completer.completions(code, cursor)
        completions = list(rectify_completions(code, found))
    return {
        "status": "ok",
        "matches": [completion.text for completion in completions],
        "cursor_start": completions[0].start if completions else cursor,
        "cursor_end": completions[0].end if completions else cursor,
        "metadata": {},
    }


def inspect(ipython: IPythonAdapter, content: Content, _publish: Publish) -> Content:
    """Describe the object at the cursor."""
    code, cursor = content["code"], content.get("cursor_pos")
    name = token_at_cursor(code, len(code) if cursor is None else cursor)
    try:
        data = ipython.shell().object_inspect_mime(name, content.get("detail_level", 0))
    except KeyError:
        data = {}
    return {"status": "ok", "found": bool(data), "data": encoded(data), "metadata": {}}


def is_complete(ipython: IPythonAdapter, content: Content, _publish: Publish) -> Content:
    """Say whether a frontend that asks line by line should ask for more."""
    state, indent = ipython.shell().check_complete(content["code"])
    return {"status": state, "indent": indent} if state == "incomplete" else {"status": state}


def history(ipython: IPythonAdapter, content: Content, _publish: Publish) -> Content:
    """Return cells that were run on this engine since it started; no other history is kept."""
    access, n = content.get("hist_access_type"), content.get("n")
    manager = ipython.shell().history_manager
    start, stop = 1, None
    if access == "range":
        start, stop = content.get("start", 1), content.get("stop")
    elif access == "tail" and n:
        start = max(1, len(manager.input_hist_raw) - n)
    output = bool(content.get("output", False))
    items = list(manager.get_range(0, start, stop, bool(content.get("raw", True)), output))
    if access == "search":
        items = list(_search(items, content.get("pattern") or "*", output))
        items = items[-n:] if n else items
    if output:  # values may be anything; a frontend shows them as text
        items = [(s, line, (code, _text(value))) for s, line, (code, value) in items]
    return {"status": "ok", "history": items}


HANDLERS: Final[Mapping[str, Callable[[IPythonAdapter, Content, Publish], Content]]] = {
    "execute_request": execute,
    "complete_request": complete,
    "inspect_request": inspect,
    "is_complete_request": is_complete,
    "history_request": history,
}


def _search(items: list[Any], pattern: str, output: bool) -> Iterator[Any]:
    for item in items:
        if fnmatch.fnmatchcase(item[2][0] if output else item[2], pattern):
            yield item


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _encoded(expression: Content) -> Content:
    """Return the outcome of a user expression such that JSON can hold it."""
    return (
        {**expression, "data": encoded(expression["data"])} if "data" in expression else expression
    )


@contextmanager
def _without_stdin() -> Iterator[None]:
    """Let what asks for input say at once that nobody will answer."""
    asking = builtins.input, getpass.getpass
    builtins.input = getpass.getpass = _no_stdin
    try:
        yield
    finally:
        builtins.input, getpass.getpass = asking


def _no_stdin(*_args: object, **_kwargs: object) -> NoReturn:
    raise StdinNotImplementedError("an engine asks its frontends for no input")
