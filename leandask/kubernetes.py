"""lean_cluster_spec: a cluster for dask-kubernetes, with leandask-scheduler."""

from __future__ import annotations

from typing import Any


def lean_cluster_spec(*args: Any, **kwargs: Any) -> dict[str, Any]:
    """Return a ``DaskCluster`` whose scheduler is started by ``leandask-scheduler``.

    It is for ``KubeCluster(custom_cluster_spec=...)``, or for YAML and kubectl.

    Parameters
    ----------
    *args, **kwargs
        As for dask-kubernetes's ``make_cluster_spec``. The image has to have leandask.

    Returns
    -------
    dict

    Raises
    ------
    ImportError
        If dask-kubernetes is not installed.
    ValueError
        If the scheduler is started by a command that is not upstream's.

    Notes
    -----
    The workers' command has the default of dask-kubernetes, ``dask-worker``, which Dask
    has no longer since 2026.6: give ``worker_command="dask worker"`` for such an image.
    """
    try:
        from dask_kubernetes.operator import make_cluster_spec
    except ImportError as e:
        raise ImportError(
            "lean_cluster_spec needs dask-kubernetes: pip install dask-kubernetes"
        ) from e
    spec: dict[str, Any] = make_cluster_spec(*args, **kwargs)
    for container in spec["spec"]["scheduler"]["spec"]["containers"]:
        if container["name"] == "scheduler":
            container["args"] = lean_args(container["args"])
    return spec


def lean_args(args: list[str]) -> list[str]:
    """Return the arguments of a scheduler's container with our command.

    Parameters
    ----------
    args : list of str
        Upstream's command, and what follows it.

    Returns
    -------
    list of str
        Our command, and what follows it.

    Raises
    ------
    ValueError
        If the command is not upstream's.

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
