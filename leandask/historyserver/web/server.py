"""Server: the pages of past and present runs, until it is stopped."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import ssl
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application

from leandask.historyserver.index.index import RUN_ID, Index, default_path
from leandask.historyserver.index.retention import Keep
from leandask.historyserver.runpage.jobs import Jobs
from leandask.historyserver.web import api, live, pages
from leandask.historyserver.web.doors import LOOPBACK, Site

#: Seconds between two looks for new records, and before an indexer that has ended is
#: started again: twice as long each time, up to a minute.
INTERVAL, RESTART, LONGEST_RESTART = 1.0, 1.0, 60.0
_INDEXER = (sys.executable, "-m", "leandask.historyserver.index.process")


@dataclass
class Options:
    """What the command takes."""

    roots: list[str]
    host: str = "127.0.0.1"
    port: int = 18080
    index: Path | None = None
    prefix: str = ""
    password: bytes | None = None
    tls_cert: str | None = None
    tls_key: str | None = None
    proxies: frozenset[str] = frozenset()
    hosts: frozenset[str] = frozenset()
    keep: Keep = field(default_factory=Keep)
    interval: float = INTERVAL
    timeout: float | None = None

    @property
    def index_path(self) -> Path:
        """Where the index is."""
        return self.index or default_path(self.roots)

    @property
    def is_open(self) -> bool:
        """Whether others of the network can read the pages without a password."""
        return self.host not in LOOPBACK and self.password is None


def make_application(site: Site) -> Application:
    """Return all pages, below the prefix of a site and at the root."""
    one = rf"/runs/({RUN_ID})"
    shared = {"site": site}
    routes: list[tuple[str, Any, dict[str, Any]]] = [
        ("/", pages.RunsPage, shared),
        (one, pages.RunPage, shared),
        ("/compare", pages.ComparePage, shared),
        (rf"{one}/timeline", pages.TimelinePage, shared),
        (rf"{one}/report", pages.TimelinePage, shared | {"name": "report"}),
        (rf"{one}/log", pages.LogFileHandler, shared),
        (r"/static/(history\.js|style\.css)", pages.StaticHandler, shared),
        ("/health", pages.HealthHandler, shared),
        ("/api/v1/runs", api.RunsHandler, shared),
        (rf"/api/v1{one}", api.RunHandler, shared),
        (rf"/api/v1{one}/overview", api.OverviewHandler, shared),
        (rf"/api/v1{one}/progress", api.ProgressHandler, shared),
        (rf"/api/v1{one}/events", api.EventsHandler, shared),
        (rf"/api/v1{one}/story", api.StoryHandler, shared),
        (rf"/api/v1{one}/live", live.LiveHandler, shared),
        ("/api/v1/compare", api.CompareHandler, shared),
        (r"/api/v1/openapi\.json", api.DescriptionHandler, shared),
        *(
            (rf"/api/v1{one}/{rows}", api.RowsHandler, shared | {"rows": rows})
            for rows in ("tasks", "errors", "workers")
        ),
    ]
    # A proxy may leave the prefix in a path, or take it away.
    if site.prefix:
        routes.append((site.prefix, pages.RunsPage, shared))
    below = [(f"{site.prefix}{path}", *rest) for path, *rest in routes if site.prefix]
    return Application(
        [*below, *routes],
        default_handler_class=api.UnknownHandler,
        default_handler_args=shared,
        log_function=lambda handler: None,
    )


async def keep_index(options: Options) -> None:
    """Run the indexer, and start it again if it ends."""
    given = {
        "index": str(options.index_path),
        "roots": options.roots,
        "keep": [*options.keep],
        "interval": options.interval,
    }
    delay = RESTART
    while True:
        process = await asyncio.create_subprocess_exec(
            *_INDEXER, json.dumps(given), stdin=asyncio.subprocess.PIPE
        )
        try:
            code = await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        print(f"leandask: the indexer ended with {code}", file=sys.stderr, flush=True)
        await asyncio.sleep(delay)
        delay = min(2 * delay, LONGEST_RESTART)


async def serve(options: Options) -> None:
    """Serve until SIGINT or SIGTERM.

    Raises
    ------
    OSError
        If the port or a file can't be used.
    """
    index = Index(options.index_path)
    index.make()
    jobs = Jobs(Path(f"{options.index_path}.answers"))
    if options.timeout is not None:
        jobs.timeout = options.timeout
    hosts = options.hosts
    if not hosts and options.host in LOOPBACK and options.password is None:
        hosts = frozenset(LOOPBACK)
    site = Site(
        index=index,
        jobs=jobs,
        prefix=options.prefix,
        password=options.password,
        hosts=hosts,
        proxies=options.proxies,
        environment=pages.make_environment(),
    )
    tls = None
    if options.tls_cert is not None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(options.tls_cert, options.tls_key)
    server = HTTPServer(
        make_application(site),
        ssl_options=tls,
        max_body_size=2**16,
        max_header_size=2**16,
        idle_connection_timeout=120,
    )
    sockets = bind_sockets(options.port, options.host)
    server.add_sockets(sockets)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signum, stopped.set)
    port = sockets[0].getsockname()[1]
    host = f"[{options.host}]" if ":" in options.host else options.host
    scheme = "http" if tls is None else "https"
    print(
        f"leandask history at {scheme}://{host}:{port}{options.prefix}/",
        file=sys.stderr,
        flush=True,
    )
    indexing = asyncio.create_task(keep_index(options))
    try:
        await stopped.wait()
    finally:
        server.stop()
        await server.close_all_connections()
        indexing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await indexing
        await jobs.close()
