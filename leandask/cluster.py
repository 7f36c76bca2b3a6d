"""LeanCluster, and LeanSpecMixin for cluster classes of other packages."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import distributed
from distributed import LocalCluster, SpecCluster
from distributed.utils import import_term

from leandask.scheduler import LeanScheduler
from leandask.settings.retention import Retention


class LeanSpecMixin(SpecCluster):
    """Makes a cluster class start a LeanScheduler instead of upstream's scheduler.

    Combine it with a subclass of :class:`distributed.SpecCluster` that runs its
    scheduler in this process, such as ``LocalCUDACluster`` or the classes of
    dask-jobqueue. The class attribute ``retention`` sets bounds.

    Raises
    ------
    TypeError
        If the class starts its scheduler in another process. Use ``leandask.preload``
        for such a class.

    Examples
    --------
    >>> class MyCluster(LocalCluster, LeanSpecMixin):
    ...     retention = {"events": 50}
    >>> options = {"processes": False, "dashboard_address": "127.0.0.1:0"}
    >>> with MyCluster(n_workers=0, **options) as cluster:
    ...     cluster.scheduler.retention.events
    50
    """

    #: Bounds of the histories. Omitted ones come from ``leandask.retention``.
    retention: Retention | Mapping[str, Any] | None = None

    _silence_logs: str | int | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._silence_logs = kwargs.get("silence_logs")
        super().__init__(*args, **kwargs)

    @property
    def scheduler_spec(self) -> dict[str, Any] | None:
        """Class and options of the scheduler."""
        return self._scheduler_spec

    # A property, because cluster classes set the spec at different times: they pass it
    # to SpecCluster, or a subclass makes it while the cluster starts.
    @scheduler_spec.setter
    def scheduler_spec(self, spec: dict[str, Any] | None) -> None:
        self._scheduler_spec = spec and lean_spec(
            spec, self.retention, self._silence_logs
        )

    async def _close(self) -> None:
        """Close as upstream does: its workers first, which are not lost then."""
        extensions = getattr(self.scheduler, "extensions", {})
        # Older releases close the scheduler always.
        is_last = getattr(self, "shutdown_scheduler", True)
        if is_last and "leandask" in extensions:
            extensions["leandask"].stream.is_stopping = True
        await super()._close()


class LeanCluster(LocalCluster, LeanSpecMixin):
    """A scheduler and workers on this machine, with a LeanScheduler.

    A drop-in for :class:`distributed.LocalCluster`.

    Parameters
    ----------
    *args, **kwargs
        As for :class:`distributed.LocalCluster`.
    retention : Retention, mapping or None, optional
        Bounds of the histories. Omitted ones come from ``leandask.retention``.

    Raises
    ------
    TypeError, ValueError
        If a bound is not valid. Nothing is started.

    Examples
    --------
    >>> from distributed import Client
    >>> options = {"processes": False, "dashboard_address": "127.0.0.1:0"}
    >>> with LeanCluster(n_workers=1, retention={"events": 50}, **options) as cluster:
    ...     with Client(cluster) as client:
    ...         client.submit(sum, [1, 2]).result()
    3
    """

    def __init__(
        self,
        *args: Any,
        retention: Retention | Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if retention is not None:
            self.retention = Retention.of(retention)
        super().__init__(*args, **kwargs)


def lean_spec(
    spec: dict[str, Any],
    retention: Retention | Mapping[str, Any] | None = None,
    silence_logs: str | int | None = None,
) -> dict[str, Any]:
    """Return a copy of a scheduler's spec with LeanScheduler as its class.

    An option ``retention`` that the spec already has stays, and so does
    ``silence_logs``. The latter is the same as for :class:`distributed.LocalCluster`.

    Raises
    ------
    TypeError
        If the class is neither upstream's scheduler nor a LeanScheduler.

    Examples
    --------
    >>> lean_spec({"cls": "distributed.Scheduler", "options": {"port": 0}})
    {'cls': <class 'leandask.scheduler.LeanScheduler'>, 'options': {'port': 0}}
    """
    cls = spec["cls"]
    if isinstance(cls, str):
        cls = import_term(cls)
    if cls is distributed.Scheduler:
        cls = LeanScheduler
    if not (isinstance(cls, type) and issubclass(cls, LeanScheduler)):
        raise TypeError(
            "scheduler's cls must be distributed.Scheduler or a LeanScheduler (for any "
            "other, add leandask.preload to distributed.scheduler.preload); "
            f"got {cls!r}"
        )
    options = dict(spec.get("options") or {})
    if retention is not None:
        options.setdefault("retention", retention)
    if silence_logs:
        if isinstance(silence_logs, str):  # as upstream does with its own lines
            silence_logs = getattr(logging, silence_logs.upper())
        options.setdefault("silence_logs", silence_logs)
    return {**spec, "cls": cls, "options": options}
