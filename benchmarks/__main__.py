"""``python -m benchmarks``: measure hippodrome beside its peers, show tables, write JSON.

In each repetition ours, the peer and the reference (`ProcessPoolExecutor`) take turns, so that
whatever else the machine does disturbs all of them: compare ratios. Peers are installed on demand,
each into a virtual environment of its own, and used through their public interfaces.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import environments, machine, peers
from benchmarks.far.workloads import FAR_WORKLOADS
from benchmarks.figures import Figures
from benchmarks.report import report
from benchmarks.runner import Runner, Settings, say
from benchmarks.targets import TARGETS
from benchmarks.workloads import ENGINES, HOSTS, STAGE, WORKLOADS, Workload

TRIAL = "A trial: once, with fewer tasks than the titles say. Not for publication.\n\n"


def main(arguments: Sequence[str] | None = None) -> int:
    options = make_parser().parse_args(arguments)
    if options.list:
        print(listing())
        return 0
    where = machine.describe()
    if where["load_before"] > machine.QUIET:
        say(f"load {where['load_before']}: others use this machine; repeat before publishing")
    if options.workloads == [STAGE]:
        return run_stage(options, where)
    if HOSTS in options.workloads:
        return run_hosts(options, where)
    if ENGINES in options.workloads:
        return run_engines(options, where)
    return run(options, where)


def run(options: argparse.Namespace, where: dict[str, Any]) -> int:
    """Run the chosen workloads; 1 if any contest failed."""
    settings = Settings(options.cache.expanduser(), options.repetitions, options.quick)
    runner, figures, start = Runner(settings), Figures(), time.monotonic()
    chosen = [WORKLOADS[name] for name in options.workloads if name != STAGE]
    for workload in chosen:
        for contest in runner.run(workload, peers_for(workload, options)):
            figures.contests.append(contest)
            where["took_s"] = round(time.monotonic() - start)
            write_json(options.json, where, figures)
    where["versions"] = machine.versions(runner.pythons)
    write_json(options.json, where, figures)
    names = [name for name in peers.PEERS if name in runner.pythons]
    text = TRIAL * options.quick + report(figures, TARGETS, names)
    print(text, end="")
    if options.markdown:
        options.markdown.write_text(text)
    if STAGE in options.workloads:
        run_stage(options, where)
    return 1 if figures.problems() else 0


def peers_for(workload: Workload, options: argparse.Namespace) -> list[str]:
    """Return which of the chosen peers take part in a workload."""
    if not options.yardsticks:
        return list(options.peers)
    named = {target.yardstick for target in TARGETS if target.workload == workload.name}
    return [peer for peer in options.peers if peer in named]


def run_stage(options: argparse.Namespace, where: dict[str, Any]) -> int:
    from benchmarks import stage

    figures = stage.measure(2_000 if options.quick else 10_000, options.repetitions or 5)
    print(stage.table(figures))
    if options.workloads == [STAGE] and options.json:
        shown = {"machine": where, "figures": [figure.as_dict() for figure in figures]}
        options.json.write_text(json.dumps(shown, indent=1) + "\n")
    return 0


def run_engines(options: argparse.Namespace, where: dict[str, Any]) -> int:
    """Measure many engines, which are played, and nothing else."""
    from benchmarks import engines

    costs = [engines.measure(n) for n in ((64,) if options.quick else (64, 1_000))]
    print(engines.table(costs))
    if options.json:
        shown = {"machine": where, "figures": [cost.as_dict() for cost in costs]}
        options.json.write_text(json.dumps(shown, indent=1) + "\n")
    return 0


def run_hosts(options: argparse.Namespace, where: dict[str, Any]) -> int:
    """Run the workloads over hosts, and no others."""
    from benchmarks.far import contest

    return contest.run(options, where, lambda figures: write_json(options.json, where, figures))


def write_json(path: Path | None, where: dict[str, Any], figures: Figures) -> None:
    """Write what is known so far, so that a run which is interrupted is not lost."""
    if path is None:
        return
    contests = [asdict(contest) for contest in figures.contests]
    path.write_text(json.dumps({"machine": where, "contests": contests}, indent=1) + "\n")


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--workloads",
        type=names_among([*WORKLOADS, STAGE, HOSTS, ENGINES]),
        default=list(WORKLOADS),
        metavar="NAMES",
        help=f"which, separated by commas; {STAGE} is the list of the first stage, {HOSTS} what "
        f"is done over several hosts (alone; as root); default: all but these",
    )
    parser.add_argument(
        "--hosts",
        type=names_among(FAR_WORKLOADS),
        metavar="NAMES",
        help=f"which of those of {HOSTS}, separated by commas; default: all",
    )
    parser.add_argument(
        "--before",
        type=Path,
        metavar="SRC",
        help=f"with {HOSTS}: take turns with the package in another source tree, too",
    )
    parser.add_argument(
        "--peers",
        type=names_among(peers.PEERS),
        default=list(peers.PEERS),
        metavar="NAMES",
        help="which, separated by commas; default: all",
    )
    parser.add_argument(
        "--yardsticks",
        action="store_true",
        help="for each workload, only the peers that a target names: a third of the time",
    )
    parser.add_argument("--repetitions", type=int, help="how often; default: as the workload says")
    parser.add_argument("--quick", action="store_true", help="once, with few tasks: a trial")
    parser.add_argument("--json", type=Path, help="write everything that was measured to this file")
    parser.add_argument("--markdown", type=Path, help="write the tables to this file, too")
    parser.add_argument(
        "--cache",
        type=Path,
        default=environments.DEFAULT_CACHE,
        help="folder for the environments of the peers; default: %(default)s",
    )
    parser.add_argument("--list", action="store_true", help="list workloads and peers, and leave")
    return parser


def names_among(known: Sequence[str]) -> Any:  # a function of the kind that argparse calls a type
    """Return a reader of comma-separated names; ``group-*`` stands for all that begin so."""

    def read(text: str) -> list[str]:
        chosen: list[str] = []
        for part in text.split(","):
            prefix = part.removesuffix("*")
            found = [
                name
                for name in known
                if name == part or (part != prefix and name.startswith(prefix))
            ]
            if not found:
                raise argparse.ArgumentTypeError(f"no {part!r}; there are {', '.join(known)}")
            chosen += [name for name in found if name not in chosen]
        return chosen

    return read


def listing() -> str:
    workloads = [f"  {name:13} {workload.title}" for name, workload in WORKLOADS.items()]
    adapters = [peers.adapter(name) for name in (peers.OURS, *peers.PEERS)]
    sides = [f"  {adapter.name:13} {adapter.how}" for adapter in adapters]
    far = [f"  {name:20} {workload.title}" for name, workload in FAR_WORKLOADS.items()]
    return "\n".join(["workloads:", *workloads, f"{HOSTS}:", *far, "peers:", *sides])


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that sessions are closed
    sys.exit(main())
