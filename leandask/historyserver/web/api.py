"""API: the runs and what is known of each, as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tornado.web import HTTPError

from leandask.historyserver.index.query import FoundRun, Query, find_run, shown
from leandask.historyserver.runpage.jobs import Question
from leandask.historyserver.runpage.sections import section
from leandask.historyserver.web.doors import Handler, Refused, Site
from leandask.reading.filter import Filter
from leandask.records.text import one_line

#: Rows of an answer that are not asked for otherwise, and the most.
ROWS, MOST_ROWS = 100, 1000
#: Filters of the events, as ``Filter`` has them.
FILTERS = ("topic", "action", "event_name", "worker", "client", "stimulus_id")
BOUNDS = ("level", "since", "until")
#: The question of each part of a run's page.
PARTS: dict[str, tuple[str, dict[str, Any]]] = {
    "overview": ("overview", {}),
    **dict.fromkeys(("tasks", "errors", "workers"), ("tables", {})),
    "timeline": ("timeline", {"is_report": False}),
    "report": ("timeline", {"is_report": True}),
}


class ApiHandler(Handler):
    """What the handlers of the API share."""

    def run_of(self, run_id: str) -> FoundRun:
        """Return a run, or end with 404."""
        if (found := find_run(self.site.index, run_id)) is None:
            raise Refused(404, "There is no such run")
        return found

    def argument(self, name: str) -> str:
        """Return the last value of a parameter, cut."""
        return (self.arguments(name) or [""])[-1]

    def arguments(self, name: str) -> list[str]:
        """Return the values of a parameter, cut.

        As they are: tornado's own methods remove what a key may have at its ends, and
        control characters.
        """
        values = self.request.query_arguments.get(name, [])
        return [value.decode("utf-8", "replace")[:1000] for value in values]

    def number(self, name: str, default: int, most: int) -> int:
        """Return a parameter that is a number from 0, or end with 400."""
        text = self.argument(name) or str(default)
        if not (text.isascii() and text.isdigit() and int(text) <= most):
            raise Refused(400, f"{name} must be a number up to {most}")
        return int(text)

    def question(self, run_id: str, kind: str, options: dict[str, Any]) -> Question:
        """Return a question about a run, or end with 404."""
        run, signature, nbytes = self.run_of(run_id)
        place, scheduler_id = run["place"], run["scheduler_id"]
        return Question(kind, place, scheduler_id, signature, nbytes, options)

    async def ask(self, run_id: str, kind: str, options: dict[str, Any]) -> Path:
        """Return the file of an answer about a run."""
        question = self.question(run_id, kind, options)
        return await self.wait(self.site.jobs.answer(question))

    def finish_json(self, path: Path) -> None:
        """Finish with a file of JSON."""
        try:
            content = path.read_bytes()
        except FileNotFoundError:  # removed for other answers
            raise Refused(503, "Try again") from None
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.finish(content)

    async def section(self, run_id: str, name: str) -> tuple[Any, bool]:
        """Return a section of what is known of a run, and whether it is up to date."""
        path = await self.ask(run_id, *PARTS[name])
        try:
            found = section(path, name)
            signature = self.run_of(run_id).signature
            return found, self.site.jobs.is_current(path, signature)
        except (OSError, ValueError, KeyError):  # removed for other answers
            raise Refused(503, "Try again") from None


class RunsHandler(ApiHandler):
    """Answers with the runs that match a query."""

    def get(self) -> None:
        """Answer."""
        self.finish(runs_page(self))


def runs_page(handler: Handler) -> dict[str, Any]:
    """Return a page of the list of runs, or end with 400."""
    arguments = handler.request.query_arguments
    given = {
        name: [value.decode("utf-8", "replace") for value in values]
        for name, values in arguments.items()
    }
    try:
        query = Query(given)
        runs, total = query.run(handler.site.index)
    except ValueError as e:
        raise Refused(400, str(e)) from None
    with handler.site.index.connected() as db:
        found = db.execute("SELECT path, error FROM places WHERE error != '' LIMIT 10")
        problems = [one_line(f"{row['path']}: {row['error']}", 500) for row in found]
    return {
        "runs": [shown(run) for run in runs],
        "total": total,
        "page": query.page,
        "per_page": query.per_page,
        "pages": max(-(-total // query.per_page), 1),
        "query": query.given,
        "problems": problems,
    }


class RunHandler(ApiHandler):
    """Answers with what the list has of one run."""

    def get(self, run_id: str) -> None:
        """Answer."""
        self.finish(shown(self.run_of(run_id).run))


class OverviewHandler(ApiHandler):
    """Answers with curves, memory pressure, verdict and configuration."""

    async def get(self, run_id: str) -> None:
        """Answer."""
        found, is_current = await self.section(run_id, "overview")
        self.finish(found | {"current": is_current})


class RowsHandler(ApiHandler):
    """Answers with a page of the rows of tasks, errors or workers."""

    def initialize(self, site: Site, rows: str = "") -> None:
        """Take the name of the rows."""
        super().initialize(site)
        self._name = rows

    async def get(self, run_id: str) -> None:
        """Answer."""
        limit = self.number("limit", ROWS, MOST_ROWS)
        offset = self.number("offset", 0, 10**9)
        rows, is_current = await self.section(run_id, self._name)
        found = rows[offset : offset + limit]
        counts = {"total": len(rows), "offset": offset, "current": is_current}
        self.finish({self._name: found} | counts)


class ProgressHandler(ApiHandler):
    """Answers with how much of a log was read for a part of a run's page."""

    def get(self, run_id: str) -> None:
        """Answer: null if that part is not being made."""
        if (part := self.argument("part")) not in PARTS:
            raise Refused(400, f"part must be one of {', '.join(PARTS)}")
        question = self.question(run_id, *PARTS[part])
        self.finish({"percent": self.site.jobs.percent(question)})


class EventsHandler(ApiHandler):
    """Answers with the last records that match some filters, the newest first."""

    async def get(self, run_id: str) -> None:
        """Answer."""
        options: dict[str, Any] = {}
        for name in FILTERS:
            if values := [v for v in self.arguments(name) if v][:20]:
                options[name] = values
        options |= {n: value for n in BOUNDS if (value := self.argument(n))}
        try:
            # A time such as "15 minutes" is from now, not from when it is kept.
            given = Filter(**options).as_dict()
        except (TypeError, ValueError) as e:
            raise Refused(400, str(e)) from None
        given["limit"] = max(self.number("limit", ROWS, MOST_ROWS), 1)
        if before := self.number("before", 0, 2**53):
            given["before"] = before
        path = await self.ask(run_id, "events", given)
        self.finish_json(path)


class StoryHandler(ApiHandler):
    """Answers with what happened to a task."""

    async def get(self, run_id: str) -> None:
        """Answer."""
        if not (key := self.argument("key")):
            raise Refused(400, "key must be the key of a task")
        path = await self.ask(run_id, "story", {"key": key})
        self.finish_json(path)


class CompareHandler(ApiHandler):
    """Answers with two runs side by side, by prefix."""

    async def get(self) -> None:
        """Answer."""
        ids = self.argument("a"), self.argument("b")
        runs = [shown(self.run_of(run_id).run) for run_id in ids]
        tables = []
        for run_id in ids:
            rows, _ = await self.section(run_id, "tasks")
            tables.append({row["prefix"]: figures_of(row) for row in rows})
        nothing = {"seconds": 0.0}
        # What took longest in one of them comes first.
        longest = {
            prefix: max(table.get(prefix, nothing)["seconds"] for table in tables)
            for prefix in sorted({*tables[0], *tables[1]})
        }
        prefixes = sorted(longest, key=longest.__getitem__, reverse=True)
        found = [
            {"prefix": prefix, "a": tables[0].get(prefix), "b": tables[1].get(prefix)}
            for prefix in prefixes
        ]
        totals = [
            {name: sum(row[name] for row in table.values()) for name in FIGURES}
            for table in tables
        ]
        a, b = (
            {"run": run, "total": total}
            for run, total in zip(runs, totals, strict=True)
        )
        self.finish({"a": a, "b": b, "prefixes": found})


#: Figures of a prefix that are compared.
FIGURES = ("count", "erred", "seconds", "nbytes")


def figures_of(row: dict[str, Any]) -> dict[str, Any]:
    """Return the figures of a prefix that are compared."""
    seconds = (row.get("compute_seconds") or {}).get("total", 0.0)
    counts = {name: row.get(name) or 0 for name in ("count", "erred", "nbytes")}
    return counts | {"seconds": seconds}


class DescriptionHandler(ApiHandler):
    """Answers with the description of this API, in OpenAPI."""

    def get(self) -> None:
        """Answer."""
        path = Path(__file__).parents[1] / "sitepages" / "openapi.json"
        described = json.loads(path.read_text("utf-8"))
        described["servers"] = [{"url": self.base or "/"}]
        self.finish(described)


class UnknownHandler(Handler):
    """Answers to all other paths."""

    def get(self, *args: str) -> None:
        """Answer."""
        raise Refused(404, "There is no such page")

    def post(self, *args: str) -> None:
        """Refuse to change anything."""
        raise HTTPError(405)

    put = delete = patch = options = post
