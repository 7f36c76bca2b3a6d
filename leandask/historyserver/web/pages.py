"""Pages: what a browser shows of the runs, from templates and the API."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tornado.iostream import StreamClosedError

from leandask._versions import needs
from leandask.historyserver.index.query import PARAMETERS, STATES, shown
from leandask.historyserver.runpage.jobs import JobError, Question
from leandask.historyserver.web.api import PARTS, ApiHandler, runs_page
from leandask.historyserver.web.doors import Handler, Refused, Site
from leandask.reading.words import duration, memory, number
from leandask.records.text import one_line

#: Files of the pages.
FOLDER = Path(__file__).parents[1] / "sitepages"
#: Parts of the script, in the order in which they run.
SCRIPTS = ("elements", "charts", "overview", "tables", "records", "pages")
#: Parts of a run's page, as its links name them.
VIEWS = ("overview", "tasks", "errors", "workers", "events", "story")
#: Those that are pages of their own, in a frame without rights.
FRAMES = ("timeline", "report")
#: Columns of the list: what they are sorted by, and their heading.
COLUMNS = {
    "name": "Run",
    "started": "Start",
    "ended": "End",
    "duration": "Duration",
    "state": "State",
    "tasks": "Finished",
    "erred": "Erred",
    "workers_max": "Workers",
    "workers_lost": "Lost",
    "rss_peak": "Peak RSS",
    "dropped": "Dropped",
    "versions": "Versions",
}
_TEXT_LENGTH = 1000
#: The timeline has its own policy. This adds that it is nothing but a picture here: it
#: has no access to this site, even if a text of a log should get to run in it.
_SANDBOX = "sandbox allow-scripts; frame-ancestors 'self'"


def make_environment() -> Any:
    """Return the templates, which escape all texts.

    Raises
    ------
    ImportError
        If jinja2 is not installed.
    """
    with needs("the history", "jinja2"):
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Callable[..., str]] = {
        "number": lambda n: "-" if n is None else number(n),
        "time": lambda text: "-" if text is None else text[:19].replace("T", " "),
        "seconds": lambda s: "-" if s is None else duration(max(round(s * 1000), 0)),
        "memory": lambda rss, limit=None: "-" if rss is None else memory(rss, limit),
    }
    environment.filters |= filters
    return environment


class PageHandler(ApiHandler):
    """What all pages share."""

    def show(self, template: str, **values: Any) -> None:
        """Finish with a page."""
        page = self.site.environment.get_template(template).render(
            base=self.base, version=_version(), **values
        )
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.finish(page.encode("utf-8", "backslashreplace"))

    def problem(self, status: int, text: str) -> None:
        """Finish with an error."""
        self.set_status(status)
        self.show("problem.html", status=status, text=text)


class RunsPage(PageHandler):
    """The list of runs."""

    def get(self) -> None:
        """Answer."""
        found = runs_page(self)
        given = found["query"]

        def link(**changes: Any) -> str:
            query = {k: v for k, v in given.items() if k != "page"} | changes
            return "?" + urlencode(query, doseq=True)

        sort = given.get("sort", ["-started"])[-1]
        columns = []
        for name, heading in COLUMNS.items():
            # Again, it is turned around. Names begin with A, figures with the largest.
            first = name if name in ("name", "state") else f"-{name}"
            other = name if first != name else f"-{name}"
            to = other if sort == first else first
            is_by = sort.removeprefix("-") == name
            direction = "descending" if sort.startswith("-") else "ascending"
            columns.append((heading, link(sort=[to]), direction if is_by else "none"))
        first_page, last_page = found["page"] > 1, found["page"] >= found["pages"]
        self.show(
            "runs.html",
            **found,
            columns=columns,
            states=STATES,
            one={name: given.get(name, [""])[-1] for name in PARAMETERS},
            state=given.get("state", []),
            label=given.get("label", []),
            newer=link(page=[found["page"] - 1]) if first_page else "",
            older="" if last_page else link(page=[found["page"] + 1]),
        )


class RunPage(PageHandler):
    """One run."""

    def get(self, run_id: str) -> None:
        """Answer."""
        views = VIEWS + FRAMES
        view = self.argument("view") or views[0]
        if view not in views:
            raise Refused(404, "A run has no such part")
        run = shown(self.run_of(run_id).run)
        self.show("run.html", run=run, views=views, frames=FRAMES, view=view)


class ComparePage(PageHandler):
    """Two runs side by side."""

    def get(self) -> None:
        """Answer: the two runs that were ticked in the list, the older one first."""
        ids = [self.argument("a"), self.argument("b")]
        ticked = self.arguments("run")
        if not all(ids):
            if len(ticked) != 2:
                raise Refused(400, "Tick two runs of the list to compare them")
            ids = ticked
        runs = [shown(self.run_of(each).run) for each in ids]
        if ticked:
            runs.sort(key=lambda run: run["started"] or "")
        self.show("compare.html", a=runs[0], b=runs[1])


class TimelinePage(ApiHandler):
    """The timeline of a run, or its performance report: for a frame, or as a file."""

    def initialize(self, site: Site, name: str = "timeline") -> None:
        """Take which of them it is."""
        super().initialize(site)
        self._name = name

    async def get(self, run_id: str) -> None:
        """Answer."""
        path = await self.ask(run_id, *PARTS[self._name])
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.set_header("Content-Security-Policy", _SANDBOX)
        if self.argument("download"):
            _name_file(self, f"{run_id}-{self._name}.html")
        await _send_file(self, path)


class LogFileHandler(ApiHandler):
    """The records of a run as a file of JSON lines."""

    async def get(self, run_id: str) -> None:
        """Answer."""
        question = self.question(run_id, "log", {})
        self.set_header("Content-Type", "application/x-ndjson")
        _name_file(self, f"{run_id}.jsonl")
        if self.request.method == "HEAD":
            return
        await self.wait(self._send(question))

    async def _send(self, question: Question) -> None:
        parts = self.site.jobs.download(question)
        try:
            async for part in parts:
                self.write(part)
                await self.flush()  # waits for its reader
        except StreamClosedError:
            pass
        except JobError:
            if not self._headers_written:
                raise
            # It is cut off, so that nobody takes it for the whole log.
            self.detach().close()
        finally:
            await parts.aclose()


class StaticHandler(Handler):
    """The script and the style of the pages."""

    def get(self, name: str) -> None:
        """Answer."""
        kind, content = static()[name]
        self.set_header("Content-Type", f"{kind}; charset=utf-8")
        if self.get_query_argument("v", "") == _version():
            self.set_header("Cache-Control", "private, max-age=31536000, immutable")
        self.finish(content)


class HealthHandler(Handler):
    """Tells a probe that the server answers. It needs no password."""

    def prepare(self) -> None:
        """Let everyone in."""

    def get(self) -> None:
        """Answer."""
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish("ok")


@cache
def static() -> dict[str, tuple[str, bytes]]:
    """Return the content of each static file, with its type, by its name."""
    parts = "\n".join(_read(f"{name}.js") for name in SCRIPTS)
    # In a function: a name of the script must not be taken for one of the browser's.
    script = f'"use strict";\n(() => {{\n{parts}}})();\n'
    return {
        "history.js": ("text/javascript", script.encode()),
        "style.css": ("text/css", _read("style.css").encode()),
    }


@cache
def _version() -> str:
    """Return what changes with the static files."""
    content = b"".join(part for _, part in static().values())
    return hashlib.sha256(content).hexdigest()[:16]


def _shown(value: Any) -> Any:
    """Show control characters of a text as escapes."""
    return one_line(value, _TEXT_LENGTH) if type(value) is str else value


def _read(name: str) -> str:
    return FOLDER.joinpath(name).read_text("utf-8")


def _name_file(handler: Handler, name: str) -> None:
    # Ids have no other characters, whatever a log says.
    handler.set_header("Content-Disposition", f'attachment; filename="{name}"')


async def _send_file(handler: Handler, path: Path) -> None:
    try:
        with path.open("rb") as file:
            while part := file.read(2**18):
                handler.write(part)
                await handler.flush()
    except FileNotFoundError:
        raise Refused(503, "Try again") from None
    except StreamClosedError:
        pass
