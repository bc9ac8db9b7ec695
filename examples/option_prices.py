"""Prices of European and Asian options by Monte Carlo, a grid of strikes and volatilities at once.

    ipcluster start -n 4
    python examples/option_prices.py --paths 20000

Each cell of the grid is a task. Prices are in the unit of the spot price; times are in years.

Source:
    P. Boyle, M. Broadie, P. Glasserman, "Monte Carlo methods for security pricing", Journal of
    Economic Dynamics and Control 21 (1997), 1267-1321.
"""

from __future__ import annotations

import argparse
from typing import NamedTuple

import numpy as np

import hippodrome as ipp

SPOT = 100.0
RATE = 0.05
DAYS = 260


class Prices(NamedTuple):
    """What one cell of the grid is worth."""

    european_call: float
    european_put: float
    asian_call: float
    asian_put: float


def price(strike: float, volatility: float, n_paths: int, seed: int) -> Prices:
    """Return the mean discounted payoff of each option over *n_paths* random paths of a year."""
    rng = np.random.default_rng(seed)
    step = 1.0 / DAYS
    drift = (RATE - volatility**2 / 2) * step
    moves = drift + volatility * np.sqrt(step) * rng.standard_normal((n_paths, DAYS))
    paths = SPOT * np.exp(np.cumsum(moves, axis=1))
    discount = np.exp(-RATE)
    last, mean = paths[:, -1], paths.mean(axis=1)
    payoffs = (last - strike, strike - last, mean - strike, strike - mean)
    return Prices(*(float(discount * np.maximum(payoff, 0.0).mean()) for payoff in payoffs))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--paths", type=int, default=20_000)
    options.add_argument("--cells", type=int, default=5, help="strikes, and volatilities")
    options.add_argument("--url-file", help="a client's connection file")
    given = options.parse_args()

    strikes = np.linspace(90.0, 110.0, given.cells)
    volatilities = np.linspace(0.1, 0.4, given.cells)
    grid = [(float(k), float(v)) for k in strikes for v in volatilities]
    with ipp.Client(given.url_file) as rc:
        rc.wait_for_engines()
        view = rc.load_balanced_view(retries=1)
        n = len(grid)
        found = view.map_async(price, *zip(*grid, strict=True), [given.paths] * n, range(n))
        print("strike  volatility  european call    put  asian call    put")
        for (strike, volatility), prices in zip(grid, found, strict=True):
            print(f"{strike:6.1f}  {volatility:10.3f}  ", end="")
            print("{:13.3f} {:6.3f} {:11.3f} {:6.3f}".format(*prices))
        print(f"{n} tasks, {found.serial_time:.2f} s of work in {found.wall_time:.2f} s")


if __name__ == "__main__":
    main()
