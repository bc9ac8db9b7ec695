"""dask.distributed, over hosts."""

from __future__ import annotations

import os
from typing import Any

from benchmarks.peers.distributed import Distributed


class Far(Distributed):
    how = "dask scheduler, dask worker on each host; scatter and gather, direct to workers"

    def start(self, n: int) -> None:
        from distributed import Client
        from distributed.security import Security

        self.n = n
        url, *files = os.environ["FAR"].split()
        secured: dict[str, Any] = {}
        if files:
            certificate, key = files
            secured["security"] = Security(
                tls_ca_file=certificate,
                tls_client_cert=certificate,
                tls_client_key=key,
                require_encryption=True,
            )
        self.client = Client(url, **secured)
        self.client.wait_for_workers(n)
        self.one = next(iter(self.client.scheduler_info(n_workers=-1)["workers"]))
        self.scattered: Any = None

    def stop(self) -> None:
        self.scattered = None
        self.client.close()


ADAPTER = Far
