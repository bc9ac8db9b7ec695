"""The options of ``ipengine``, and what it does with them."""

from __future__ import annotations

import math
import os
import socket
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Final

from traitlets import Bool, Int, List, Unicode

from hippodrome import paths
from hippodrome.apps.base import Duration, EngineCount, Number, Program, Switch, Text
from hippodrome.apps.commandline import FlagOption
from hippodrome.apps.exitcodes import FAILED, NOT_REGISTERED, OK, USAGE
from hippodrome.apps.sshhosts import ssh_host
from hippodrome.apps.startup import IGNORE_STARTUP_ERRORS, startup_source
from hippodrome.errors import ClusterError
from hippodrome.node.config import NodeConfig
from hippodrome.node.template import Template
from hippodrome.process.parent import has_ended
from hippodrome.protocol.silence import PATIENCE_S, REGISTRATION_S
from hippodrome.security.connection_file import engine_file

STOP_S: Final = 1.0
MPI_STOP_S: Final = 5.0  # ranks leave together, and wait for each other


class IPEngine(Program):
    """Options of the engines.

    Attributes:
        template: from which engines are forked, if there is one.
    """

    template: ClassVar[Template | None] = None

    joins: ClassVar[bool] = True
    name = "ipengine"
    description = "Run engines on this host for a controller."
    exit_codes: ClassVar[tuple[int, ...]] = (OK, FAILED, USAGE, NOT_REGISTERED)
    examples = "ipengine -n 4\nipengine --file=ipcontroller-engine.json -c 'import numpy'"

    n: EngineCount = EngineCount(
        1, min=1, help="How many engines; auto is one for each core that is ours."
    ).tag(config=True, value="N|auto")
    most_cores: Number = Int(0, min=0, help="How many cores are ours here at most.").tag(
        config=True, internal=True
    )
    id: Number = Int(
        -1, min=-1, help="The engine id to ask for; several engines ask for those after it, too."
    ).tag(config=True, default="the next one")
    use_mpi: Switch = Bool(
        False, help="Be a rank of MPI, as in mpiexec -n 4 ipengine --mpi, with that as engine id."
    ).tag(config=True)
    cap_threads: Switch = Bool(
        False,
        help="Let libraries in an engine use no more threads than its share of the cores, unless "
        "OMP_NUM_THREADS says how many.",
    ).tag(config=True)
    url_file: Text = Unicode(help="The controller's connection file for engines.").tag(
        config=True, value="FILE", completes="file", default="the profile's, of --cluster-id"
    )
    registration_url: Text = Unicode(
        help="Address to connect to in place of those in the connection file."
    ).tag(config=True, value="tcp://HOST:PORT")
    wait_for_url_file: Duration = Duration(
        10.0, min=0.0, help="How long to wait for the connection file, in seconds."
    ).tag(config=True, value="SECONDS")
    timeout: Duration = Duration(
        REGISTRATION_S, min=0.1, help="How long registration may take, in seconds."
    ).tag(config=True, value="SECONDS")
    patience: Duration = Duration(
        PATIENCE_S, min=1.0, help="How long silence of the controller is waited out, in seconds."
    ).tag(config=True, value="SECONDS")
    sshserver: Text = Unicode(help="Host to tunnel through to the controller, by ssh.").tag(
        config=True, value="USER@HOST:PORT", default="as the connection file says"
    )
    sshkey: Text = Unicode(help="File with the private key for that.").tag(
        config=True, value="FILE", completes="file"
    )
    startup_command: Text = Unicode(help="Source text that each engine executes first.").tag(
        config=True, value="CODE"
    )
    startup_script: Text = Unicode(help="A file that each engine executes first.").tag(
        config=True, value="FILE", completes="file"
    )
    ignore_startup_errors: Switch = Bool(
        False, help="Whether engines serve even if what they execute first fails."
    ).tag(config=True)
    exec_files: List[str] = List(Unicode(), help="Files that each engine executes before.").tag(
        config=True, value="FILE", completes="file"
    )
    exec_lines: List[str] = List(Unicode(), help="Lines that each engine executes before.").tag(
        config=True, value="CODE"
    )
    any_python: Switch = Bool(
        False,
        help="Try functions of another minor version of Python, which may end engines.",
    ).tag(config=True)
    ends_at: Duration = Duration(
        0.0, min=0.0, help="When the time of this host is up, in seconds since the epoch."
    ).tag(config=True, value="SECONDS", default="never")
    idle: Duration = Duration(
        0.0, min=0.0, help="Leave after as many seconds without work; 0 for never."
    ).tag(config=True, value="SECONDS")
    parent_fd: Number = Int(-1, help="A pipe's reading end: stop when the pipe is closed.").tag(
        config=True, internal=True
    )
    info_fd: Number = Int(-1, help="A descriptor to read from where the controller is.").tag(
        config=True, internal=True
    )
    ready_fd: Number = Int(-1, help="A file descriptor to write a line to when ready.").tag(
        config=True, internal=True
    )

    own_aliases: ClassVar[Mapping[str, str]] = {
        "n": "n",
        "file": "url_file",
        "url": "registration_url",
        "ssh": "sshserver",
        "sshkey": "sshkey",
        "c": "startup_command",
        "s": "startup_script",
        "timeout": "timeout",
        "patience": "patience",
    }
    own_flags: ClassVar[Mapping[str, FlagOption]] = {
        "ignore-startup-errors": IGNORE_STARTUP_ERRORS,
        "any-python": FlagOption(
            "any_python", True, "Try functions of clients with another minor version of Python."
        ),
        "mpi": FlagOption("use_mpi", True, "Be a rank of MPI, with that as engine id."),
        "cap-threads": FlagOption(
            "cap_threads", True, "Let libraries use only an engine's share of the cores."
        ),
    }

    def start(self) -> int:
        config = self.freeze(self._connection_file())
        if self.info_fd >= 0:
            from hippodrome.apps.told import hear

            told = hear(self.info_fd, self.ready_fd)
            config = replace(
                config,
                connection=told.info,
                tunnel=told.tunnel,
                n=told.n,
                ready_fd=told.ready_fd,
            )
        from hippodrome.node.server import run_node

        if self.use_mpi and self.template is not None:
            self.template.close()  # a rank is a process of its own
            return run_node(config)
        return run_node(config, self.template)

    def freeze(self, connection_file: Path) -> NodeConfig:
        """Return these options as the supervisor takes them.

        Raises:
            ClusterError: a file to be executed first cannot be read.
        """
        n, caps = self._share()
        return NodeConfig(
            connection_file=connection_file,
            address=self.registration_url,
            ssh_server=ssh_host(self.sshserver),
            ssh_key=str(self.typed_path(self.sshkey)) if self.sshkey else "",
            n=n,
            environment=caps,
            first_id=self.id,
            mpi=self.use_mpi,
            stop_timeout_s=MPI_STOP_S if self.use_mpi else STOP_S,
            wait_for_file_s=self.wait_for_url_file,
            registration_timeout_s=self.timeout,
            patience_s=self.patience,
            startup=startup_source(
                self.make_profile_dir(),
                self.exec_files,
                self.exec_lines,
                self.startup_script and str(self.typed_path(self.startup_script)),
                self.startup_command,
                ignores_errors=self.ignore_startup_errors,
            ),
            ignores_startup_errors=self.ignore_startup_errors,
            any_python=self.any_python,
            log_dir=paths.log_dir(self.make_profile_dir()) if self.log_to_file else None,
            ready_fd=self._ready_fd(),
            parent_fd=self._lifeline(),
            ends_at=self.ends_at or math.inf,
            idle_s=self.idle or math.inf,
        )

    def _share(self) -> tuple[int, dict[str, str]]:
        """Return how many engines there are, and the variables that bound their threads.

        Raises:
            ClusterError: there would be several ranks.
        """
        from hippodrome.launch import cores  # which those who say how many do without

        n_cores = 0 if self.n and not self.cap_threads else cores.usable_cores()
        if self.most_cores:
            n_cores = min(n_cores, self.most_cores)
        n = self.n or n_cores
        if self.use_mpi and n != 1:
            raise ClusterError(f"--mpi makes one engine of this process, not {n}: leave out -n")
        return n, cores.thread_caps(n_cores, n, os.environ) if self.cap_threads else {}

    def _lifeline(self) -> int | None:
        """Return the pipe at whose end everything ends; standard input may lead nowhere."""
        if self.parent_fd < 0 or (self.parent_fd == 0 and has_ended(0)):
            return None
        return self.parent_fd

    def _ready_fd(self) -> int | None:
        """Return what to tell how far engines are: a descriptor, or a file for each program."""
        if self.ready_fd >= 0:
            return self.ready_fd
        if not (path := os.environ.get("IPP_PROGRESS")):
            return None
        name = f"{path}.{socket.gethostname()}-{os.getpid()}"
        try:
            return os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError:  # nobody waits any more
            return None

    def _connection_file(self) -> Path:
        """Return the path of the connection file.

        Raises:
            ClusterError: ``--url`` is no address.
        """
        if self.registration_url and not self.registration_url.startswith(("tcp://", "ipc://")):
            raise ClusterError(f"--url {self.registration_url!r} is neither tcp:// nor ipc://")
        given = self.typed_path(self.url_file) if self.url_file else self._told()
        return given or engine_file(paths.security_dir(self.make_profile_dir()), self.cluster_id)

    def _told(self) -> Path | None:
        """Return the connection file that the environment tells of, if nothing else names one."""
        if self.profile_dir or self.cluster_id or self.profile != "default":
            return None
        from hippodrome.security.from_environment import as_file, connection_told

        told = connection_told("engine")
        os.environ.pop("IPP_CONNECTION_INFO", None)  # tasks need no key
        if isinstance(told, str):
            return self.typed_path(told)
        return None if told is None else as_file(told)
