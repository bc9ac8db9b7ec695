"""A guard ends jobs when the process that wants them is gone, however it went.

It is a shell that reads the ids of jobs from a pipe. At its end of file, which comes with the end
of whoever holds the other side, it has them cancelled; unless it is told before that this is done.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from hippodrome.launch.commands import own_environment

_SCRIPT: Final = """trap '' HUP INT
ids=
while read -r word; do
    [ "$word" = dismissed ] && exit 0
    ids="$ids $word"
done
: > {stop}
[ -n "$ids" ] && for again in 1 2 3 4 5; do
    {cancel} $ids && exit 0
    sleep $again
done
"""


class Guard:
    """A guard over jobs.

    Args:
        cancel: the command that ends jobs; their ids come last.
        stop_file: which file tells jobs that start later to end.
    """

    def __init__(self, cancel: Sequence[str], stop_file: Path) -> None:
        script = _SCRIPT.format(cancel=shlex.join(cancel), stop=shlex.quote(str(stop_file)))
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=own_environment(),
            cwd="/",
            start_new_session=True,  # it outlives whatever ends this process
        )

    def watch(self, job_id: str) -> None:
        """Take a job under guard."""
        self._tell(job_id)

    def dismiss(self) -> None:
        """Have it end, as the jobs have."""
        self._tell("dismissed")
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5.0)

    def _tell(self, word: str) -> None:
        if self._process.stdin is not None and not self._process.stdin.closed:
            with contextlib.suppress(OSError):
                os.write(self._process.stdin.fileno(), f"{word}\n".encode())
