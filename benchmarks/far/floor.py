"""The floor of data between hosts: `benchmarks.far.relay`, started anew for each transfer."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from benchmarks.far.farm import CLIENT, CONTROLLER, Farm
from benchmarks.far.relay import new_keys
from benchmarks.session import ROOT


def transfer_s(farm: Farm, from_: str, to: Sequence[str], n_bytes: int) -> float:
    """Return how long bytes take from a host, by the controller's, to each of some others."""
    order = {"keys": new_keys(), "n_bytes": n_bytes, "address": farm.hosts.address(CONTROLLER)}
    with ExitStack() as stack:
        programs = [_program(farm, stack, CONTROLLER, "relay", order)]
        programs += [_program(farm, stack, host, "receiver", order) for host in to]
        programs.append(_program(farm, stack, from_, "sender", order))
        programs[-1].stdin.write("\n")
        programs[-1].stdin.flush()
        return float(programs[-1].stdout.readline())


def push_pull(farm: Farm, n_bytes: int) -> dict[str, float]:
    engine = farm.engine_hosts[0]
    push_s = transfer_s(farm, CLIENT, [engine], n_bytes)
    pull_s = transfer_s(farm, engine, [CLIENT], n_bytes)
    return {"push_mb_per_s": n_bytes / push_s / 1e6, "pull_mb_per_s": n_bytes / pull_s / 1e6}


def broadcast(farm: Farm, n_bytes: int) -> dict[str, float]:
    """Once to each of two hosts: an engine beside another maps what came."""
    return {"seconds": transfer_s(farm, CLIENT, farm.engine_hosts[:2], n_bytes)}


def _program(farm: Farm, stack: ExitStack, host: str, role: str, order: dict[str, Any]) -> Any:
    """Start a part, and wait until it is ready."""
    program = farm.hosts.popen(
        host,
        [sys.executable, "-m", "benchmarks.far.relay", role],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    stack.enter_context(program)
    stack.callback(program.kill)
    program.stdin.write(json.dumps(order) + "\n")
    program.stdin.flush()
    assert program.stdout.readline(), f"the floor's {role} ended"
    return program
