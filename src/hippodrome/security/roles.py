"""Which peers a key makes: those that have clients' keys cannot pose as engines, and vice versa."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hippodrome.errors import AuthenticationError

ROLES_OF_KEY: Final[Mapping[str, tuple[str, ...]]] = {
    "client": ("client",),
    "engine": ("engine", "node"),
}


def check_role(key_role: str, role: str) -> None:
    """Make sure that the key of *key_role* makes a *role*.

    Raises:
        AuthenticationError: it does not.
    """
    if role not in ROLES_OF_KEY.get(key_role, ()):
        fitting = "clients" if role == "client" else "engines"
        raise AuthenticationError(
            f"the key of role {key_role!r} does not make a {role}: "
            f"use the connection file for {fitting}"
        )
