"""The same computation by joblib and by dask, on the engines that a program has already.

    ipcluster start -n 4
    python examples/handover.py --circles 200

Engines take calls of joblib, calls of dask and tasks of their own, one after the other or all at
once; nothing is started anew but dask's own servers. What is computed is the number of points with
whole coordinates in circles: Gauss' circle problem.
"""

from __future__ import annotations

import argparse
from math import isqrt, pi

import joblib

import hippodrome as ipp


def points_within(radius: int) -> int:
    """Return how many points with whole coordinates have a distance from 0 of up to *radius*."""
    return sum(2 * isqrt(radius**2 - x**2) + 1 for x in range(-radius, radius + 1))


def by_joblib(rc: ipp.Client, radii: range) -> list[int]:
    rc.load_balanced_view().register_joblib_backend()
    with joblib.parallel_config("ipyparallel"):
        return list(joblib.Parallel()(joblib.delayed(points_within)(radius) for radius in radii))


def by_dask(rc: ipp.Client, radii: range) -> list[int]:
    with rc.become_dask() as dask_client:
        found = dask_client.gather(dask_client.map(points_within, radii))
    rc.stop_dask()
    return list(found)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--circles", type=int, default=200)
    options.add_argument("--url-file", help="a client's connection file")
    given = options.parse_args()

    radii = range(1, given.circles + 1)
    with ipp.Client(given.url_file) as rc:
        rc.wait_for_engines()
        counts = {
            "joblib": by_joblib(rc, radii),
            "dask": by_dask(rc, radii),
            "the engines": rc.load_balanced_view().map_sync(points_within, radii),
        }
    for name, found in counts.items():
        print(f"{sum(found)} points in {len(found)} circles, counted by {name}")
    largest = counts["dask"][-1]
    print(f"{largest / radii[-1] ** 2:.4f} is about pi; off by {largest / radii[-1] ** 2 - pi:.1e}")


if __name__ == "__main__":
    main()
