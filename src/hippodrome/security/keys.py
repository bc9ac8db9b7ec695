"""CURVE key pairs, and a wrapper that keeps secrets out of logs and tracebacks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

KEY_LENGTH: Final = 40


@final
class Secret:
    """A text that is shown by `reveal` only: not by ``repr``, ``str``, ``format`` or logging."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself; never pass it to a logger, an argument list or an error."""
        return self._text

    def __repr__(self) -> str:
        return "<secret>"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(repr(self), spec)

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return self._text == other._text

    def __hash__(self) -> int:
        return hash((Secret, self._text))


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A CURVE key pair, both halves as 40 characters of Z85."""

    public: str
    secret: Secret


def generate() -> KeyPair:
    """Return a new key pair."""
    import zmq  # where keys are only read, nothing else needs it yet

    public, secret = zmq.curve_keypair()
    return KeyPair(public.decode("ascii"), Secret(secret.decode("ascii")))


def is_key(text: str) -> bool:
    """Say whether *text* has the form of a key: 40 characters of Z85."""
    return len(text) == KEY_LENGTH and _ALPHABET.issuperset(text)


_ALPHABET: Final = frozenset(
    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
)
