"""Modules that clients upload: packed here, taken there, and nothing written anywhere else."""

from __future__ import annotations

import importlib
import io
import sys
import types
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from hippodrome.client.uploads import Uploads as Kept
from hippodrome.client.uploads import pack
from hippodrome.engine.uploads import ReceivedUploads

NAME = "field_notes"


@pytest.fixture
def owned() -> list[str]:
    return []


@pytest.fixture
def uploads(
    owned: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ReceivedUploads]:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield ReceivedUploads(owned.append)
    for name in [name for name in sys.modules if name.partition(".")[0] == NAME]:
        del sys.modules[name]


def module(folder: Path, text: str) -> Path:
    path = folder / f"{NAME}.py"
    path.write_text(text)
    return path


def package(folder: Path, value: int) -> Path:
    path = folder / NAME
    (path / "parts" / "__pycache__").mkdir(parents=True, exist_ok=True)
    (path / "__init__.py").write_text("from field_notes.parts import value")
    (path / "parts" / "__init__.py").write_text(f"value = {value}")
    (path / "parts" / "table.txt").write_text("data")
    (path / "parts" / "__pycache__" / "x.pyc").write_text("")
    (path / ".hidden").write_text("")
    return path


def archive(**members: str) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as file:
        for name, text in members.items():
            file.writestr(name, text)
    return data.getvalue()


def test_a_module_can_be_imported_where_it_was_uploaded(
    uploads: ReceivedUploads, tmp_path: Path
) -> None:
    name, data = pack(module(tmp_path, "value = 1"))
    uploads.take(name, data)
    assert name == NAME
    assert importlib.import_module(NAME).value == 1


def test_what_is_uploaded_again_takes_effect(uploads: ReceivedUploads, tmp_path: Path) -> None:
    for value in (1, 2):
        uploads.take(*pack(module(tmp_path, f"value = {value}")))
        assert importlib.import_module(NAME).value == value
    uploads.take(*pack(package(tmp_path, 3)))
    found = importlib.import_module(NAME)
    assert (found.value, importlib.import_module(f"{NAME}.parts").value) == (3, 3)
    assert len([entry for entry in sys.path if "hippodrome-uploads" in entry]) == 1
    uploads.take(*pack(package(tmp_path, 3)))
    assert importlib.import_module(NAME) is found, "nothing has changed"


def test_a_package_is_packed_with_its_data_and_nothing_hidden(tmp_path: Path) -> None:
    _, data = pack(package(tmp_path, 1))
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        names = file.namelist()
    parts = f"{NAME}/parts"
    assert names == [f"{NAME}/__init__.py", f"{parts}/__init__.py", f"{parts}/table.txt"]
    assert pack(package(tmp_path, 1))[1] == data


def test_modules_are_found_by_their_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package(tmp_path, 1)
    monkeypatch.syspath_prepend(str(tmp_path))
    found = importlib.import_module(NAME)
    assert pack(found) == pack(tmp_path / NAME)
    with pytest.raises(ValueError, match=f"upload '{NAME}'"):
        pack(importlib.import_module(f"{NAME}.parts"))
    for name in [name for name in sys.modules if name.partition(".")[0] == NAME]:
        monkeypatch.delitem(sys.modules, name)


def test_archives_go_as_they_are(uploads: ReceivedUploads, tmp_path: Path) -> None:
    (tmp_path / f"{NAME}-1.0-py3-none-any.whl").write_bytes(archive(**{f"{NAME}.py": "value = 5"}))
    name, data = pack(tmp_path / f"{NAME}-1.0-py3-none-any.whl")
    uploads.take(name, data)
    assert (name, importlib.import_module(NAME).value) == (NAME, 5)


def test_what_cannot_be_imported_is_refused_at_the_call(tmp_path: Path) -> None:
    (tmp_path / "not-a-name.py").write_text("")
    (tmp_path / "notes.txt").write_text("")
    (tmp_path / "broken.zip").write_text("")
    (tmp_path / "queue.py").write_text("")
    for name in ("not-a-name.py", "notes.txt", "broken.zip", "queue.py"):
        with pytest.raises(ValueError, match=name.partition(".")[0]):
            pack(tmp_path / name)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        pack(tmp_path / "nowhere.py")
    with pytest.raises(TypeError, match="not int"):
        pack(3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no file"):
        pack(types.ModuleType("made_by_hand"))


@pytest.mark.parametrize("path", ["", "no/such/thing.py"])
def test_what_is_not_there_is_not_uploaded(path: str) -> None:
    """An empty path would be the folder that this process is in."""
    with pytest.raises(FileNotFoundError, match=f"there is no '{path}'"):
        pack(path)


def test_a_client_keeps_a_bounded_number_of_bytes(tmp_path: Path) -> None:
    kept = Kept(limit_bytes=100)
    kept.keep("a", b"x" * 60)
    kept.keep("a", b"y" * 70)
    with pytest.raises(ValueError, match="keeps 100"):
        kept.keep("b", b"x" * 60)
    assert kept.items() == [("a", b"y" * 70)]
    with pytest.raises(ValueError, match="more than 3 bytes"):
        pack(module(tmp_path, "value = 1"), limit_bytes=3)


@pytest.mark.parametrize(
    "name", ["../x.py", "a/../../x.py", "/x.py", "a//x.py", "a\\..\\x.py", "c:x.py", "./x.py"]
)
def test_nothing_is_written_outside_of_the_folder(
    uploads: ReceivedUploads, owned: list[str], tmp_path: Path, name: str
) -> None:
    with pytest.raises(ValueError, match="cannot have a member"):
        uploads.take("x", archive(**{"fine.py": "", name: ""}))
    assert not list(tmp_path.rglob("*.py"))
    assert not owned


@pytest.mark.parametrize("name", ["queue.py", "hippodrome/__init__.py", "zmq/x.py"])
def test_modules_of_the_engine_itself_cannot_be_replaced(
    uploads: ReceivedUploads, name: str
) -> None:
    before = dict(sys.modules)
    with pytest.raises(ValueError, match="engines need a module"):
        uploads.take("x", archive(**{name: ""}))
    assert dict(sys.modules) == before


@pytest.mark.parametrize(
    "data",
    [b"", b"no archive", archive(x="1")[:-5]],
    ids=["empty", "text", "cut"],  # of its own it would have the time in it
)
def test_what_is_no_archive_is_refused(uploads: ReceivedUploads, data: bytes) -> None:
    with pytest.raises(ValueError, match="no ZIP archive"):
        uploads.take("x", data)


def test_archives_that_would_fill_the_disk_are_refused(
    uploads: ReceivedUploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hippodrome.engine.uploads.UNPACKED_BYTES", 10)
    with pytest.raises(ValueError, match="are too much"):
        uploads.take("x", archive(x="12345678901"))


def test_the_folder_is_private_and_said_to_the_supervisor(
    uploads: ReceivedUploads, owned: list[str], tmp_path: Path
) -> None:
    uploads.take(*pack(module(tmp_path, "value = 1")))
    uploads.take("other", archive(**{"field_notes_2.py": ""}))
    assert len(owned) == 1
    assert Path(owned[0]).stat().st_mode & 0o077 == 0
    assert sorted(entry.name for entry in Path(owned[0]).iterdir()) == ["1", "2"]
