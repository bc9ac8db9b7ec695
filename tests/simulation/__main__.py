"""Run seeds: ``python -m tests.simulation --seeds 20000``, or replay one with ``--seed 123``."""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from simulation.run import SeedFailed, run_seed
from simulation.scenario import draw


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, help="replay this seed with a trace")
    parser.add_argument("--seeds", type=int, default=2000, help="how many to run")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--keep-going", action="store_true", help="do not stop at a failure")
    options = parser.parse_args()
    return replay(options.seed) if options.seed is not None else run_many(options)


def replay(seed: int) -> int:
    print(draw(seed))
    try:
        n_events = run_seed(seed, print).n_events
    except SeedFailed as error:
        traceback.print_exception(error.__cause__)
        print(error)
        return 1
    print(f"seed {seed} holds: {n_events} events")
    return 0


def run_many(options: argparse.Namespace) -> int:
    begun, n_events, failed = time.process_time(), 0, 0
    seeds = range(options.first, options.first + options.seeds)
    n_run = 0
    for seed in seeds:
        n_run += 1
        try:
            n_events += run_seed(seed).n_events
        except SeedFailed as error:
            print(error, flush=True)
            failed += 1
            if not options.keep_going:
                break
    seconds = time.process_time() - begun
    print(
        f"{n_run} seeds, {failed} failed, {n_events} events in {seconds:.1f} s of CPU: "
        f"{n_run / seconds:.0f} seeds/s of {n_events / n_run:.0f} events"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
