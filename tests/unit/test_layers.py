"""Who may import whom: the layers that ARCHITECTURE.md draws, read off the source itself.

Every import counts, also inside functions and under TYPE_CHECKING: a dependency that is hidden
is a dependency.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2] / "src" / "hippodrome"

# package -> what it may import of the others. Not listed here at all: the modules at the bottom,
# which import none of them and which everyone may import.
BOTTOM: Final = {
    *("_version", "briefly", "display", "errors", "headings", "lazy", "live", "originals", "paths")
}
LAYERS: Final[dict[str, set[str]]] = {
    "protocol": set(),
    "serialize": {"protocol"},
    "process": {"protocol"},
    "security": {"protocol"},
    "transport": {"protocol", "security"},
    "ssh": {"process", "security", "transport"},
    "store": {"protocol", "process"},
    "segments": {"protocol", "process"},
    "scheduler": {"protocol", "process", "security", "segments", "transport"},
    "hub": {"protocol", "process", "security", "segments", "store", "transport"},
    "engine": {"protocol", "process", "serialize", "security", "segments", "transport"},
    "node": {"protocol", "process", "security", "segments", "ssh", "transport"},
    "client": {"protocol", "process", "serialize", "security", "segments", "ssh", "transport"},
    "launch": {"process", "protocol", "security", "ssh", "transport"},
    "cluster": {"client", "launch", "protocol", "security", "segments", "transport"},
    "magics": {"client", "protocol"},
    "joblib": {"client", "cluster", "serialize"},
    "dask": {"client", "protocol", "serialize"},
    "jupyter": {"cluster", "launch"},
    "apps": {
        "scheduler",
        "hub",
        "engine",
        "node",
        "launch",
        "cluster",
        "process",
        "security",
        "ssh",
        "transport",
        "protocol",
        "store",
    },
}
BRIDGES: Final = {"dask", "joblib"}  # modules beside the packages, each to another project

# ipyparallel's names for modules that are elsewhere, which programs of users import. They decide
# nothing and nothing here imports them, so that they may reach for whatever they stand for.
ALIASES: Final = {
    "__main__",
    "apps.ipclusterapp",
    "apps.ipcontrollerapp",
    "apps.ipengineapp",
    "apps.launcher",
    "client._joblib",
    "client.asyncresult",
    "client.futures",
    "client.magics",
    "client.map",
    "client.remotefunction",
    "cluster.__main__",
    "cluster.app",
    "cluster.launcher",
    "controller",
    "controller.__main__",
    "controller.app",
    "controller.dependency",
    "controller.dictdb",
    "controller.heartmonitor",
    "controller.scheduler",
    "controller.sqlitedb",
    "controller.task_scheduler",
    "datapub",
    "engine.__main__",
    "engine.app",
    "engine.log",
    "nbextension",
    "serialize.codeutil",
    "serialize.serialize",
    "util",
}

# One module may import one module across the layers, each for a reason.
EXCEPTIONS: Final[dict[tuple[str, str], str]] = {
    ("client.integrations", "cluster"): "finds the cluster of a client, when somebody asks for it",
    ("client.integrations", "cluster.files"): "the same",
    ("client.integrations", "dask"): "loads the bridge, when somebody asks for it",
    ("client.integrations", "joblib"): "the same",
    ("client.integrations", "magics.activating"): "tells IPython about a view, when there is one",
    ("hub.server", "scheduler.launch"): "the hub's process starts the scheduler's",
    ("hub.server", "scheduler.settings"): "what the hub tells the scheduler that it starts",
    ("node.template", "engine.server"): "what engines that are forked become",
}

# What is made of IPython's own classes, which are configured by traitlets.
SPEAK_IPYTHON: Final = {ROOT / "engine" / "shell.py"}

PURE: Final = (
    "errors.py",
    "headings.py",
    "originals.py",
    "protocol/*.py",
    "serialize/*.py",
    "store/base.py",
    "store/batch.py",
    "store/checked.py",
    "store/columns.py",
    "store/fields.py",
    "store/filters.py",
    "store/groups.py",
    "store/large.py",
    "store/memory.py",
    "store/msg_ids.py",
    "store/nothing.py",
    "store/pages.py",
    "store/record.py",
    "store/rows.py",
    "store/times.py",
    "launch/answers.py",
    "launch/jobs.py",
    "launch/kinds.py",
    "launch/oldtraits.py",
    "launch/options.py",
    "launch/pods.py",
    "launch/script.py",
    "launch/systems.py",
    "launch/templates.py",
    "scheduler/schemes.py",
    "scheduler/index.py",
    "scheduler/intake.py",
    "scheduler/job.py",
    "scheduler/jobs.py",
    "scheduler/outcomes.py",
    "scheduler/dependency.py",
    "scheduler/direct.py",
    "scheduler/known.py",
    "scheduler/broker.py",
    "scheduler/cargo.py",
    "scheduler/haulage.py",
    "scheduler/loading.py",
    "scheduler/burden.py",
    "scheduler/clientdesk.py",
    "scheduler/closings.py",
    "scheduler/cores.py",
    "scheduler/deadlines.py",
    "scheduler/deliveries.py",
    "scheduler/dispatch.py",
    "scheduler/enginedesk.py",
    "scheduler/events.py",
    "scheduler/forhub.py",
    "scheduler/graph.py",
    "scheduler/hubdesk.py",
    "scheduler/lanes.py",
    "scheduler/ledger.py",
    "scheduler/roster.py",
    "scheduler/outbox.py",
    "scheduler/packing.py",
    "scheduler/peers.py",
    "scheduler/placement.py",
    "scheduler/recalls.py",
    "scheduler/reception.py",
    "scheduler/refusals.py",
    "scheduler/room.py",
    "scheduler/salvage.py",
    "scheduler/story.py",
    "scheduler/core.py",
    "segments/carrier.py",
    "segments/leases.py",
    "ssh/command.py",
    "ssh/places.py",
    "ssh/reasons.py",
    "segments/reference.py",
    "hub/larder/base.py",
    "hub/larder/book.py",
    "hub/registry.py",
    "hub/liveness.py",
    "hub/query.py",
    "hub/queries.py",
    "hub/recordqueries.py",
    "hub/recorder.py",
    "hub/core.py",
    "engine/actions.py",
    "engine/attemptqueue.py",
    "engine/attempts.py",
    "engine/core.py",
    "engine/ended.py",
    "engine/kernel/messages.py",
    "engine/passing_on.py",
    "engine/pickles.py",
    "jupyter/messages.py",
    "node/actions.py",
    "node/core.py",
    "node/engines.py",
    "node/leaving.py",
    "node/term.py",
    "node/startups.py",
    "client/chunk.py",
    "client/looks/html.py",
    "client/looks/svg.py",
    "client/looks/timeline.py",
    "client/looks/words.py",
    "client/results/codec.py",
    "client/link/events.py",
    "client/history.py",
    "client/link/tasklists.py",
    "client/results/metadata.py",
    "client/views/partition.py",
    "client/views/targeting.py",
    "client/link/channels.py",
    "client/link/core.py",
    "client/link/freight.py",
    "client/link/outstanding.py",
    "client/link/sent_functions.py",
)
OUTSIDE_WORLD: Final = {
    "asyncio", "logging", "multiprocessing", "os", "select", "signal", "socket", "subprocess",
    "threading", "time", "tornado", "zmq",
}  # fmt: skip


def modules() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


def name_of(path: Path) -> str:
    """Return the module's name within the package; ``""`` is the package itself."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


@cache
def imports_of(path: Path) -> list[str]:
    """Return the full name of everything that the file imports, wherever in it."""
    return list(_imports_of(path))


def _imports_of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=module, names=names, level=0) if module:
                found = [f"{module}.{alias.name}" for alias in names if is_module(module, alias)]
                yield from found
                if len(found) < len(names):
                    yield module
            case ast.ImportFrom(level=level) if level:
                pytest.fail(f"{path}:{node.lineno} imports relatively")


def is_module(package: str, alias: ast.alias) -> bool:
    """Whether ``from package import alias`` names a module of ours."""
    if package.partition(".")[0] != "hippodrome":
        return False
    path = ROOT.joinpath(*package.split(".")[1:], alias.name)
    return path.is_dir() or path.with_suffix(".py").is_file()


def ours(path: Path) -> list[str]:
    """Return what the file imports of this package, named within it."""
    parts = [name.partition(".") for name in imports_of(path)]
    return [module for package, _, module in parts if package == "hippodrome" and module]


def is_exception(importer: str, imported: str) -> bool:
    return any(
        importer == there and (imported == here or imported in parents(here))
        for there, here in EXCEPTIONS
    )


def parents(module: str) -> set[str]:
    parts = module.split(".")
    return {".".join(parts[:n]) for n in range(1, len(parts))}


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_a_module_imports_only_from_layers_below_it(path: Path) -> None:
    importer = name_of(path)
    layer = importer.partition(".")[0]
    if layer == "" or importer in ALIASES:
        return  # the package itself offers everyone's public names, lazily
    for imported in ours(path):
        below = imported.partition(".")[0]
        if below in {layer, *BOTTOM} or below in LAYERS.get(layer, set()):
            continue
        assert is_exception(importer, imported), f"{importer} imports {imported}"


def test_every_package_has_its_place_among_the_layers() -> None:
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert packages - ALIASES == set(LAYERS) - BRIDGES


def test_nothing_imports_the_old_names_but_one_another() -> None:
    names = {name_of(path): path for path in modules()}
    assert set(names) >= ALIASES
    for importer in names.keys() - ALIASES:
        assert not ALIASES.intersection(ours(names[importer])), importer


def test_every_exception_is_in_use() -> None:
    used = {(name_of(path), imported) for path in modules() for imported in ours(path)}
    assert set(EXCEPTIONS) <= used


def pure_modules() -> dict[str, Path]:
    return {name_of(path): path for pattern in PURE for path in ROOT.glob(pattern)}


@pytest.mark.parametrize("pattern", PURE)
def test_the_list_of_pure_files_names_files_that_exist(pattern: str) -> None:
    assert list(ROOT.glob(pattern))


@pytest.mark.parametrize(("importer", "path"), pure_modules().items())
def test_a_pure_file_reaches_nothing_of_the_outside_world(importer: str, path: Path) -> None:
    seen: set[Path] = set()
    ahead = [path]
    while ahead:
        path = ahead.pop()
        seen.add(path)
        reached = {name.partition(".")[0] for name in imports_of(path)} & OUTSIDE_WORLD
        assert not reached, f"{importer} reaches {reached} through {name_of(path)}"
        ahead += [found for name in ours(path) for found in files_of(name) if found not in seen]


@cache
def files_of(module: str) -> list[Path]:
    path = ROOT.joinpath(*module.split("."))
    found = [path.with_suffix(".py"), path / "__init__.py"]
    return [candidate for candidate in found if candidate.is_file()]


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_traitlets_stop_at_the_programs(path: Path) -> None:
    if path.parent != ROOT / "apps" and path not in SPEAK_IPYTHON:
        assert "traitlets" not in {name.partition(".")[0] for name in imports_of(path)}


def test_importing_the_package_imports_nothing_heavy() -> None:
    jupyter = ["IPython", "jupyter_client", "jupyter_server", "traitlets"]
    heavy = [*jupyter, "tornado.web", "numpy", "zmq"]
    code = f"import sys, hippodrome; print([name for name in {heavy} if name in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
