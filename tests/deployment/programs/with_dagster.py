"""A job of dagster on a LocalCluster with the preload."""

from __future__ import annotations

from dagster import DagsterInstance, execute_job, job, op, reconstructable
from dagster_dask import dask_executor
from distributed import get_client


@op
def look():
    """Check the bound of events of the scheduler that runs this op."""
    bound = get_client().run_on_scheduler(
        lambda dask_scheduler: dask_scheduler.retention.events
    )
    assert bound == 7, bound


@job(executor_def=dask_executor)
def job_of_a_user():
    """Run the op."""
    look()


LOCAL = {
    "n_workers": 1,
    "dashboard_address": "127.0.0.1:0",
    "scheduler_kwargs": {"preload": "leandask.preload"},
}

if __name__ == "__main__":
    with DagsterInstance.get() as instance:
        done = execute_job(
            reconstructable(job_of_a_user),
            instance=instance,
            run_config={"execution": {"config": {"cluster": {"local": LOCAL}}}},
        )
        assert done.success
