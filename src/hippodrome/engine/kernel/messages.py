"""Messages that frontends and an engine exchange, as far as that needs no sockets. Pure.

Source: the Jupyter messaging protocol 5.3, jupyter-client.readthedocs.io/en/stable/messaging.html.
"""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final  # Any: JSON

from hippodrome._version import __version__

PROTOCOL_VERSION: Final = "5.3"


@dataclass(frozen=True, slots=True)
class Request:
    """A request that a frontend sends.

    Attributes:
        socket: where it came from, and the reply goes: ``"shell"`` or ``"control"``.
        route: frames that lead the reply back.
        header: the parent header of all that belongs to the request.
        content: depends on the kind.
        number: counts all requests, from 1.
    """

    socket: str
    route: list[bytes]
    header: dict[str, Any]
    content: dict[str, Any]
    number: int

    @property
    def kind(self) -> str:
        """Return what is asked for, such as ``"execute_request"``."""
        return str(self.header["msg_type"])

    @property
    def session(self) -> str:
        """Return which frontend asks."""
        return str(self.header.get("session"))


@dataclass(frozen=True, slots=True, eq=False)
class Outgoing:
    """A message that an engine sends.

    Attributes:
        socket: where: ``"shell"``, ``"control"`` or ``"iopub"``.
        kind: of message.
        content: a JSON object; what is in it depends on the kind.
        request: what it belongs to.
    """

    socket: str
    kind: str
    content: bytes
    request: Request


@dataclass(frozen=True, slots=True)
class StreamText:
    """A text that an engine prints.

    Attributes:
        name: ``"stdout"`` or ``"stderr"``.
        text: without anything that UTF-8 cannot say.
        request: what it belongs to.
    """

    name: str
    text: str
    request: Request


def reply(request: Request, content: bytes) -> Outgoing:
    """Return the one answer to a request."""
    kind = request.kind.removesuffix("_request") + "_reply"
    return Outgoing(request.socket, kind, content, request)


def status(request: Request, state: str) -> Outgoing:
    """Tell that a request is being served (``"busy"``), or has been (``"idle"``)."""
    return Outgoing("iopub", "status", as_json({"execution_state": state}), request)


def as_json(content: Mapping[str, Any]) -> bytes:
    """Return a JSON object, in which what JSON does not know is text."""
    return json.dumps(content, default=str).encode()


def joined(messages: Iterable[Outgoing | StreamText]) -> Iterator[Outgoing]:
    """Yield the messages, with text that belongs together in one: print() writes bit by bit."""
    for message, group in itertools.groupby(messages, _stream_of):
        if isinstance(message, Outgoing):
            yield message
        else:
            _, name = message
            texts = [text for text in group if isinstance(text, StreamText)]
            content = {"name": name, "text": "".join(text.text for text in texts)}
            yield Outgoing("iopub", "stream", as_json(content), texts[0].request)


def _stream_of(message: Outgoing | StreamText) -> Outgoing | tuple[int, str]:
    return (message.request.number, message.name) if isinstance(message, StreamText) else message


class Aborting:
    """Which cells do not run because one before them failed: those the same frontend had sent."""

    def __init__(self) -> None:
        self._until: dict[str, int] = {}

    def fail(self, request: Request, n_received: int) -> None:
        """A cell has failed when *n_received* requests had come."""
        if request.content.get("stop_on_error", True):
            self._until[request.session] = n_received

    def includes(self, request: Request) -> bool:
        """Whether the cell does not run."""
        until = self._until.get(request.session, 0)
        if request.number > until:
            self._until.pop(request.session, None)
        return request.number <= until


def kernel_info() -> dict[str, Any]:
    """Return what frontends ask first."""
    version = ".".join(map(str, sys.version_info[:3]))
    return {
        "status": "ok",
        "protocol_version": PROTOCOL_VERSION,
        "implementation": "hippodrome",
        "implementation_version": __version__,
        "language_info": {
            "name": "python",
            "version": version,
            "mimetype": "text/x-python",
            "codemirror_mode": {"name": "ipython", "version": sys.version_info[0]},
            "pygments_lexer": f"ipython{sys.version_info[0]}",
            "nbconvert_exporter": "python",
            "file_extension": ".py",
        },
        "banner": f"An engine of hippodrome {__version__}, Python {version}\n",
        "help_links": [],
        "supported_features": [],
    }


def error_content(ename: str, evalue: str, traceback: Sequence[str]) -> dict[str, Any]:
    """Return how an error is told."""
    return {"ename": ename, "evalue": evalue, "traceback": list(traceback)}
