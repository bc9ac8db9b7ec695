"""Survey the standard library of the Python that runs this: which functions are the most complex?

    python examples/stdlib_survey.py

Every module is parsed by one of the engines of a local cluster, whichever is free. A file that
does not parse is an error of that file alone. What an engine has seen stays in its namespace
until it is asked for a summary.
"""

from __future__ import annotations

import ast
import heapq
import os
import sysconfig
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path

import hippodrome as ipp

FUNCTIONS = {ast.FunctionDef, ast.AsyncFunctionDef}
DECISIONS = {
    ast.If, ast.IfExp, ast.For, ast.AsyncFor, ast.While, ast.comprehension, ast.ExceptHandler,
    ast.match_case,
}  # fmt: skip
BANDS = {"simple": range(1, 11), "complex": range(11, 51), "untestable": range(51, 10_000)}
SAMPLE = 10  # every tenth file is parsed in this process too, to know what one process takes


# ---- what the engines run: plain functions, sent along with everything they use


def parse(path: str) -> tuple[int, list[tuple[int, str]]]:
    """Return the number of lines of a file, and complexity and place of each of its functions.

    The complexity is the number of ways through it: one, and one more for each decision
    (T. J. McCabe, 1976). A function inside another is counted for itself.
    """
    source = Path(path).read_bytes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about odd escapes in string literals
        tree = ast.parse(source, path)
    functions = []
    ahead = [(tree, [0, "module"])]
    while ahead:
        node, inside = ahead.pop()
        kind = type(node)
        if kind in FUNCTIONS:
            inside = [1, f"{path}:{node.lineno} {node.name}"]
            functions.append(inside)
        elif kind in DECISIONS:
            inside[0] += 1
        elif kind is ast.BoolOp:
            inside[0] += len(node.values) - 1
        ahead.extend((child, inside) for child in ast.iter_child_nodes(node))
    return source.count(b"\n"), [(paths, place) for paths, place in functions]


def survey(path: str) -> tuple[int, list[tuple[int, str]]]:
    """Parse a file; remember all complexities here, return the ten largest."""
    lines, functions = parse(path)
    seen.extend(paths for paths, _ in functions)  # noqa: F821 - a list on each engine
    return lines, heapq.nlargest(10, functions)


# ---- what this process does


def main() -> None:
    root = Path(sysconfig.get_path("stdlib"))
    files = sorted(str(path) for path in root.rglob("*.py") if "site-packages" not in path.parts)
    n = max(2, os.cpu_count() or 1)
    print(f"{len(files):,} files below {root}")

    with tempfile.TemporaryDirectory() as folder, ipp.Cluster(n=n) as rc:
        # Most installations leave out the files that are meant not to parse, so here is one.
        broken = Path(folder, "from_python_2.py")
        broken.write_text('print "hello"\n')

        engines = rc[:]
        engines["seen"] = []  # one empty list on each engine

        start = time.perf_counter()
        view = rc.load_balanced_view()
        survey_of_all = view.map_async(survey, [*files, str(broken)])
        survey_of_all.wait_interactive()  # the progress bar
        took = time.perf_counter() - start
        results = survey_of_all.get(return_exceptions=True)
        tasks = Counter(metadata.engine_id for metadata in survey_of_all.metadata)

        # The engines still have what they saw. Give them a table, take home one line from each.
        engines.push({"bands": BANDS})
        code = "summary = {name: sum(n in band for n in seen) for name, band in bands.items()}"
        engines.execute(code, block=True)
        summaries = engines.pull("summary", block=True)
        summaries = dict(zip(engines.targets, summaries, strict=True))

    report(root, results, tasks, summaries)
    sample = files[::SAMPLE]
    alone = time_alone(sample) * size_of(files) / size_of(sample)
    print(
        f"\n{took:.1f} s on {n} engines; one process takes {alone:.1f} s "
        f"(measured on every {SAMPLE}th file): {alone / took:.1f} times as fast"
    )


def report(root: Path, results: list, tasks: Counter, summaries: dict[int, dict]) -> None:
    errors = [result for result in results if isinstance(result, Exception)]
    parsed = [result for result in results if not isinstance(result, Exception)]
    print(f"\n{len(parsed):,} files parsed, {sum(lines for lines, _ in parsed):,} lines")
    print(f"\n{len(errors)} not parsed")
    for error in errors:
        print(f"  {error}".replace(f"{root}{os.sep}", ""))
    print("\nThe ten most complex functions")
    top = heapq.nlargest(10, (function for _, functions in parsed for function in functions))
    for paths, place in top:
        print(f"  {paths:4}  {place.removeprefix(f'{root}{os.sep}')}")
    print("\nengine  tasks  functions: " + "  ".join(f"{name:>10}" for name in BANDS))
    for engine, summary in summaries.items():
        counts = "  ".join(f"{summary[name]:10,}" for name in BANDS)
        print(f"{engine:6}  {tasks[engine]:5,}             {counts}")


def time_alone(files: list[str]) -> float:
    """Parse the files in this process, one after the other; return the seconds that it took."""
    start = time.perf_counter()
    for file in files:
        try:
            heapq.nlargest(10, parse(file)[1])
        except (SyntaxError, ValueError):
            continue  # has been reported
    return time.perf_counter() - start


def size_of(files: list[str]) -> int:
    return sum(Path(file).stat().st_size for file in files)


if __name__ == "__main__":
    main()
