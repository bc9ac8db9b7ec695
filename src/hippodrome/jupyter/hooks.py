"""Functions that Jupyter asks for by name; only the last imports jupyter_server.

There is no code for browsers here, so that the lists of such code are empty.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp
    from tornado.web import Application


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    """Return which module Jupyter's server loads the extension from."""
    return [{"module": "hippodrome"}]


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    """Return which code JupyterLab loads: none."""
    return []


def _jupyter_nbextension_paths() -> list[dict[str, str]]:
    """Return which code the classic notebook loads: none."""
    return []


def load_jupyter_server_extension(server: ServerApp) -> None:
    """Let a Jupyter server answer for clusters.

    Args:
        server: the server, which has made its web application already.
    """
    from hippodrome.jupyter.clusters import Clusters
    from hippodrome.jupyter.handlers import routes

    application: Application = server.web_app
    application.add_handlers(".*$", routes(application.settings["base_url"], Clusters()))


_jupyter_server_extension_paths = _jupyter_server_extension_points
_load_jupyter_server_extension = load_jupyter_server_extension
