"""Profiles as IPython has them; a socket directory that nobody else can enter."""

from __future__ import annotations

import copy
import json
import os
import pickle
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hippodrome import paths
from hippodrome.errors import ClusterError


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home directory, and nothing in the environment that points elsewhere."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("IPYTHONDIR", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def short_dir(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory with a path that is short enough for sockets, as XDG_RUNTIME_DIR."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="hp-", dir="/tmp") as name:
        monkeypatch.setenv("XDG_RUNTIME_DIR", name)
        yield Path(name)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_path_as_text_is_text_in_every_respect() -> None:
    text = "/a/profile_x"
    path = paths.PathText(text)
    assert isinstance(path, str)
    assert path == text
    assert not path != text  # noqa: SIM202 - both operators are asked
    assert hash(path) == hash(text)
    assert {text: 1}[path] == {path: 1}[text] == 1
    assert path + "/log" == os.path.join(path, "log") == f"{path}/log" == "/a/profile_x/log"
    assert path.endswith("_x")
    assert path.replace("x", "y") == "/a/profile_y"
    assert json.dumps({path: path}) == json.dumps({text: text})
    assert repr(path) == repr(text)
    for again in (pickle.loads(pickle.dumps(path)), copy.deepcopy(path), str(path)):
        assert type(again) is str
        assert again == text


def test_a_path_as_text_has_what_a_path_has(tmp_path: Path) -> None:
    path = paths.PathText(tmp_path)
    assert path / "a" == Path(path) / "a" == Path(path, "a") == tmp_path / "a"
    assert isinstance(path / "a", Path)
    assert (path / "a").parent / "b" == tmp_path / "b"
    assert path.name == tmp_path.name
    assert path.parent == tmp_path.parent
    assert path.is_dir()
    assert os.fspath(path) == str(tmp_path)
    assert isinstance(path, os.PathLike)
    with pytest.raises(AttributeError, match="exist"):
        path.exist


def test_a_path_as_text_and_a_path_are_never_equal_and_unequal_at_once() -> None:
    text, path = paths.PathText("/a"), Path("/a")
    assert (text == path, text != path) == (path == text, path != text) == (False, True)
    assert len({text, path}) == 2


def test_ipythons_directory_is_in_the_home_directory(home: Path) -> None:
    assert paths.ipython_dir() == home / ".ipython"


def test_the_environment_moves_ipythons_directory(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IPYTHONDIR", "~/elsewhere")
    assert paths.ipython_dir() == home / "elsewhere"


def test_what_is_given_wins_over_the_environment(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IPYTHONDIR", "/nowhere")
    assert paths.ipython_dir(home / "given") == home / "given"


def test_a_very_old_place_is_used_only_if_there_is_no_other(home: Path) -> None:
    old = home / ".config" / "ipython"
    old.mkdir(parents=True)
    assert paths.ipython_dir() == old
    (home / ".ipython").mkdir()
    assert paths.ipython_dir() == home / ".ipython"


def test_a_profile_is_made_with_a_private_security_directory(home: Path) -> None:
    old_umask = os.umask(0)
    try:
        directory = paths.profile_dir("work")
    finally:
        os.umask(old_umask)
    assert directory == home / ".ipython" / "profile_work"
    assert mode(directory / "security") == 0o700
    assert (directory / "log").is_dir()
    assert (directory / "pid").is_dir()


def test_a_profiles_path_wins_over_its_name(tmp_path: Path) -> None:
    assert paths.find_profile_dir("work", tmp_path / "here") == tmp_path / "here"


@pytest.mark.parametrize("name", ["a/b", "..", "/tmp"])
def test_a_path_is_no_profiles_name(name: str) -> None:
    with pytest.raises(ClusterError, match="--profile-dir"):
        paths.find_profile_dir(name)


def test_a_profile_that_cannot_be_made_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ClusterError, match=r"cannot write to the profile .*--profile-dir"):
        paths.profile_dir(profile_dir=tmp_path / "file" / "profile")


def test_the_runtime_directory_is_private(short_dir: Path) -> None:
    old_umask = os.umask(0)
    try:
        directory = paths.runtime_dir()
    finally:
        os.umask(old_umask)
    assert directory == short_dir / "hippodrome"
    assert mode(directory) == 0o700


def test_without_a_runtime_directory_there_is_one_for_each_user(
    home: Path, monkeypatch: pytest.MonkeyPatch, short_dir: Path
) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(short_dir))
    assert paths.runtime_dir() == short_dir / f"hippodrome-{os.geteuid()}"


def test_a_relative_or_missing_runtime_directory_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, short_dir: Path
) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(short_dir))
    for value in ("relative", "/does/not/exist", ""):
        monkeypatch.setenv("XDG_RUNTIME_DIR", value)
        assert paths.runtime_dir().name == f"hippodrome-{os.geteuid()}"


def test_a_runtime_directory_with_a_long_path_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, short_dir: Path
) -> None:
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(short_dir))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(long))
    assert paths.runtime_dir().parent == short_dir
    address = paths.new_socket_dir() / paths.SOCKET_NAME
    assert len(os.fsencode(address)) <= paths.SOCKET_PATH_MAX_BYTES


def test_a_runtime_directory_open_to_others_is_refused(short_dir: Path) -> None:
    (short_dir / "hippodrome").mkdir()
    (short_dir / "hippodrome").chmod(0o770)
    with pytest.raises(ClusterError, match="chmod 700"):
        paths.runtime_dir()


def test_a_runtime_directory_of_somebody_else_is_refused(
    short_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths.runtime_dir()
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(ClusterError, match="belongs to another user"):
        paths.runtime_dir()


def test_a_link_in_place_of_the_runtime_directory_is_refused(
    short_dir: Path, tmp_path: Path
) -> None:
    tmp_path.chmod(0o700)
    (short_dir / "hippodrome").symlink_to(tmp_path)
    with pytest.raises(ClusterError, match="should be a directory"):
        paths.runtime_dir()


def test_a_socket_directory_is_swept_once_nothing_listens_there(short_dir: Path) -> None:
    directory = paths.new_socket_dir()
    assert mode(directory) == 0o700
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(directory / paths.SOCKET_NAME))
    listener.listen()
    os.utime(directory, (0, 0))
    assert paths.is_listening(directory / paths.SOCKET_NAME)
    assert paths.sweep_socket_dirs() == 0

    listener.close()
    assert not paths.is_listening(directory / paths.SOCKET_NAME)
    assert paths.sweep_socket_dirs() == 1
    assert not directory.exists()


def test_a_socket_directory_in_the_making_is_not_swept(short_dir: Path) -> None:
    directory = paths.new_socket_dir()
    assert paths.sweep_socket_dirs() == 0
    assert directory.is_dir()


def test_importing_the_package_brings_nothing_heavy() -> None:
    code = (
        "import sys, hippodrome\n"
        "heavy = {'zmq', 'IPython', 'tornado', 'numpy', 'jupyter_client', 'asyncio', 'traitlets'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "import hippodrome.transport.connect\n"
        "heavy.remove('zmq')\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_public_name_can_be_had() -> None:
    import hippodrome

    missing = [name for name in hippodrome.__all__ if not hasattr(hippodrome, name)]
    assert not missing
    assert set(hippodrome.__all__) <= set(dir(hippodrome))
    with pytest.raises(AttributeError, match="no_such_name"):
        hippodrome.no_such_name
