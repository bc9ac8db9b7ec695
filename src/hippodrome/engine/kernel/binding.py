"""`bind_kernel`: lets Jupyter frontends attach to the engine that calls it.

Nothing of Jupyter is imported before somebody asks for it.
"""

from __future__ import annotations

import importlib.util
import os
import socket
import sys
import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from hippodrome.engine.kernel.server import Kernel
    from hippodrome.engine.server import RunningEngine

_engine: RunningEngine | None = None
_kernel: Kernel | None = None
_lock: Final = threading.Lock()


def bind_kernel(
    *,
    connection_file: str = "",
    ip: str = "127.0.0.1",
    shell_port: int = 0,
    iopub_port: int = 0,
    stdin_port: int = 0,
    control_port: int = 0,
    hb_port: int = 0,
) -> str:
    """Let Jupyter frontends attach to the engine that calls this.

    They share the engine's variables with its tasks, and take turns with them. An engine has one
    kernel: if there is one already, the arguments are ignored.

    Args:
        connection_file: the path of the file by which frontends find the engine, or its name in
            Jupyter's runtime directory. By default its name tells the host and the process.
        ip: the address to listen at. What frontends and engines say to each other is signed, but
            not encrypted.
        shell_port: 0 stands for any that is free; so do the others.
        iopub_port: see there.
        stdin_port: see there.
        control_port: see there.
        hb_port: see there.

    Returns:
        The path of the connection file.

    Raises:
        RuntimeError: this process is no engine.
        ImportError: IPython or jupyter_client is not installed where the engine is.
        OSError: the file cannot be written, or a port is taken.

    >>> rc[0].apply_sync(ipp.bind_kernel)
    '...kernel-....json'
    """
    global _kernel
    with _lock:
        if _engine is None:
            raise RuntimeError(
                "bind_kernel() is for engines, and this process is none; call it there, as in "
                "view.apply(hippodrome.bind_kernel)"
            )
        if _kernel is None:
            _require("IPython", "jupyter_client")
            from hippodrome.engine.kernel.server import bind

            ports = {
                "shell": shell_port,
                "iopub": iopub_port,
                "stdin": stdin_port,
                "control": control_port,
                "hb": hb_port,
            }
            _kernel = bind(_engine, connection_file, ip, ports)
        return _kernel.connection_file


def bound_file() -> str | None:
    """Return the path of the connection file of this process; None if it has no kernel."""
    return None if _kernel is None else _kernel.connection_file


def offer(engine: RunningEngine) -> None:
    """Let `bind_kernel` work in this process, and in no child that it forks."""
    global _engine
    _engine = engine
    os.register_at_fork(after_in_child=_forget)


def close() -> None:
    """Close the kernel, if there is one; its connection file is removed."""
    global _kernel
    kernel, _kernel = _kernel, None
    if kernel is not None:
        kernel.close()


def _require(*modules: str) -> None:
    for module in modules:
        if importlib.util.find_spec(module) is None:
            raise ImportError(
                f"bind_kernel() needs {module}, which is not installed for {sys.executable} on "
                f"{socket.gethostname()}",
                name=module,
            )


def _forget() -> None:
    global _engine, _kernel
    _engine = _kernel = None
