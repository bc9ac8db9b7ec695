"""The most frequent words of real text, counted on all engines.

    ipcluster start -n 4
    python examples/word_count.py --words 10

The text is the documentation in Python's own standard library. Files are scattered over the
engines, each engine counts its part, and the counts are added here.
"""

from __future__ import annotations

import argparse
import sysconfig
from collections import Counter
from pathlib import Path

import hippodrome as ipp


def count_words(paths: list[str]) -> Counter[str]:
    """Return how often each word occurs in the docstrings and comments of some files."""
    import re

    counts: Counter[str] = Counter()
    for path in paths:
        text = Path(path).read_text(encoding="utf-8", errors="replace")
        prose = re.findall(r'"""(.*?)"""|#(.*)', text, re.DOTALL)
        for docstring, comment in prose:
            counts.update(re.findall(r"[a-z]{3,}", f"{docstring} {comment}".lower()))
    return counts


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--words", type=int, default=20)
    options.add_argument("--files", type=int, default=200)
    options.add_argument("--url-file", help="a client's connection file")
    given = options.parse_args()

    library = Path(sysconfig.get_paths()["stdlib"])
    paths = [str(path) for path in sorted(library.glob("*.py"))[: given.files]]
    with ipp.Client(given.url_file) as rc:
        rc.wait_for_engines()
        view = rc[:]
        view.scatter("paths", paths, block=True)
        parts = view.apply_async(count_words, ipp.Reference("paths"))
        total: Counter[str] = Counter()
        for part in parts:
            total.update(part)
        for word, n in total.most_common(given.words):
            print(f"{n:8d}  {word}")
        print(f"{sum(total.values())} words in {len(paths)} files, on {len(view)} engines")


if __name__ == "__main__":
    main()
