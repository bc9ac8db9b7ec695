"""A graph of tasks, each of which starts after those that it depends on.

    ipcluster start -n 4
    python examples/task_graph.py --nodes 24 --png graph.png

The graph is made with networkx. Dependencies are held by the scheduler: all tasks are submitted at
once. With --png it is drawn with matplotlib, each node colored by the time at which it started.
"""

from __future__ import annotations

import argparse
import random
import time

import networkx as nx

import hippodrome as ipp


def random_dag(n_nodes: int, n_edges: int, seed: int = 0) -> nx.DiGraph:
    """Return a directed graph without cycles: edges lead from lower to higher numbers only."""
    rng = random.Random(seed)
    graph = nx.DiGraph()
    graph.add_nodes_from(range(n_nodes))
    pairs = [(a, b) for b in range(n_nodes) for a in range(b)]
    graph.add_edges_from(rng.sample(pairs, min(n_edges, len(pairs))))
    return graph


def work(seconds: float) -> float:
    """Take some time."""
    time.sleep(seconds)
    return seconds


def submit(view: ipp.LoadBalancedView, graph: nx.DiGraph) -> dict[int, ipp.AsyncResult]:
    """Submit a task for each node; returns the results by node."""
    results: dict[int, ipp.AsyncResult] = {}
    for node in nx.topological_sort(graph):
        after = [results[before] for before in graph.predecessors(node)]
        with view.temp_flags(after=after, label=f"node {node}"):
            results[node] = view.apply_async(work, random.Random(node).uniform(0.0, 0.05))
    return results


def check_order(graph: nx.DiGraph, results: dict[int, ipp.AsyncResult]) -> None:
    """Assert that nothing started before what it depends on had ended."""
    for before, node in graph.edges:
        assert results[before].metadata.completed <= results[node].metadata.started


def draw(graph: nx.DiGraph, results: dict[int, ipp.AsyncResult], path: str) -> None:
    """Draw the graph, colored by starting times, into a file."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    first = min(result.metadata.started for result in results.values())
    started_s = {n: (r.metadata.started - first).total_seconds() for n, r in results.items()}
    for layer, nodes in enumerate(nx.topological_generations(graph)):
        for node in nodes:
            graph.nodes[node]["layer"] = layer
    places = nx.multipartite_layout(graph, subset_key="layer")
    colors = [started_s[node] for node in graph]
    nx.draw(graph, places, node_color=colors, with_labels=True, cmap="viridis")
    plt.savefig(path)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--nodes", type=int, default=32)
    options.add_argument("--edges", type=int, default=96)
    options.add_argument("--png", help="draw the graph into this file")
    options.add_argument("--url-file", help="a client's connection file")
    given = options.parse_args()

    graph = random_dag(given.nodes, given.edges)
    with ipp.Client(given.url_file) as rc:
        rc.wait_for_engines()
        results = submit(rc.load_balanced_view(), graph)
        rc.wait(results.values())
        check_order(graph, results)
        n = {r.metadata.engine_id for r in results.values()}
        print(f"{len(graph)} tasks with {graph.number_of_edges()} dependencies on {len(n)} engines")
        if given.png:
            draw(graph, results, given.png)


if __name__ == "__main__":
    main()
