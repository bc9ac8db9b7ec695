"""A handler of logs for programs that listen to several engines over one socket."""

from __future__ import annotations

from typing import Any  # Any: the engine is whatever has an id, and the rest goes to pyzmq

from zmq.log.handlers import PUBHandler


class EnginePUBHandler(PUBHandler):
    """Publishes records under topics that begin with ``engine.3``.

    Args:
        engine: whose records they are: an object with an ``id``, None while it has none.
        args: as for `zmq.log.handlers.PUBHandler`: a socket, or an address to bind one to.
    """

    def __init__(self, engine: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.engine = engine

    @property
    def root_topic(self) -> str:
        """What topics begin with."""
        number = getattr(self.engine, "id", None)
        return "engine" if number is None else f"engine.{number}"

    @root_topic.setter
    def root_topic(self, topic: str) -> None:
        """Accept what pyzmq sets at first: the topic is the engine's."""
