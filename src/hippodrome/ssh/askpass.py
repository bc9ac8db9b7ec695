"""A password for ssh that nobody else gets to see: a helper that ssh calls reads it from a file.

The file is 0600 in a 0700 directory, in memory where the system has such a place, and is there only
while ssh logs in. Neither command lines nor environments hold the password.
"""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from hippodrome.security.keys import Secret

_HELPER: Final = """\
#!/bin/sh
# ssh asks by calling this; a question about a host key is for a person
case $1 in
*yes/no*) echo no ;;
*) cat {secret} ;;
esac
"""


@contextlib.contextmanager
def password_at_hand(directory: Path, password: Secret | None) -> Iterator[Mapping[str, str]]:
    """Yield what has to be in the environment of an ssh that is to log in by *password*.

    Args:
        directory: a 0700 directory, in which files are made, and removed at the end.
        password: None asks for nothing of all this.
    """
    if password is None:
        yield {}
        return
    helper, secret = directory / "askpass", directory / "secret"
    try:
        _write(secret, password.reveal() + "\n", 0o600)
        _write(helper, _HELPER.format(secret=shlex.quote(str(secret))), 0o700)
        yield {
            "SSH_ASKPASS": str(helper),
            "SSH_ASKPASS_REQUIRE": "force",
            "DISPLAY": ":0",  # older ones ask a helper only where there is one
        }
    finally:
        for path in (secret, helper):
            path.unlink(missing_ok=True)


def _write(path: Path, text: str, mode: int) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
