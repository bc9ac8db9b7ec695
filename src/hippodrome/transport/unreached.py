"""The sentence that says why a controller cannot be reached, with each of its addresses."""

from __future__ import annotations

import enum
import errno
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hippodrome.errors import AuthenticationError, ClusterError, ConnectionFileError
from hippodrome.security.connection_file import ConnectionInfo


class Why(enum.Enum):
    """The kind of trouble with an address; the value is the word for it."""

    REFUSED = "refused"  # nothing listens there
    GONE = "gone"  # there is no such socket in the file system
    ELSEWHERE = "elsewhere"  # a socket of another host's file system
    TIMED_OUT = "timed out"
    NO_ROUTE = "no route"
    NAME_UNKNOWN = "name unknown"
    WRONG_KEY = "wrong key"
    CUT = "cut"  # the other side ends each handshake: a wrong key, or no room
    MUTE = "mute"  # it takes the connection, and says nothing
    STRANGER = "another program"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Unreached:
    """What became of one address.

    Attributes:
        address: as the connection file has it.
        why: the kind of trouble.
        text: what is said of it.
    """

    address: str
    why: Why
    text: str


def failure_of(address: str, error: OSError | ValueError) -> Unreached:
    """Return what an error of the system says of *address*."""
    text = _said(error)
    if isinstance(error, socket.gaierror):
        return Unreached(address, Why.NAME_UNKNOWN, f"name unknown here ({text})")
    code = getattr(error, "errno", None)
    why = _KINDS.get(code, Why.OTHER) if code is not None else Why.OTHER
    if isinstance(error, ValueError):
        text = "it is no address"
    elif why is Why.NO_ROUTE and "route" not in text:
        text = f"no route to it ({text})"
    return Unreached(address, why, text)


def timed_out(address: str, after_s: float) -> Unreached:
    """Return that nobody has answered at *address*."""
    text = f"timed out: no answer within {after_s:.3g} s"
    return Unreached(address, Why.TIMED_OUT, text)


def only_on(address: str, host: str) -> Unreached:
    """Return that *address* is a socket in the file system of another *host*."""
    return Unreached(address, Why.ELSEWHERE, f"only on the host {host}")


def merged(address: str, failures: Sequence[Unreached]) -> Unreached:
    """Return what became of *address*, whose name has led to several places."""
    texts = dict.fromkeys(failure.text for failure in failures)
    if len(texts) == 1:
        return Unreached(address, failures[0].why, failures[0].text)
    worst = min(failures, key=lambda failure: _TELLING.index(failure.why))
    places = [f"{failure.address.partition('://')[2]} {failure.text}" for failure in failures]
    return Unreached(address, worst.why, " and ".join(places))


def is_stale(failures: Iterable[Unreached]) -> bool:
    """Tell whether everything that was asked has said at once that nobody is there."""
    return all(one.why in (Why.REFUSED, Why.GONE, Why.ELSEWHERE) for one in failures)


def error_of(info: ConnectionInfo, failures: Sequence[Unreached]) -> ClusterError:
    """Return the error that says what became of each address of *info*."""
    source = f"the connection file {info.path}" if info.path else "the connection info"
    tried = "; ".join(f"{one.address}: {one.text}" for one in failures)
    kinds = {one.why for one in failures}
    if Why.WRONG_KEY in kinds:
        return AuthenticationError(
            f"a controller answers, but not to the keys in {source}, which is probably of an "
            f"earlier one: use the file that the running controller wrote ({tried})"
        )
    if Why.CUT in kinds:
        return AuthenticationError(
            f"a controller answers, but ends each handshake: the keys in {source} are of an "
            f"earlier one, or it cannot take more connections, which its log says ({tried})"
        )
    return ConnectionFileError(
        f"{source} is stale, or its controller cannot be reached from here: "
        f"start ipcontroller (or ipcluster start) and try again ({tried})"
    )


def _said(error: OSError | ValueError) -> str:
    return str(getattr(error, "strerror", None) or error)


_KINDS = {
    errno.ECONNREFUSED: Why.REFUSED,
    errno.ENOENT: Why.GONE,
    errno.EHOSTUNREACH: Why.NO_ROUTE,
    errno.ENETUNREACH: Why.NO_ROUTE,
    errno.EHOSTDOWN: Why.NO_ROUTE,
    errno.ENETDOWN: Why.NO_ROUTE,
    errno.EADDRNOTAVAIL: Why.NO_ROUTE,  # of a family that this host has not
    errno.EAFNOSUPPORT: Why.NO_ROUTE,
    errno.ETIMEDOUT: Why.TIMED_OUT,
}
# Of several places that a name leads to: what says most about the controller comes first.
_TELLING = (
    Why.WRONG_KEY, Why.CUT, Why.MUTE, Why.STRANGER, Why.TIMED_OUT, Why.NO_ROUTE, Why.OTHER,
    Why.NAME_UNKNOWN, Why.ELSEWHERE, Why.REFUSED, Why.GONE,
)  # fmt: skip
