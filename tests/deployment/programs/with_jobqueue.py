"""Clusters of dask-jobqueue: program.py <class, name or mixin> <event log>."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import dask
from dask_jobqueue.local import LocalCluster
from distributed import Client

from leandask import LeanScheduler, LeanSpecMixin
from tests.helpers.processes import assert_lean, lean_settings


class LeanJobs(LocalCluster, LeanSpecMixin):
    """A subclass as a user writes it."""


WAYS = {
    "class": lambda **options: LocalCluster(scheduler_cls=LeanScheduler, **options),
    "name": lambda **options: LocalCluster(
        scheduler_cls="leandask.LeanScheduler", **options
    ),
    "mixin": lambda **options: LeanJobs(security=True, **options),
}

if __name__ == "__main__":
    way, log = sys.argv[1], Path(sys.argv[2])
    folder = os.getcwd()
    with (
        dask.config.set(lean_settings(log)),
        WAYS[way](
            cores=1,
            memory="500 MB",
            processes=1,
            n_workers=1,
            interface="lo",
            local_directory=folder,
            shared_temp_directory=folder,
            scheduler_options={"dashboard_address": "127.0.0.1:0"},
        ) as cluster,
        Client(cluster) as client,
    ):
        assert type(cluster.scheduler) is LeanScheduler
        protocol = "tls" if way == "mixin" else "tcp"
        assert cluster.scheduler_address.startswith(f"{protocol}://127.0.0.1")
        assert_lean(client, log, workers=1)
