"""A flow of prefect on a LeanCluster."""

from __future__ import annotations

from distributed import get_client
from prefect import flow, task
from prefect_dask import DaskTaskRunner


@task
def bound():
    """Return the bound of events of the scheduler that runs this task."""
    return get_client().run_on_scheduler(
        lambda dask_scheduler: dask_scheduler.retention.events
    )


@flow(
    task_runner=DaskTaskRunner(
        cluster_class="leandask.LeanCluster",
        cluster_kwargs={
            "n_workers": 1,
            "threads_per_worker": 1,
            "dashboard_address": "127.0.0.1:0",
        },
    )
)
def look():
    """Run the task."""
    return bound.submit().result()


if __name__ == "__main__":
    assert look() == 7
