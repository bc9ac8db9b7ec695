"""A program that runs another one on a host: `python -IS enter.py INIT DIRECTORY COMMAND...`.

Hosts and commands are those of `support.hosts`. This process stays in between: what it is sent it
passes on, it ends as the program ends, and the program does not outlive it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path

PASSED_ON = {
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
}
PR_SET_PDEATHSIG = 1
libc = ctypes.CDLL(None, use_errno=True)


def enter(init: int) -> None:
    """Join all that *init* has and this process has not, its process ids for children only."""
    namespaces = [Path(f"/proc/{init}/ns/{kind}") for kind in ("pid", "net", "uts", "ipc", "mnt")]
    opened = [os.open(path, os.O_RDONLY | os.O_CLOEXEC) for path in namespaces]
    for descriptor, path in zip(opened, namespaces, strict=True):
        if libc.setns(descriptor, 0):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(path))


def run(command: list[str]) -> int:
    """Run *command* in a child, pass signals on to it, and return how it ended."""
    signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON | {signal.SIGCHLD})
    parent_alive, parent_lives = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(parent_lives)
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        os.set_blocking(parent_alive, False)
        try:
            os.read(parent_alive, 1)
            os._exit(1)  # the end of the pipe: the parent died before it was to be told of
        except BlockingIOError:
            pass
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        if not any(map(os.isatty, range(3))):
            os.setsid()  # else its group were ours, which has no number there
        try:
            os.execvp(command[0], command)
        except OSError as error:
            print(f"{command[0]}: {error.strerror}", file=sys.stderr, flush=True)
            os._exit(127)
    while True:
        came = signal.sigwaitinfo(PASSED_ON | {signal.SIGCHLD})
        if came.si_signo != signal.SIGCHLD:
            if came.si_code <= 0:  # somebody sent it; a terminal's goes to the child as well
                os.kill(child, came.si_signo)
            continue
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid == child:
            return status


def end_as(status: int) -> None:
    """End with the same code, or by the same signal."""
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        if -code in (signal.SIGKILL, signal.SIGSTOP):
            os.kill(os.getpid(), -code)
        signal.signal(-code, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.kill(os.getpid(), -code)
    sys.exit(code)


if __name__ == "__main__":
    enter(int(sys.argv[1]))
    os.chdir(sys.argv[2])
    end_as(run(sys.argv[3:]))
