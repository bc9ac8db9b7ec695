"""Configuration files that were written for ipyparallel: what their classes and options are here.

One file serves all subcommands of a program, so that what concerns another one is passed over. What
is neither here nor in the table stays as it is, and is refused like any typing error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from traitlets.config import Config, Configurable

NOT_NEEDED: Final = ""  # it set how long to wait for something that nobody waits for here

_LAUNCHER: Final = {"poll_seconds": NOT_NEEDED, "stop_seconds_until_kill": NOT_NEEDED}
_STARTED: Final = {
    "n": "n",
    "engines": "engines",
    "engine_launcher_class": "engines",
    "engine_timeout": "engine_timeout",
    "controller": "controller",
    "controller_launcher_class": "controller",
    "controller_args": "controller_args",
    "controller_ip": "controller_ip",
    "controller_location": "controller_location",
    "cluster_id": "cluster_id",
    "daemonize": "daemonize",
    "delay": NOT_NEEDED,
    "early_shutdown": NOT_NEEDED,
    "load_profile": NOT_NEEDED,
    "send_engines_connection_env": NOT_NEEDED,
}
_CONTROLLER: Final = {"ip": "ip", "location": "location", "db_class": "db_class"}
_ENGINE: Final = {"startup_command": "startup_command", "startup_script": "startup_script"}
_SHELL: Final = {"exec_files": "exec_files", "exec_lines": "exec_lines"}

# By program and by class: the options, and what they are called here. Later classes win.
OLD_NAMES: Final[Mapping[str, Mapping[str, Mapping[str, str]]]] = {
    "ipcluster": {
        "BaseLauncher": _LAUNCHER,
        "LocalProcessLauncher": _LAUNCHER,
        "LocalEngineLauncher": {**_LAUNCHER, "engine_args": "engine_args"},
        "LocalEngineSetLauncher": {
            **_LAUNCHER,
            "delay": NOT_NEEDED,
            "engine_args": "engine_args",
        },
        "LocalControllerLauncher": {**_LAUNCHER, "controller_args": "controller_args"},
        "Cluster": _STARTED,
        "IPClusterEngines": _STARTED,
        "IPClusterStart": _STARTED,
    },
    "ipcontroller": {
        "HubFactory": _CONTROLLER,
        "IPControllerApp": {**_CONTROLLER, "use_threads": "use_threads"},
    },
    "ipengine": {
        "EngineFactory": {**_ENGINE, "timeout": "timeout"},
        "InteractiveShellApp": _SHELL,
        "IPKernelApp": _SHELL,
        "IPEngineApp": {**_ENGINE, "url_file": "url_file"},
    },
}


def with_own_names(
    config: Config, program: type[Configurable], file_name: str, siblings: Sequence[str] = ()
) -> Config:
    """Return *config* with ipyparallel's names replaced by those of *program*.

    Args:
        config: as read from a file.
        program: whose options they become.
        file_name: which programs the file is for: ``ipcluster``, ``ipcontroller`` or ``ipengine``.
        siblings: the programs that read the file. What is for others is left out.
    """
    own, found = program.__name__, Config()
    given = program.class_traits(config=True)
    for section, names in OLD_NAMES.get(file_name, {}).items():
        if section not in config:
            continue
        for old, value in dict(config[section]).items():
            new = names.get(old)
            if new is not None:
                del config[section][old]
            if new and new in given and _concerns(section, own):
                found[own][new] = value
        if not config[section]:
            del config[section]
    for section in siblings:
        if section != own and section in config:
            del config[section]
    found.merge(config)
    return found


def _concerns(section: str, program: str) -> bool:
    """Whether *program* heeds what is set of a class: start heeds the engines' options, too."""
    return not (section == "IPClusterStart" and program != "IPClusterStart")
