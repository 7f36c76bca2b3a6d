"""What leandask touches of `distributed` beyond its public interface, and why.

Everything here can move with an upstream release. Each name has a test in
``tests/test_upstream.py`` that fails by that name. Files named are `distributed`'s.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import distributed
from distributed.scheduler import WorkerStatusPlugin
from packaging.version import Version

if TYPE_CHECKING:
    from collections import deque

    from distributed import Scheduler
    from distributed.batched import BatchedSend
    from distributed.broker import Broker, Topic
    from distributed.diagnostics.plugin import SchedulerPlugin
    from distributed.utils import DequeHandler

#: Oldest supported release of `distributed`: the first with ``Scheduler._broker``.
OLDEST = "2024.8.0"


def check_version(version: str) -> None:
    """Raise ImportError if a release of `distributed` is not supported."""
    if Version(version) < Version(OLDEST):
        raise ImportError(f"leandask needs distributed >= {OLDEST}; got {version}")


check_version(distributed.__version__)


def get_broker(scheduler: Scheduler) -> Broker:
    """``Scheduler._broker`` (scheduler.py): holds the events of every topic."""
    return scheduler._broker


def set_broker(scheduler: Scheduler, broker: Broker) -> None:
    """``Scheduler._broker``: read anew at each use, so it can be replaced."""
    scheduler._broker = broker


def get_topics(broker: Broker) -> dict[str, Topic]:
    """``Broker._topics`` (broker.py): also read by the dashboard and cluster dumps."""
    return broker._topics


def set_topics(broker: Broker, topics: dict[str, Any]) -> None:
    """``Broker._topics``: a mapping whose ``__missing__`` makes a topic."""
    broker._topics = cast(Any, topics)


def get_log_handler(scheduler: Scheduler) -> DequeHandler:
    """``ServerNode._deque_handler`` (node.py): the log lines behind ``get_logs``."""
    return scheduler._deque_handler


def set_log_handler(scheduler: Scheduler, handler: DequeHandler) -> None:
    """``ServerNode._deque_handler``: read anew at each ``get_logs``."""
    scheduler._deque_handler = handler


def get_message_log(stream: BatchedSend) -> deque[Any]:
    """``BatchedSend.recent_message_log`` (batched.py): written, never read."""
    return stream.recent_message_log


def set_message_log(stream: BatchedSend, log: deque[Any]) -> None:
    """``BatchedSend.recent_message_log``: looked up anew at each batch."""
    stream.recent_message_log = log


def get_status_stream(plugin: SchedulerPlugin) -> BatchedSend | None:
    """``WorkerStatusPlugin.bcomm`` (scheduler.py): the stream to a cluster manager."""
    return plugin.bcomm if isinstance(plugin, WorkerStatusPlugin) else None


@contextmanager
def scheduler_factory(factory: Callable[..., Scheduler]) -> Iterator[None]:
    """Have the command ``dask scheduler`` start what `factory` makes.

    ``cli.dask_scheduler.Scheduler``: the command looks its class up in its module, and
    takes no other way to be told.
    """
    import distributed.cli.dask_scheduler as command  # of use to our command only

    module: Any = command
    original = module.Scheduler
    module.Scheduler = factory
    try:
        with warnings.catch_warnings():
            # Before 2026.6 any command whose name ends so is told to be deprecated.
            warnings.filterwarnings("ignore", "dask-scheduler is deprecated")
            yield
    finally:
        module.Scheduler = original
