"""The report of a scheduler over HTTP: as JSON, and as a page that keeps itself new."""

from __future__ import annotations

from functools import cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask.config
from distributed.http.utils import RequestHandler

from leandask import _compat
from leandask._csp import hash_of

if TYPE_CHECKING:
    from distributed import Scheduler
    from distributed.system_monitor import SystemMonitor

#: Who closes these routes of upstream's closes the report too: it tells more.
ROUTES = ("distributed.http.scheduler.info", "distributed.http.scheduler.json")
#: Path of the page, below the prefix of the scheduler's HTTP server.
PATH = "leandask"
#: Samples of memory that the JSON has: five minutes.
RSS_SAMPLES = 600


class _Handler(RequestHandler):
    """Reads only: any other method than GET and HEAD is refused."""

    server: Scheduler

    def set_default_headers(self) -> None:
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Content-Type-Options", "nosniff")

    def compute_etag(self) -> None:
        """None: nothing is stored that could be compared."""


class ReportHandler(_Handler):
    """Answers with the report, and the last samples of memory."""

    def get(self) -> None:
        samples = rss_samples(self.server.monitor)
        report = self.server.extensions["leandask"].report()
        self.finish(report | {"rss_samples": samples})

    head = get


class PageHandler(_Handler):
    """Answers with the page, which fetches the report again and again."""

    def get(self) -> None:
        page, policy = read_page()
        self.set_header("Content-Security-Policy", policy)
        self.set_header("Referrer-Policy", "same-origin")
        self.finish(page)

    head = get


def add_routes(scheduler: Scheduler) -> None:
    """Serve the report of a scheduler where it serves its other pages and its metrics.

    Where the user's ``distributed.scheduler.http.routes`` have neither upstream's pages
    nor its JSON, the metrics alone have it.

    Parameters
    ----------
    scheduler : distributed.Scheduler
        A lean one, or one that is being made so.
    """
    _compat.add_collector(make_collector)
    if not set(ROUTES) & set(dask.config.get("distributed.scheduler.http.routes")):
        return
    below = _compat.get_http_prefix(scheduler)
    server = {"dask_server": scheduler}
    routes = [
        (f"{below}{PATH}", PageHandler, server),
        (rf"{below}{PATH}\.json", ReportHandler, server),
    ]
    # Before the dashboard's: any page's name could be one of its pages.
    scheduler.http_application.add_handlers(r".*", routes)
    link_page(scheduler)


def make_collector(scheduler: Scheduler) -> Any:
    """Make what has the report among the metrics, once somebody asks for these.

    Parameters
    ----------
    scheduler : distributed.Scheduler

    Returns
    -------
    LeanCollector
    """
    from leandask.serving.metrics import LeanCollector

    return LeanCollector(scheduler)


def link_page(scheduler: Scheduler) -> None:
    """Have the menu of the dashboard lead to the page, if the dashboard is there.

    Parameters
    ----------
    scheduler : distributed.Scheduler
    """
    _compat.add_to_menu(scheduler, PATH)


def rss_samples(monitor: SystemMonitor) -> list[tuple[float, float]]:
    """Return the last samples of memory that a system monitor took.

    Parameters
    ----------
    monitor : distributed.system_monitor.SystemMonitor

    Returns
    -------
    list of tuple
        Seconds since the epoch and RSS in bytes, the oldest first.

    Examples
    --------
    >>> from distributed.system_monitor import SystemMonitor
    >>> [(timestamp, rss)] = rss_samples(SystemMonitor())
    >>> rss > 2**20
    True
    """
    series = monitor.quantities["time"], monitor.quantities["memory"]
    times, rss = (list(islice(reversed(s), RSS_SAMPLES)) for s in series)
    return [
        (round(t, 3), nbytes)
        for t, nbytes in zip(reversed(times), reversed(rss), strict=True)
    ]


@cache
def read_page() -> tuple[bytes, str]:
    """Return the page, and the policy that lets a browser run what is in it only.

    Returns
    -------
    tuple
        Bytes, and the value of the header ``Content-Security-Policy``.
    """
    page = Path(__file__).with_name("report.html").read_bytes()
    text = page.decode()
    style, script = (hash_of(text, tag) for tag in ("style", "script"))
    policy = {
        "default-src": "'none'",
        "script-src": script,
        "style-src": style,
        "img-src": "'self'",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'self'",
    }
    return page, "; ".join(f"{name} {source}" for name, source in policy.items())
