"""A cluster of dask-gateway: program.py <address> <address for TLS> <event log>."""

from __future__ import annotations

import sys
from pathlib import Path

from dask_gateway import BasicAuth, Gateway

from tests.helpers.processes import assert_lean

if __name__ == "__main__":
    address, proxy_address, log = sys.argv[1:]
    auth = BasicAuth("alice", password="secret")
    with (
        Gateway(address, proxy_address=proxy_address, auth=auth) as gateway,
        gateway.new_cluster() as cluster,
    ):
        cluster.scale(1)
        with cluster.get_client() as client:
            assert_lean(client, Path(log), workers=1)
            assert client.run_on_scheduler(
                lambda dask_scheduler: (
                    type(dask_scheduler).__name__ == "LeanScheduler"
                    and dask_scheduler.address.startswith("tls://127.0.0.1")
                )
            )
