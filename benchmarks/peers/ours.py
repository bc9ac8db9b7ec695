"""hippodrome itself, as users call it: everything that it does for them stays on."""

from __future__ import annotations

from types import MappingProxyType

from benchmarks.peers.base import Adapter
from benchmarks.peers.views import Views


class Hippodrome(Views, Adapter):
    name = "ours"
    imports = "from hippodrome import Client, Cluster"
    how = "Cluster(n), defaults; chunks by DirectView.map; dependencies by after="
    declines = MappingProxyType({})

    schedules_alone = True

    def start(self, n: int) -> None:
        import hippodrome as ipp

        self.cluster = ipp.Cluster(n=n)
        self.connect(self.cluster.start_and_connect_sync(), n)

    def stop(self) -> None:
        self.client.close()
        self.cluster.stop_cluster_sync()


ADAPTER = Hippodrome
