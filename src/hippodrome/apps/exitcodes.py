"""The exit codes of all programs, and the errors that have one of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hippodrome.errors import ClusterError

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
ALREADY_STARTED: Final = 10
ALREADY_STOPPED: Final = 11
NO_CLUSTER: Final = 12
NOT_EXECUTABLE: Final = 126
NOT_FOUND: Final = 127
INTERRUPTED: Final = 130
NOBODY_READS: Final = 141
NOT_REGISTERED: Final = 255


class AlreadyStarted(ClusterError):
    """There is a running controller for this profile and cluster id."""

    code = "already_started"


class AlreadyStopped(ClusterError):
    """A process that should be stopped does not run any more."""

    code = "already_stopped"


class NoCluster(ClusterError):
    """There is no such cluster."""

    code = "no_cluster"


# What each of them says, as help and documentation have it.
EXIT_CODES: Final[Mapping[int, str]] = {
    OK: "All went well.",
    FAILED: "It failed; a line on stderr says why.",
    USAGE: "An option, a value or a configuration file is wrong; nothing was done.",
    ALREADY_STARTED: "A controller of this profile and cluster id runs already.",
    ALREADY_STOPPED: "There is no such cluster any more, so that there is nothing to stop.",
    NO_CLUSTER: "There is no cluster or controller to do it with.",
    NOT_EXECUTABLE: "The program that was to be run is none.",
    NOT_FOUND: "The program that was to be run is not there.",
    INTERRUPTED: "Ctrl-C ended it before it was done.",
    NOBODY_READS: "Whoever read what it printed has closed the pipe.",
    NOT_REGISTERED: "An engine could not be registered.",
}

_OF_ERRORS: Final[Mapping[type[Exception], int]] = {
    AlreadyStarted: ALREADY_STARTED,
    AlreadyStopped: ALREADY_STOPPED,
    NoCluster: NO_CLUSTER,
}


def code_of(error: Exception) -> int:
    """Return the exit code of a program that ends with this error."""
    return _OF_ERRORS.get(type(error), FAILED)
