"""``share/``: man pages and completion files, where systems look for them.

``python -m hippodrome.apps.shipped`` writes them there, to be packed; a test compares.
"""

from __future__ import annotations

import sys
from pathlib import Path

from hippodrome.apps.completion import COMMANDS, SCRIPTS
from hippodrome.apps.manpages import man_page


def shipped_files() -> dict[str, str]:
    """Return the text of each file, by its path below ``share``."""
    files = {f"man/man1/{command}.1": man_page(command) for command in COMMANDS}
    files["zsh/site-functions/_hippodrome"] = SCRIPTS["zsh"]
    for command in COMMANDS:  # bash and fish load a file when its command is typed
        files[f"bash-completion/completions/{command}"] = SCRIPTS["bash"]
        files[f"fish/vendor_completions.d/{command}.fish"] = SCRIPTS["fish"]
    return files


def main(folder: str = "share") -> None:
    """Write the files into *folder*."""
    for name, text in shipped_files().items():
        path = Path(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
