"""lean_cluster_spec: a cluster for dask-kubernetes, with leandask-scheduler."""

from __future__ import annotations

from typing import Any

from leandask._versions import needs


def lean_cluster_spec(*args: Any, **kwargs: Any) -> dict[str, Any]:
    """Return a ``DaskCluster`` resource that starts ``leandask-scheduler``.

    It is for ``KubeCluster(custom_cluster_spec=...)``, or, as YAML, for kubectl.

    Parameters
    ----------
    *args, **kwargs
        As for ``make_cluster_spec`` of dask-kubernetes. leandask must be installed in
        the image.

    Returns
    -------
    dict

    Raises
    ------
    ImportError
        If dask-kubernetes is not installed.
    ValueError
        If the spec does not start the scheduler with a command of Dask.

    Notes
    -----
    The command of the workers is dask-kubernetes's default, ``dask-worker``. Dask
    removed that command in 2026.6: pass ``worker_command="dask worker"`` for an image
    with such a release.
    """
    with needs("lean_cluster_spec", "dask-kubernetes"):
        from dask_kubernetes.operator import make_cluster_spec
    spec: dict[str, Any] = make_cluster_spec(*args, **kwargs)
    for container in spec["spec"]["scheduler"]["spec"]["containers"]:
        if container["name"] == "scheduler":
            container["args"] = lean_args(container["args"])
    return spec


def lean_args(args: list[str]) -> list[str]:
    """Replace the command in the arguments of the scheduler's container.

    Raises
    ------
    ValueError
        If they do not start with a command of Dask.

    Examples
    --------
    >>> lean_args(["dask-scheduler", "--host", "0.0.0.0"])
    ['leandask-scheduler', '--host', '0.0.0.0']
    """
    for command in (["dask-scheduler"], ["dask", "scheduler"]):
        if args[: len(command)] == command:
            return ["leandask-scheduler", *args[len(command) :]]
    raise ValueError(
        "args of the scheduler must start with dask-scheduler, or with dask scheduler; "
        f"got {args!r}"
    )
