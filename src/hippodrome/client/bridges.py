"""Ways from other packages to a cluster; those packages are imported when they are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hippodrome.client.balanced import LoadBalancedView


def register_joblib_backend(
    name: str = "ipyparallel",
    make_default: bool = False,
    view: LoadBalancedView | None = None,
) -> None:
    """Let joblib run calls on the engines of a cluster.

    Args:
        name: for ``joblib.parallel_config``.
        make_default: whether joblib uses it from now on where no other is named.
        view: where calls go; by default to the profile's cluster, which is started at the first
            call if it is not running.

    Raises:
        ImportError: joblib is not installed.
    """
    from hippodrome.joblib import register

    register(name, make_default, view)
