"""The report of a scheduler over HTTP: as JSON, and as a page that updates itself."""

from __future__ import annotations

from functools import cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import dask.config
from distributed.http.utils import RequestHandler

from leandask import _compat
from leandask._csp import hash_of
from leandask.serving.collectors import with_ours

if TYPE_CHECKING:
    from distributed import Scheduler
    from distributed.system_monitor import SystemMonitor

#: The report is served only with one of these routes, as it shows more than they do.
ROUTES = ("distributed.http.scheduler.info", "distributed.http.scheduler.json")
#: Path of the page, below the prefix of the scheduler's HTTP server.
PATH = "leandask"
#: Memory samples in the JSON: five minutes.
RSS_SAMPLES = 600
#: Files of the page.
FOLDER = Path(__file__).with_name("reportpage")
#: Parts of its script, in the order in which they run.
SCRIPTS = ("formats", "elements", "chart", "tables", "report", "updates")


class _Handler(RequestHandler):
    """Answers GET and HEAD; other methods are refused."""

    server: Scheduler

    def set_default_headers(self) -> None:
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Content-Type-Options", "nosniff")

    def compute_etag(self) -> None:
        """Return no ETag: browsers must not store the response."""


class ReportHandler(_Handler):
    """Answers with the report and the last memory samples, as JSON."""

    def get(self) -> None:
        samples = rss_samples(self.server.monitor)
        report = self.server.extensions["leandask"].report()
        self.finish({**report, "rss_samples": samples})

    head = get


class PageHandler(_Handler):
    """Answers with the page, whose script fetches the report every two seconds."""

    def get(self) -> None:
        page, policy = read_page()
        self.set_header("Content-Security-Policy", policy)
        self.set_header("Referrer-Policy", "same-origin")
        self.finish(page)

    head = get


class SlashHandler(_Handler):
    """Leads from the page's path with a slash to the page, as people write both."""

    def get(self) -> None:
        self.redirect(f"../{PATH}")  # relative, as a proxy may add a prefix

    head = get


def add_routes(scheduler: Scheduler) -> None:
    """Add the report of a scheduler to its HTTP server and to its metrics.

    If the user's ``distributed.scheduler.http.routes`` have neither upstream's pages
    nor its JSON, it is added to the metrics only.
    """
    _compat.replace_collectors(with_ours)
    if not set(ROUTES) & set(dask.config.get("distributed.scheduler.http.routes")):
        return
    prefix = _compat.get_http_prefix(scheduler)
    server = {"dask_server": scheduler}
    routes = [
        (f"{prefix}{PATH}", PageHandler, server),
        (f"{prefix}{PATH}/", SlashHandler, server),
        (rf"{prefix}{PATH}\.json", ReportHandler, server),
    ]
    # They come before the routes of the dashboard, which match any name.
    scheduler.http_application.add_handlers(r".*", routes)
    link_page(scheduler)


def link_page(scheduler: Scheduler) -> None:
    """Add the page to the menu of the dashboard, if there is one."""
    _compat.add_to_menu(scheduler, PATH)


def rss_samples(monitor: SystemMonitor) -> list[tuple[float, float]]:
    """Return the last memory samples of a system monitor, the oldest first.

    Each has a time in seconds since the epoch and the RSS in bytes.

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
    """Assemble the page; return it and its header ``Content-Security-Policy``.

    The policy allows only the style and the script that are in the page.
    """
    style = _read("style.css")
    script = "".join(_read(f"{name}.js") for name in SCRIPTS)
    page = _read("page.html").replace("{style}", style).replace("{script}", script)
    policy = {
        "default-src": "'none'",
        "script-src": hash_of(script),
        "style-src": hash_of(style),
        "img-src": "'self'",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'self'",
    }
    header = "; ".join(f"{name} {sources}" for name, sources in policy.items())
    return page.encode(), header


def _read(name: str) -> str:
    return FOLDER.joinpath(name).read_text("utf-8")
