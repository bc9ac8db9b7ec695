"""Modules of the client that engines lack: uploaded, replaced, there for those that join later."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

SCRIPT = """
    import os, sys
    import hippodrome as ipp

    folder = sys.argv[1]
    sys.path.insert(0, folder)

    def write(value):
        with open(os.path.join(folder, "field_notes.py"), "w") as file:
            file.write(f"value = {value}\\ndef f(): return value")

    def value():
        import field_notes
        return field_notes.value

    def folders():
        import sys
        return [entry for entry in sys.path if "hippodrome-uploads" in entry]

    if __name__ == "__main__":
        write(1)
        import field_notes
        with ipp.Cluster(n=1, log_level=40) as rc:
            try:
                rc[0].apply_sync(field_notes.f)
            except ImportError as error:
                assert "Client.upload(field_notes)" in "".join(error.__notes__), error.__notes__
            else:
                raise AssertionError("it is not there")
            rc.upload(field_notes)
            assert rc[0].apply_sync(field_notes.f) == 1
            write(2)
            rc.upload(os.path.join(folder, "field_notes.py"))
            assert rc[:].apply_sync(value) == [2]
            assert rc[0].apply_sync(field_notes.f) == 2
            assert rc.load_balanced_view().apply_sync(field_notes.f) == 2
            rc.cluster.start_engines_sync(n=1)
            rc.wait_for_engines(2)
            assert rc[:].apply_sync(value) == [2, 2]
            there = [entry for found in rc[:].apply_sync(folders) for entry in found]
            assert len(set(there)) == 2 and all(map(os.path.isdir, there)), there
            rc.send_signal("SIGKILL", targets=1, block=True)
        print(*there, sep="\\n")
"""


def test_what_is_uploaded_can_be_imported_and_goes_with_its_engine(
    cluster: Any, tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT))
    done = cluster.python(str(script), str(tmp_path / "folder"), timeout_s=300)
    assert done.returncode == 0, done.stderr
    folders = done.stdout.split()
    assert len(folders) == 2
    assert not [folder for folder in folders if Path(folder).parent.exists()]
