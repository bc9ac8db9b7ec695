"""What people install: the wheel that comes of the source distribution."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import venv
import zipfile
from importlib.metadata import Distribution
from pathlib import Path

import pytest
import traitlets

from hippodrome.apps.shipped import shipped_files

ROOT = Path(__file__).parents[2]
for _name in ("build", "hatchling"):
    pytest.importorskip(_name, reason=f"there is no {_name}: nobody has built the package")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source distribution, and the wheel built from that."""
    folder = tmp_path_factory.mktemp("built")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def one(folder: Path, pattern: str) -> Path:
    (found,) = folder.glob(pattern)
    return found


def test_the_source_has_what_the_wheel_is_made_of(built: Path) -> None:
    with tarfile.open(one(built, "*.tar.gz")) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {f"share/{name}" for name in shipped_files()} <= names
    assert {"LICENSE", "README.md", "CITATION.cff", "src/hippodrome/py.typed"} <= names
    assert not any(name.startswith((".venv", "docs/_build")) for name in names)


def test_the_wheel_has_the_package_and_nothing_else(built: Path) -> None:
    with zipfile.ZipFile(one(built, "*.whl")) as archive:
        names = {name.partition("/")[0] for name in archive.namelist()}
    assert {name for name in names if "-" not in name} == {"hippodrome"}
    assert {name.rpartition(".")[2] for name in names if "-" in name} == {"data", "dist-info"}


def test_the_wheel_installs_what_it_promises(built: Path, tmp_path: Path) -> None:
    venv.create(tmp_path, with_pip=False)
    python = tmp_path / "bin" / "python"
    wheel = str(one(built, "*.whl"))
    install = ["-m", "pip", "--python", str(python), "install", "-q", "--no-deps", wheel]
    done = subprocess.run([sys.executable, *install], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    for name, text in shipped_files().items():
        assert (tmp_path / "share" / name).read_text(encoding="utf-8") == text
    assert (tmp_path / "etc/jupyter/jupyter_server_config.d/hippodrome.json").exists()

    packages = one(tmp_path, "lib/python*/site-packages")
    metadata = Distribution.at(one(packages, "hippodrome-*.dist-info")).metadata
    urls = dict(line.split(", ") for line in metadata.get_all("Project-URL", []))
    assert urls.keys() == {"Documentation", "Source", "Changelog", "Issues"}
    assert {"notebook", "examples"} <= {*metadata.get_all("Provides-Extra", [])}
    assert metadata["Description-Content-Type"] == "text/markdown"

    # what it depends on, it finds where these tests do
    (packages / "dependencies.pth").write_text(f"{Path(traitlets.__file__).parents[1]}\n")
    for command in ("ipcluster", "ipcontroller", "ipengine", "hippodrome"):
        asked = subprocess.run(
            [tmp_path / "bin" / command, "--version"], capture_output=True, text=True
        )
        assert asked.returncode == 0, asked.stderr
        assert metadata["Version"] in asked.stdout
