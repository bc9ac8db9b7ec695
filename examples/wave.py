"""A vibrating membrane, each engine with a strip of it, neighbors exchanging their edges.

    ipcluster start -n 4
    python examples/wave.py --size 200 --steps 300

The wave equation in two dimensions with fixed edges, by the explicit scheme of second order.
Engines talk to their neighbors directly, over sockets of their own; the controller is not
involved. The result is compared with the same computation in one process.

Source:
    R. Courant, K. Friedrichs, H. Lewy, "Uber die partiellen Differenzengleichungen der
    mathematischen Physik", Mathematische Annalen 100 (1928), 32-74: the time step must not exceed
    the distance of the points divided by the speed and the square root of two.
"""

from __future__ import annotations

import argparse

import numpy as np

import hippodrome as ipp

COURANT = 0.5  # speed times time step over distance; stable up to 0.707


def bump(size: int) -> np.ndarray:
    """Return the membrane at the start, an array of (size, size): a bump off the center."""
    x = np.linspace(0.0, 1.0, size)
    return np.exp(-100 * ((x[:, None] - 0.3) ** 2 + (x[None, :] - 0.6) ** 2))


def advance(now: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Return the inner points one step later; outer points are what neighbors, or walls, say."""
    laplacian = (
        now[:-2, 1:-1] + now[2:, 1:-1] + now[1:-1, :-2] + now[1:-1, 2:] - 4 * now[1:-1, 1:-1]
    )
    return 2 * now[1:-1, 1:-1] - before[1:-1, 1:-1] + COURANT**2 * laplacian


def alone(size: int, steps: int) -> np.ndarray:
    """Return the membrane after *steps*, computed in one process."""
    now = np.pad(bump(size), 1)
    before = now.copy()
    for _ in range(steps):
        later = np.zeros_like(now)
        later[1:-1, 1:-1] = advance(now, before)
        now, before = later, now
    return now[1:-1, 1:-1]


def listen() -> str:
    """On an engine: open a socket for the neighbor above; returns its address."""
    import zmq

    global above
    above = zmq.Context.instance().socket(zmq.PAIR)
    port = above.bind_to_random_port("tcp://127.0.0.1")
    return f"tcp://127.0.0.1:{port}"


def connect(address: str) -> None:
    """On an engine: connect to the neighbor below."""
    import zmq

    global below
    below = zmq.Context.instance().socket(zmq.PAIR)
    below.connect(address)


def vibrate(strip: np.ndarray, steps: int, is_first: bool, is_last: bool) -> np.ndarray:
    """On an engine: return its strip after *steps*.

    Args:
        strip: rows of the membrane, an array of (rows, size).
        steps: how many.
        is_first: whether there is no neighbor above.
        is_last: whether there is none below.
    """
    now = np.pad(strip, 1)
    before = now.copy()
    for _ in range(steps):
        if not is_first:
            above.send(now[1].tobytes())
        if not is_last:
            below.send(now[-2].tobytes())
            now[-1] = np.frombuffer(below.recv())
        if not is_first:
            now[0] = np.frombuffer(above.recv())
        later = np.zeros_like(now)
        later[1:-1, 1:-1] = advance(now, before)
        now, before = later, now
    return now[1:-1, 1:-1]


def together(rc: ipp.Client, size: int, steps: int) -> np.ndarray:
    """Return the membrane after *steps*, computed on all engines."""
    view = rc[:]
    n = len(view)
    addresses = view.apply_sync(listen)
    for engine in range(n - 1):
        view.client[rc.ids[engine]].apply_sync(connect, addresses[engine + 1])
    strips = np.array_split(bump(size), n)
    parts = [
        rc[engine].apply_async(vibrate, strip, steps, i == 0, i == n - 1)
        for i, (engine, strip) in enumerate(zip(rc.ids, strips, strict=True))
    ]
    return np.concatenate([part.get() for part in parts])


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--size", type=int, default=200, help="points in each direction")
    options.add_argument("--steps", type=int, default=300)
    options.add_argument("--url-file", help="a client's connection file")
    given = options.parse_args()

    with ipp.Client(given.url_file) as rc:
        rc.wait_for_engines()
        found = together(rc, given.size, given.steps)
        difference = np.abs(found - alone(given.size, given.steps)).max()
        print(f"{given.size} x {given.size} points, {given.steps} steps on {len(rc)} engines")
        print(f"the highest point is {found.max():.4f}")
        print(f"largest difference to one process: {difference:.1e}")


if __name__ == "__main__":
    main()
