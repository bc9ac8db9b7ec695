"""ipyparallel."""

from __future__ import annotations

import logging

from benchmarks.peers.base import NOT_A_SCHEDULER, Adapter
from benchmarks.peers.views import Views

START_TIMEOUT_S = 180


class Ipyparallel(Views, Adapter):
    name = "ipyparallel"
    requirements = ("ipyparallel>=9.0", "numpy>=1.26")
    imports = "from ipyparallel import Client, Cluster"
    how = "Cluster(n), defaults; chunks by DirectView.map; dependencies by after="
    declines = NOT_A_SCHEDULER

    def start(self, n: int) -> None:
        import ipyparallel as ipp

        self.cluster = ipp.Cluster(n=n, log_level=logging.ERROR)
        client = self.cluster.start_and_connect_sync(activate=False)
        client.wait_for_engines(n, timeout=START_TIMEOUT_S)
        self.connect(client, n)

    def stop(self) -> None:
        self.client.close()
        self.cluster.stop_cluster_sync()


ADAPTER = Ipyparallel
