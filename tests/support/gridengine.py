"""A Grid Engine over the hosts of a lab: its master on the first, and it runs jobs on each.

    with Hosts(2) as hosts, GridEngine(hosts) as gridengine:
        hosts.run("h1", ["qsub", "-terse", "-b", "y", "hostname"])

Its programs must be called on hosts (the head is one of them: there are names there). Nothing of
it lies outside of the lab, so it ends with it.
"""

from __future__ import annotations

import os
import shlex
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from support import leaks
from support.hosts import HEAD, Hosts, why_not
from support.queueonhosts import QueueOnHosts

HOME: Final = Path("/usr/lib/gridengine")
SHARE: Final = Path("/usr/share/gridengine")
SLOTS: Final = 4
STARTS_S: Final = 60.0

BOOTSTRAP: Final = """\
admin_user none
default_domain none
ignore_fqdn true
spooling_method berkeleydb
spooling_lib libspoolb
spooling_params {folder}/db
binary_path {folder}/root/bin
qmaster_spool_dir {folder}/qmaster
security_mode none
listener_threads 2
worker_threads 2
scheduler_threads 1
"""
LIMITS: Final = ("rt", "cpu", "fsize", "data", "stack", "core", "rss", "vmem")
_NONE: Final = "NONE"
HOST: Final[Mapping[str, str]] = dict.fromkeys(
    (
        *("load_scaling", "complex_values", "user_lists", "xuser_lists", "projects", "xprojects"),
        *("usage_scaling", "report_variables"),
    ),
    _NONE,
)
ENVIRONMENT: Final[Mapping[str, str]] = {
    "pe_name": "mpi",
    "slots": "999",
    **dict.fromkeys(("user_lists", "xuser_lists", "start_proc_args", "stop_proc_args"), _NONE),
    "allocation_rule": "$round_robin",
    "control_slaves": "TRUE",
    "job_is_first_task": "FALSE",
    "urgency_slots": "min",
    "accounting_summary": "FALSE",
    "qsort_args": _NONE,
}
QUEUE: Final[Mapping[str, str]] = {
    "qname": "all.q",
    "seq_no": "0",
    "nsuspend": "1",
    "suspend_interval": "00:05:00",
    "priority": "0",
    "min_cpu_interval": "00:05:00",
    "processors": "UNDEFINED",
    "qtype": "BATCH INTERACTIVE",
    "pe_list": "mpi",
    "rerun": "FALSE",
    "slots": str(SLOTS),
    "tmpdir": "/tmp",
    "shell": "/bin/sh",
    "shell_start_mode": "unix_behavior",
    "notify": "00:00:05",
    "initial_state": "default",
    **dict.fromkeys(
        (
            *("load_thresholds", "suspend_thresholds", "ckpt_list", "prolog", "epilog"),
            *("starter_method", "suspend_method", "resume_method", "terminate_method"),
            *("owner_list", "user_lists", "xuser_lists", "subordinate_list", "complex_values"),
            *("projects", "xprojects", "calendar"),
        ),
        _NONE,
    ),
    **dict.fromkeys(
        [
            f"{s}_{what}"
            for s in "sh"
            for what in ["rt", "cpu", "fsize", "data", "stack", "core", "rss", "vmem"]
        ],
        "INFINITY",
    ),
}
# What is looked at every 15 or 40 s otherwise.
QUICK_CONFIGURATION: Final = {
    "load_report_time": "00:00:02",
    "min_uid": "0",
    "min_gid": "0",
    "shell_start_mode": "unix_behavior",
}
QUICK_SCHEDULER: Final = {
    "schedule_interval": "0:0:2",
    "flush_submit_sec": "1",
    "flush_finish_sec": "1",
}


@dataclass(frozen=True, slots=True)
class Job:
    """A job, or a task of an array, as qstat tells of it: `state` is such as qw, r or Eqw."""

    id: str
    name: str
    state: str
    queue: str
    tasks: str


class GridEngine(QueueOnHosts):
    """A Grid Engine over all of *hosts*; use it as a context manager.

    Attributes:
        env: variables by which its programs find it; programs on hosts have them already.
    """

    cancel = "qdel"

    def __init__(self, hosts: Hosts) -> None:
        self.hosts = hosts
        self.master = hosts.names[0]
        self.directory = hosts.directory / "gridengine"
        self.env = {
            "SGE_ROOT": str(self.directory / "root"),
            "SGE_CELL": "default",
            "SGE_QMASTER_PORT": str(hosts.port(10)),
            "SGE_EXECD_PORT": str(hosts.port(11)),
        }

    def _begin(self) -> None:
        path = self.hosts.variables.get("PATH", os.environ["PATH"])
        self.hosts.variables |= {**self.env, "PATH": f"{HOME}:{path}"}
        self.hosts.daemons |= {"sge_qmaster", "sge_execd"}
        self._start()

    def tell(self, *command: str) -> str:
        """Run one of its programs on the master's host and return what it says; fail if it does."""
        done = self.hosts.run(self.master, command, timeout=60)
        assert done.returncode == 0, f"{shlex.join(command)}: {done.stdout}{done.stderr}"
        return str(done.stdout)

    def jobs(self) -> list[Job]:
        """Return the jobs that wait, run, or end just now."""
        root = ET.fromstring(self.tell("qstat", "-xml", "-u", "*"))
        fields = ("JB_job_number", "JB_name", "state", "queue_name", "tasks")
        found = root.iter("job_list")
        return [Job(*(job.findtext(field) or "" for field in fields)) for job in found]

    def _start(self) -> None:
        self._lay_out()
        self._spool()
        self._daemon(self.master, "sge_qmaster", "SGE_MASTER_PIDFILE")
        silent = leaks.settle(self._is_silent, STARTS_S)
        assert not silent, f"the master does not answer: {silent}"
        self._configure()
        for name in self.hosts.names:
            self._daemon(name, "sge_execd", "SGE_EXECD_PIDFILE")
        unknown = leaks.settle(self._without_load, STARTS_S)
        assert not unknown, f"hosts that did not come: {unknown}"

    def _lay_out(self) -> None:
        common = self.directory / "root" / "default" / "common"
        folders = [common, *(self.directory / name for name in ("db", "qmaster/job_scripts"))]
        for folder in (*folders, self.directory / "execd"):
            folder.mkdir(parents=True)
        root = self.directory / "root"
        (root / "util").symlink_to(SHARE / "util")
        architecture = self.hosts.run(self.master, [SHARE / "util" / "arch"]).stdout.strip()
        for name in ("bin", "lib", "utilbin"):
            (root / name).mkdir()
            (root / name / architecture).symlink_to(HOME)
        (common / "act_qmaster").write_text(f"{self.master}\n")
        (common / "bootstrap").write_text(BOOTSTRAP.format(folder=self.directory))
        (common / "host_aliases").write_text(f"{self.master} localhost\n")

    def _spool(self) -> None:
        configured = (SHARE / "default-configuration").read_text()
        quick = QUICK_CONFIGURATION | {"execd_spool_dir": str(self.directory / "execd")}
        path = self._file("global.conf", _replaced(configured, quick))
        self.tell("spoolinit", "berkeleydb", "libspoolb", str(self.directory / "db"), "init")
        self.tell("spooldefaults", "configuration", path)
        self.tell("spooldefaults", "complexes", str(SHARE / "util" / "resources" / "centry"))
        self.tell("spooldefaults", "usersets", str(SHARE / "util" / "resources" / "usersets"))
        self.tell("spooldefaults", "managers", "root")

    def _configure(self) -> None:
        for name in self.hosts.names:
            self.tell("qconf", "-ah", name)
            self.tell("qconf", "-as", name)
            self.tell("qconf", "-Ae", self._table(f"host.{name}", {"hostname": name, **HOST}))
        self.tell("qconf", "-as", HEAD)
        scheduler = _replaced(self.tell("qconf", "-ssconf"), QUICK_SCHEDULER)
        self.tell("qconf", "-Msconf", self._file("scheduler.conf", scheduler))
        self.tell("qconf", "-Ap", self._table("environment.conf", ENVIRONMENT))
        hosts = {"hostlist": " ".join(self.hosts.names)}
        self.tell("qconf", "-Aq", self._table("queue.conf", {**QUEUE, **hosts}))

    def _daemon(self, name: str, program: str, pid_file: str) -> None:
        path = f"{pid_file}={self.directory}/{program}.{name}.pid"
        done = self.hosts.run(name, ["env", path, program])
        assert done.returncode == 0, f"{program} on {name}: {done.stdout}{done.stderr}"

    def _is_silent(self) -> list[str]:
        done = self.hosts.run(self.master, ["qconf", "-sh"])
        return [done.stderr] if done.returncode else []

    def _without_load(self) -> list[str]:
        """Return the hosts whose load is not known yet: nothing is given to them."""
        root = ET.fromstring(self.tell("qhost", "-xml"))
        values = {
            str(host.get("name")): host.findtext("hostvalue[@name='load_avg']")
            for host in root.iter("host")
        }
        return [name for name in self.hosts.names if values.get(name, "-") in ("-", None)]

    def _table(self, name: str, rows: Mapping[str, str]) -> str:
        return self._file(name, "".join(f"{key} {value}\n" for key, value in rows.items()))

    def _file(self, name: str, text: str) -> str:
        path = self.directory / name
        path.write_text(text)
        return str(path)


def _replaced(table: str, rows: Mapping[str, str]) -> str:
    """Return a table of names and values in which those of *rows* are these."""
    kept = [line for line in table.splitlines() if line.split(" ")[0] not in rows]
    return "\n".join([*kept, *(f"{key} {value}" for key, value in rows.items())]) + "\n"


def why_no_gridengine() -> str:
    """Say why no Grid Engine can be had here, or nothing."""
    if reason := why_not():
        return reason
    needed = [HOME / "sge_qmaster", HOME / "sge_execd", HOME / "qsub", SHARE / "util" / "arch"]
    missing = [str(path) for path in needed if not path.exists()]
    return f"there is no {missing[0]}" if missing else ""
