"""What programs print and log where it cannot be written, and with which code they end."""

from __future__ import annotations

import errno
import io
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hippodrome.apps import exitcodes, streams
from hippodrome.apps.settings import UsageError
from hippodrome.errors import ClusterError, LaunchError

LOG = logging.getLogger("hippodrome.test_streams")


@pytest.fixture
def propagates_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LOG, "propagate", False)
    monkeypatch.setattr(LOG, "level", logging.INFO)


def test_lines_that_a_full_disk_did_not_take_are_counted(
    propagates_not: None, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.log"
    with open("/dev/full", "w") as stream:
        handler = streams.PatientHandler(stream)
        LOG.addHandler(handler)
        try:
            for i in range(20_000):
                LOG.info("lost %d", i)
            with path.open("wb") as file:
                os.dup2(file.fileno(), stream.fileno())
            LOG.info("kept")
            LOG.info("kept \udc80 too")
        finally:
            LOG.removeHandler(handler)
    assert path.read_text() == (
        "20,000 lines before this one could not be written: No space left on device\n"
        "kept\nkept \\udc80 too\n"
    )
    assert capfd.readouterr() == ("", "")


def test_a_line_that_was_torn_gets_an_end(propagates_not: None) -> None:
    class Raw(io.RawIOBase):
        took, room = b"", 3

        def write(self, data: bytes) -> int:  # type: ignore[override]
            n = min(len(data), self.room)
            self.took += data[:n]
            return n

    raw = Raw()
    handler = streams.PatientHandler(io.TextIOWrapper(_Buffered(raw)))
    for text, room in (("one", 3), ("two", 0), ("three", 999), ("four", 999)):
        raw.room = room
        handler.emit(logging.makeLogRecord({"msg": text}))
    assert raw.took.decode() == (
        "one\n2 lines before this one could not be written: No space left on device\nthree\nfour\n"
    )


class _Buffered(io.BytesIO):
    def __init__(self, raw: io.RawIOBase) -> None:
        super().__init__()
        self.raw = raw


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (UsageError("no"), exitcodes.USAGE, "x: no\n"),
        (ClusterError("two\nlines"), exitcodes.FAILED, "x: two lines\n"),
        (LaunchError("two\nlines"), exitcodes.FAILED, "x: two\nlines\n"),
        (exitcodes.NoCluster("none"), exitcodes.NO_CLUSTER, "x: none\n"),
        (OSError(errno.ENOSPC, "No space left"), exitcodes.FAILED, "x: No space left\n"),
        (FileNotFoundError(2, "Gone", "/a"), exitcodes.FAILED, "x: Gone: /a\n"),
        (OSError("odd"), exitcodes.FAILED, "x: odd\n"),
        (BrokenPipeError(), exitcodes.NOBODY_READS, ""),
        (KeyboardInterrupt(), exitcodes.INTERRUPTED, ""),
    ],
)
def test_an_error_has_a_sentence_and_a_code(
    error: BaseException, code: int, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def do() -> int:
        raise error

    assert streams.guarded("x", do) == code
    assert capsys.readouterr().err == text


@pytest.mark.parametrize(
    ("words", "full", "code"),
    [
        (["--version"], "stdout", 1),
        (["--help"], "stdout", 1),
        (["start", "--help"], "stdout", 1),
        (["list"], "stdout", 1),
        (["list"], "stderr", 0),
        (["status"], "stderr", 12),
        (["stop"], "stderr", 11),
        (["list", "--misspelled"], "stderr", 2),
        (["list", "--profile=new", "--log-to-file"], "stderr", 0),
    ],
)
def test_what_cannot_be_printed_is_no_traceback(
    tmp_path: Path, words: list[str], full: str, code: int
) -> None:
    command = [sys.executable, "-m", "hippodrome", *words]
    with open("/dev/full", "w") as device:
        other = "stderr" if full == "stdout" else "stdout"
        done = subprocess.run(
            command,
            env={**os.environ, "IPYTHONDIR": str(tmp_path)},
            timeout=60,
            check=False,
            text=True,
            **{full: device, other: subprocess.PIPE},
        )
    assert done.returncode == code
    if full == "stdout":
        assert done.stderr.endswith(": No space left on device\n")
        assert done.stderr.count("\n") == 1
