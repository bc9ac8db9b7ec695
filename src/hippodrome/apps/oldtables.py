"""The options of ipyparallel, versions 5 to 9, and what becomes of each: see `oldnames`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from hippodrome.apps.fates import Fate, Harmless, RefusedOption, Renamed

Fates: TypeAlias = Mapping[str, Fate]

ANY: Final = "*"  # every option of a class; every program

_WAITS: Final = Harmless("everybody waits for what they need, and no longer")
_STOPS: Final = Harmless("what does not stop when asked is killed after a while")
_SIGNED: Final = Harmless("connections are always private and authenticated")
_KEYS: Final = RefusedOption("keys come with the connection file: give it to engines with --file")
_SESSION: Final = Harmless("messages have no sessions of Jupyter's, and are always authenticated")
_LOOKS: Final = Harmless("it changes nothing that tasks do")
_ONE_WAY: Final = Harmless("a socket of this host, and TCP with --ip, are all the transports")
_BEATS: Final = Harmless("supervisors beat for engines, and --patience says for how long to wait")
_PROFILE: Final = Harmless(
    "a profile is made where it is missing; --generate-config writes its files"
)
_OTHER_LAUNCHER: Final = RefusedOption(
    "engines and controller are started on this host; on others, start ipengine by hand, by "
    "mpiexec or in a job, with the connection file (ipengine --file=...) and ipcontroller --ip='*'"
)
_SSH: Final = Harmless("the system's ssh makes tunnels")
_LOG_URL: Final = RefusedOption("each program logs to stderr, or to a file with --log-to-file")
_ONE_PORT: Final = RefusedOption("there is one port for everything: ipcontroller --port=PORT")
_FILES: Final = RefusedOption(
    "connection files are called after the cluster: --cluster-id names it"
)
_RESTORE: Final = RefusedOption(
    "engines end with their controller: start new ones; with --reuse their old file is still good"
)
_MPI: Final = RefusedOption("ipengine --mpi imports mpi4py, and is a rank of MPI")
_MONGO: Final = RefusedOption(
    "ipcontroller --sqlitedb keeps records as long, without a server to run"
)
_COMMAND: Final = RefusedOption("engines and controller run in the Python that starts them")
_ENVIRONMENT: Final = RefusedOption("set it before ipcluster is started, as engines inherit it")
_EXTENSIONS: Final = RefusedOption(
    "load it in each engine: %px %load_ext NAME, or from a file in the profile's startup folder"
)
_CELLS: Final = RefusedOption("cells on engines run as in IPython by default")


def _first_port(ports: Any) -> Any:  # Any: a list, or a text as in 10101-10120
    if isinstance(ports, list | tuple | range):
        return ports[0] if ports else 0
    return str(ports).strip("[]() ").replace(",", "-").partition("-")[0].strip()


_PORTS: Final = Renamed(
    "port", "more than is needed: the first of them is the one port", _first_port
)

# What every program had, as BaseParallelApplication's and under its own name.
_APP: Final[Fates] = {
    "add_ipython_dir_to_sys_path": _LOOKS,
    "auto_create": _PROFILE,
    "clean_logs": Harmless("logs of what ended well are removed"),
    "cluster_id": Renamed("cluster_id"),
    "copy_config_files": _PROFILE,
    "extra_config_file": Renamed("config_file"),
    "ipython_dir": Renamed("ipython_dir"),
    "log_datefmt": _LOOKS,
    "log_format": _LOOKS,
    "log_level": Renamed("log_level"),
    "log_to_file": Renamed("log_to_file"),
    "log_url": _LOG_URL,
    "logging_config": _LOOKS,
    "overwrite": _PROFILE,
    "profile": Renamed("profile"),
    "verbose_crash": _LOOKS,
    "work_dir": Renamed("work_dir"),
}
_LAUNCHER: Final[Fates] = {
    "environment": _ENVIRONMENT,
    "output_limit": Harmless("logs are kept whole"),
    "poll_seconds": _WAITS,
    "stop_seconds_until_kill": _STOPS,
    "stop_timeout": _STOPS,
}
_ENGINES: Final[Fates] = {
    **_LAUNCHER,
    "delay": _WAITS,
    "engine_args": Renamed("engine_args"),
    "engine_cmd": _COMMAND,
}
_CONTROLLER_LAUNCHER: Final[Fates] = {
    **_LAUNCHER,
    "connection_info_timeout": _WAITS,
    "controller_args": Renamed("controller_args"),
    "controller_cmd": _COMMAND,
}
_STARTED: Final[Fates] = {
    "n": Renamed("n"),
    "engines": Renamed("engines"),
    "engine_launcher_class": Renamed("engines"),
    "engine_timeout": Renamed("engine_timeout"),
    "controller": Renamed("controller"),
    "controller_launcher_class": Renamed("controller"),
    "controller_args": Renamed("controller_args"),
    "controller_ip": Renamed("controller_ip"),
    "controller_location": Renamed("controller_location"),
    "daemonize": Renamed("daemonize"),
    "delay": _WAITS,
    "early_shutdown": _WAITS,
    "load_profile": Harmless("the profile's file is always read"),
    "reset": Harmless("files of what does not run any more are replaced"),
    "send_engines_connection_env": Harmless("engines read their connection file"),
}
_CONTROLLER: Final[Fates] = {
    "broadcast_scheduler_depth": Harmless("payloads travel to the controller once anyway"),
    "client_ip": Renamed("ip"),
    "client_json_file": _FILES,
    "client_ports": _ONE_PORT,
    "client_transport": _ONE_WAY,
    "control": _ONE_PORT,
    "curve_publickey": _KEYS,
    "curve_secretkey": _KEYS,
    "db_class": Renamed("db_class"),
    "enable_curve": _SIGNED,
    "engine_ip": Renamed("ip"),
    "engine_json_file": _FILES,
    "engine_ports": _ONE_PORT,
    "engine_ssh_server": Renamed("engine_ssh_server"),
    "engine_transport": _ONE_WAY,
    "hb": _ONE_PORT,
    "iopub": _ONE_PORT,
    "ip": Renamed("ip"),
    "location": Renamed("location"),
    "mon_port": Harmless("hub and scheduler have a private link"),
    "monitor_ip": Harmless("hub and scheduler have a private link"),
    "monitor_transport": Harmless("hub and scheduler have a private link"),
    "monitor_url": Harmless("hub and scheduler have a private link"),
    "mux": _ONE_PORT,
    "notifier_port": _ONE_PORT,
    "ports": _PORTS,
    "registration_timeout": Harmless("an engine's registration may take as long as it does"),
    "regport": Renamed("port"),
    "port": Renamed("port"),
    "restore_engines": _RESTORE,
    "reuse_files": Renamed("reuse_files"),
    "secure": _SIGNED,
    "ssh_server": Renamed("ssh_server"),
    "task": _ONE_PORT,
    "transport": _ONE_WAY,
    "use_threads": Renamed("use_threads"),
}
_ENGINE: Final[Fates] = {
    "curve_publickey": _KEYS,
    "curve_secretkey": _KEYS,
    "curve_serverkey": _KEYS,
    "display_hook_factory": _LOOKS,
    "enable_nanny": Harmless("each host's engines have a supervisor"),
    "id": Renamed("id"),
    "init_mpi": _MPI,
    "location": Harmless("the connection file says where the controller is"),
    "max_heartbeat_misses": _BEATS,
    "mpi_registration_delay": _WAITS,
    "out_stream_factory": _LOOKS,
    "paramiko": _SSH,
    "registration_url": Renamed("registration_url"),
    "sshkey": Renamed("sshkey"),
    "sshserver": Renamed("sshserver"),
    "startup_command": Renamed("startup_command"),
    "startup_script": Renamed("startup_script"),
    "timeout": Renamed("timeout"),
    "url": Renamed("registration_url"),
    "url_file": Renamed("url_file"),
    "url_file_name": RefusedOption("--file says which connection file, and --cluster-id whose"),
    "use_mpi": Renamed("use_mpi"),
    "wait_for_url_file": Renamed("wait_for_url_file"),
}
_SHELL: Final[Fates] = {
    "code_to_run": RefusedOption("ipengine -c says what engines execute first, -s names a file"),
    "exec_PYTHONSTARTUP": Harmless("engines execute what PYTHONSTARTUP names, if it is set"),
    "exec_files": Renamed("exec_files"),
    "exec_lines": Renamed("exec_lines"),
    "extensions": _EXTENSIONS,
    "extra_extension": _EXTENSIONS,
    "extra_extensions": _EXTENSIONS,
    "file_to_run": RefusedOption("ipengine -s names a file that engines execute first"),
    "gui": _LOOKS,
    "hide_initial_ns": _LOOKS,
    "ignore_cwd": _LOOKS,
    "matplotlib": Harmless("figures of cells and tasks are shown inline anyway"),
    "module_to_run": RefusedOption("ipengine -c says what engines execute first"),
    "pylab": RefusedOption("say in -c what to import: ipengine -c 'from pylab import *'"),
    "pylab_import_all": _LOOKS,
    "reraise_ipython_extension_failures": _LOOKS,
}
_INTERACTIVE: Final[Fates] = {
    "ast_node_interactivity": _CELLS,
    "ast_transformers": _CELLS,
    "loop_runner": _CELLS,
    ANY: _LOOKS,
}

_BATCH: Final = ("Batch", "HTCondor", "LSF", "PBS", "SGE", "Slurm")
_WINDOWS: Final = RefusedOption(
    "there is no launcher for Windows HPC Server: have its job run ipengine -n N with the "
    "connection file of ipcontroller --ip='*'"
)
_ALL: Final = ("Launcher", "EngineSetLauncher", "ControllerLauncher")
_ELSEWHERE: Final[Mapping[str, Fates]] = {
    **{f"{system}{what}": {ANY: _OTHER_LAUNCHER} for system in ("MPIExec",) for what in _ALL},
    **{f"{system}{what}": {ANY: _OTHER_LAUNCHER} for system in ("SSHProxy",) for what in _ALL},
    **{f"WindowsHPC{what}": {ANY: _WINDOWS} for what in _ALL},
    **{f"{system}ControllerLauncher": {ANY: _OTHER_LAUNCHER} for system in _BATCH},
}

# By program and by class: the options. Of two classes that set the same, the later one wins.
OLD_CLASSES: Final[Mapping[str, Mapping[str, Fates]]] = {
    "ipcluster": {
        "BaseLauncher": _LAUNCHER,
        "LocalProcessLauncher": _LAUNCHER,
        "EngineLauncher": _ENGINES,
        "ControllerLauncher": _CONTROLLER_LAUNCHER,
        "LocalEngineLauncher": _ENGINES,
        "LocalEngineSetLauncher": _ENGINES,
        "LocalControllerLauncher": _CONTROLLER_LAUNCHER,
        "Cluster": _STARTED,
        "IPCluster": _APP,
        "IPClusterApp": _APP,
        "IPClusterEngines": {**_APP, **_STARTED},
        "IPClusterStart": {**_APP, **_STARTED},
        "IPClusterStop": {
            **_APP,
            "all_cluster_ids": Renamed("all"),
            "signal": _STOPS,
        },
        "IPClusterList": {**_APP, "output_format": Renamed("output")},
        "IPClusterClean": {**_APP, "all_profiles": Renamed("all")},
        **_ELSEWHERE,
    },
    "ipcontroller": {
        "HubFactory": _CONTROLLER,
        "RegistrationFactory": _CONTROLLER,
        "IPControllerApp": {**_APP, **_CONTROLLER},
        "IPController": {**_APP, **_CONTROLLER},
        "HeartMonitor": {"debug": _LOOKS},
        "DictDB": {"cull_fraction": Harmless("the oldest record goes when a new one comes")},
        "SQLiteDB": {"table": Harmless("each controller has one table")},
        "MongoDB": {ANY: _MONGO},
    },
    "ipengine": {
        "EngineFactory": {**_ENGINE, "ident": _SESSION},
        "RegistrationFactory": {
            "ip": RefusedOption("the connection file says where the controller is, or --url"),
            "regport": RefusedOption("the connection file says where the controller is, or --url"),
            "transport": _ONE_WAY,
            "url": Renamed("registration_url"),
        },
        "IPEngineApp": {**_APP, **_ENGINE},
        "IPEngine": {**_APP, **_ENGINE},
        "MPI": {"use": _MPI, "default_inits": _LOOKS},
        "InteractiveShellApp": _SHELL,
        "IPKernelApp": {**_SHELL, ANY: _LOOKS},
        "InteractiveShell": _INTERACTIVE,
        "ZMQInteractiveShell": _INTERACTIVE,
        "Kernel": {ANY: _LOOKS},
        "IPythonKernel": {ANY: _LOOKS},
        "IPythonParallelKernel": {ANY: _LOOKS},
    },
    ANY: {
        "Application": _APP,
        "BaseIPythonApplication": _APP,
        "BaseParallelApplication": _APP,
        "ProfileDir": {"location": Renamed("profile_dir")},
        "Session": {ANY: _SESSION},
    },
}

_OPTIONS: Final[Fates] = {
    "clean-logs": _APP["clean_logs"],
    "ident": _SESSION,
    "keyfile": _SESSION,
    "log-url": _LOG_URL,
    "user": _SESSION,
}
_SWITCHES: Final[Fates] = {"secure": _SIGNED, "no-secure": _SIGNED}

# Options that have a value.
OLD_OPTIONS: Final[Mapping[str, Fates]] = {
    "ipcluster": {
        **_OPTIONS,
        "delay": _WAITS,
        "signal": _STOPS,
    },
    "ipcontroller": {
        **_OPTIONS,
        "transport": _ONE_WAY,
        "ports": _PORTS,
    },
    "ipengine": {
        **_OPTIONS,
        "ip": RefusedOption("the connection file says where the controller is, or --url"),
        "port": RefusedOption("the connection file says where the controller is, or --url"),
        "location": _ENGINE["location"],
        "transport": _ONE_WAY,
    },
}
# Options that need none.
OLD_SWITCHES: Final[Mapping[str, Fates]] = {
    "ipcluster": {**_SWITCHES, "clean-logs": _APP["clean_logs"]},
    "ipcontroller": {
        **_SWITCHES,
        "clean-logs": _APP["clean_logs"],
        "mongodb": _MONGO,
        "restore": _RESTORE,
    },
    "ipengine": {**_SWITCHES, "clean-logs": _APP["clean_logs"]},
}

_SHELLS_OWN: Final[Mapping[str, str]] = {
    "": "it is empty",
    "&": "it means something to a shell only; --daemonize runs a cluster in the background",
}
# Arguments that are no options.
OLD_WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "ipcluster": {
        **_SHELLS_OWN,
        "local": "everything is started on this host anyway",
    },
    "ipcontroller": _SHELLS_OWN,
    "ipengine": _SHELLS_OWN,
}
