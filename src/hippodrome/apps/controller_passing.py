"""Options of ``ipcluster start`` that its controller is told as they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from traitlets import Bool, Enum, Int, Unicode
from traitlets.config import Configurable

from hippodrome.apps.base import Number, Switch, Text
from hippodrome.apps.commandline import FlagOption
from hippodrome.scheduler.schemes import SCHEME_NAMES

_REUSE: Final = "Take port and keys of the controller before, and keep them for the next one."
_STORES: Final = {
    "dictdb": ("DictDB", "Keep task records in memory."),
    "sqlitedb": ("SQLiteDB", "Keep task records in a file."),
    "nodb": ("NoDB", "Keep no task records."),
}
_ITS_OWN: Final = "as ipcontroller does"


class ForController(Configurable):
    """These options; each is one of ``ipcontroller`` under the same name."""

    controller_port: Number = Int(
        0, min=0, max=65535, help="Port for the controller to listen on, with --ip."
    ).tag(config=True, value="PORT", default="any that is free")
    controller_reuse: Switch = Bool(False, help=_REUSE).tag(config=True)
    controller_db: Enum[str] = Enum(
        ("", *(store for store, _ in _STORES.values())),
        default_value="",
        help="Where the controller keeps task records.",
    ).tag(config=True, value="STORE", default=_ITS_OWN)
    controller_scheme: Enum[str] = Enum(
        ("", *SCHEME_NAMES),
        default_value="",
        help="How the controller chooses an engine for a task.",
    ).tag(config=True, value="SCHEME", default=_ITS_OWN)
    controller_hwm: Text = Unicode(help="How many unfinished tasks an engine may hold.").tag(
        config=True, value="N|auto", default=_ITS_OWN
    )

    own_aliases: ClassVar[Mapping[str, str]] = {
        "port": "controller_port",
        "scheme": "controller_scheme",
        "hwm": "controller_hwm",
    }
    own_flags: ClassVar[Mapping[str, FlagOption]] = {
        "reuse": FlagOption("controller_reuse", True, _REUSE),
        **{
            flag: FlagOption("controller_db", store, text)
            for flag, (store, text) in _STORES.items()
        },
    }

    @property
    def passed_on(self) -> list[str]:
        """What the controller is told of them."""
        told = {
            "--port": self.controller_port,
            "--scheme": self.controller_scheme,
            "--hwm": self.controller_hwm,
            "--IPController.db_class": self.controller_db,
        }
        given = [f"{option}={value}" for option, value in told.items() if value]
        return [*given, *(["--reuse"] if self.controller_reuse else [])]
