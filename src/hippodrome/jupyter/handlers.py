"""Clusters over HTTP: below ``/ipyparallel``, where programs look for them, and ``/hippodrome``.

Who may ask, from which origin and with which token is the server's business: every method needs
a user, and a change needs what the server wants against requests from other sites.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from tornado import web

from hippodrome.errors import ClusterError
from hippodrome.jupyter.clusters import Clusters, Conflict, InvalidRequest, UnknownCluster
from hippodrome.jupyter.messages import NewCluster, Problem, Start, read

PREFIXES: Final = ("ipyparallel", "hippodrome")
STATUS: Final[dict[type[Exception], int]] = {
    msgspec.DecodeError: 400,
    InvalidRequest: 400,
    UnknownCluster: 404,
    Conflict: 409,
    ClusterError: 500,
}

Route = tuple[str, type[web.RequestHandler], dict[str, Any]]


def routes(base_url: str, clusters: Clusters) -> list[Route]:
    """Return which path is served by whom.

    Args:
        base_url: below which the server serves everything, with a slash at its end.
        clusters: what is served.
    """
    given = {"clusters": clusters}
    found: list[Route] = []
    for prefix in PREFIXES:
        path = f"{re.escape(base_url)}{prefix}/clusters"
        found += [(path, AllHandler, given), (f"{path}/([^/]+)", OneHandler, given)]
    return found


class ClustersHandler(APIHandler):
    """Answers in JSON that the handlers share, errors too."""

    auth_resource = "hippodrome"

    def initialize(self, clusters: Clusters) -> None:
        self.clusters = clusters

    async def answer(self, ask: Callable[[], Awaitable[Any]], status: int = 200) -> None:
        """Answer with *status* and what *ask* returns, or with its error."""
        try:
            found = await ask()
        except tuple(STATUS) as error:
            self._refuse(error)
        else:
            self.set_status(status)
            self.finish(None if found is None else msgspec.json.encode(found))

    def _refuse(self, error: Exception) -> None:
        """Answer with the first line of *error*.

        More lines are what a process wrote last, its traceback maybe: for the server's log.
        """
        status = next(status for kind, status in STATUS.items() if isinstance(error, kind))
        if status == 500:
            self.log.error("%s %s: %s", self.request.method, self.request.path, error)
        self.set_status(status)
        self.finish(msgspec.json.encode(Problem(str(error).partition("\n")[0])))


class AllHandler(ClustersHandler):
    """All clusters."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """List them."""
        await self.answer(self.clusters.describe_all)

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Make one, without starting it."""

        async def create() -> Any:
            return await self.clusters.create(read(self.request.body, NewCluster))

        await self.answer(create)


class OneHandler(ClustersHandler):
    """One cluster."""

    @web.authenticated
    @authorized
    async def get(self, key: str) -> None:
        """Tell of it."""
        await self.answer(lambda: self.clusters.describe(key))

    @web.authenticated
    @authorized
    async def post(self, key: str) -> None:
        """Start it, and answer when its engines are there."""

        async def start() -> Any:
            return await self.clusters.start(key, read(self.request.body, Start).n)

        await self.answer(start)

    @web.authenticated
    @authorized
    async def delete(self, key: str) -> None:
        """Stop it, and forget it."""
        await self.answer(lambda: self.clusters.remove(key), 204)
