"""A Slurm over the hosts of a lab: its controller on the head, a node on each host.

    with Hosts(3) as hosts, Slurm(hosts) as slurm:
        hosts.run("head", ["srun", "-N", "3", "hostname"])

`env` is for whoever calls Slurm's programs from elsewhere; programs on hosts have it already.
Nothing of it lies outside of the lab, so it ends with it.
"""

from __future__ import annotations

import os
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from support import leaks
from support.hosts import HEAD, Hosts, where_is, why_not
from support.queueonhosts import QueueOnHosts

PROGRAMS: Final = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel")
CPUS: Final = 4
MEMORY_MB: Final = 2000
STARTS_S: Final = 60.0
_FORMAT: Final = "%i|%j|%T|%r|%N"

# What is decided at once here, Slurm would look at every 30 s or more; nothing is bound to cores.
CONFIGURATION: Final = """\
ClusterName=lab{number}
SlurmctldHost={here}({head})
SlurmctldPort={port}
SlurmdPort={node_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
ReturnToService=2
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=1,sched_min_interval=0
KillWait=5
MessageTimeout=10
InactiveLimit=0
MinJobAge=60
UnkillableStepTimeout=30
GresTypes=gpu
"""
NODE: Final = (
    "NodeName={name} NodeAddr={address} CPUs={cpus} Boards=1 SocketsPerBoard=1"
    " CoresPerSocket={cpus} ThreadsPerCore=1 RealMemory={memory} State=UNKNOWN\n"
)
PARTITIONS: Final = """\
PartitionName=main Nodes=ALL Default=YES MaxTime=60:00 DefaultTime=10:00 State=UP
PartitionName=short Nodes=ALL MaxTime=2:00 State=UP
"""


@dataclass(frozen=True, slots=True)
class Job:
    """A job as squeue tells of it.

    Attributes:
        id: its id, with the index for one of an array.
        name: its name.
        state: such as PENDING.
        reason: why it waits, or "None".
        nodes: where it runs, in brackets as Slurm writes it.
    """

    id: str
    name: str
    state: str
    reason: str
    nodes: str


class Slurm(QueueOnHosts):
    """A Slurm of one node per host of *hosts*; use it as a context manager.

    Attributes:
        env: variables by which Slurm's programs find it.
        directory: its configuration, logs and state.
    """

    cancel = "scancel"

    def __init__(self, hosts: Hosts) -> None:
        self.hosts = hosts
        self.directory = hosts.directory / "slurm"
        self.env = {"SLURM_CONF": str(self.directory / "slurm.conf")}

    def _begin(self) -> None:
        self.hosts.variables |= self.env
        self.hosts.daemons |= {"munged", "slurmctld", "slurmd"}
        self._start()

    def tell(self, *command: str) -> str:
        """Run one of Slurm's programs here and return what it says; fail if it does."""
        environment = {**os.environ, **self.env}
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=30, check=False
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def jobs(self) -> list[Job]:
        """Return the jobs that wait, run, or end just now."""
        told = self.tell("squeue", "-h", "-a", "-r", "-o", _FORMAT)
        return [Job(*line.split("|", 4)) for line in told.splitlines()]

    def set_node(self, name: str, state: str) -> None:
        """Set a node down, drain or resume."""
        self.tell("scontrol", "update", f"nodename={name}", f"state={state}", "reason=test")

    def log(self) -> str:
        """Return what its daemons have logged, for failures."""
        logs = sorted(self.directory.glob("*.log"))
        return "\n".join(f"{path.name}:\n{path.read_text()[-3000:]}" for path in logs)

    def _start(self) -> None:
        for folder in (self.directory, self.directory / "state", self.directory / "munge"):
            folder.mkdir(mode=0o755)
        self._start_munge()
        values = {
            "number": self.hosts.number,
            "here": socket.gethostname().partition(".")[0],
            "head": self.hosts.head,
            "port": self.hosts.port(0),
            "node_port": self.hosts.port(1),
            "folder": self.directory,
        }
        nodes = (
            NODE.format(name=n, address=self.hosts.address(n), cpus=CPUS, memory=MEMORY_MB)
            for n in self.hosts.names
        )
        text = CONFIGURATION.format(**values) + "".join(nodes) + PARTITIONS
        Path(self.env["SLURM_CONF"]).write_text(text)
        self._daemon(HEAD, "slurmctld", "-f", self.env["SLURM_CONF"], "-c")
        for name in self.hosts.names:
            self.start_node(name)
        busy = leaks.settle(self._not_idle, STARTS_S)
        assert not busy, f"nodes that did not come: {busy}\n{self.log()}"

    def start_node(self, name: str) -> None:
        """Start the daemon of a node, also of a host that is there again."""
        (self.directory / f"spool.{name}").mkdir(exist_ok=True)
        self._daemon(name, "slurmd", "-f", self.env["SLURM_CONF"], "-N", name)

    def _start_munge(self) -> None:
        key = self.directory / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        files = {"key-file": key, "socket": self.directory / "munge" / "munge.socket"}
        files |= {f"{n}-file": self.directory / f"munged.{n}" for n in ("pid", "log", "seed")}
        options = [f"--{name}={path}" for name, path in files.items()]
        self._daemon(HEAD, "munged", *options, "--num-threads=2")

    def _daemon(self, name: str, program: str, *options: str) -> None:
        """Start what goes to the background by itself, once it is ready."""
        done = self.hosts.run(name, [where_is(program) or program, *options])
        assert done.returncode == 0, f"{program} on {name}: {done.stdout}{done.stderr}{self.log()}"

    def _not_idle(self) -> list[str]:
        try:
            told = self.tell("sinfo", "-h", "-N", "-p", "main", "-o", "%N %T")
        except AssertionError as error:
            return [str(error)]
        return [line for line in told.splitlines() if not line.endswith(" idle")]


def why_no_slurm() -> str:
    """Say why no Slurm can be had here, or nothing."""
    return why_not(*PROGRAMS)
