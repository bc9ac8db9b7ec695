"""hippodrome, over hosts."""

from __future__ import annotations

import os

from benchmarks.peers.ours import Hippodrome


class Far(Hippodrome):
    how = "ipcontroller --ip, ipengine on each host; push and pull of one engine's names"

    def start(self, n: int) -> None:
        import hippodrome as ipp

        client = ipp.Client(os.environ["FAR"])
        client.wait_for_engines(n, timeout=60)
        self.connect(client, n)

    def stop(self) -> None:
        self.client.close()


ADAPTER = Far
