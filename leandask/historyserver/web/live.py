"""Live: a run as it goes on, as server-sent events."""

from __future__ import annotations

import asyncio
import json

from tornado.iostream import StreamClosedError

from leandask.historyserver.index.query import FoundRun, find_run, shown
from leandask.historyserver.web.api import ApiHandler
from leandask.historyserver.web.doors import Refused

#: Readers that may follow runs, and seconds between two looks for each.
FOLLOWERS, INTERVAL = 100, 0.7
#: Looks without a change after which a line tells a proxy that it is still there.
SILENT = 20


class LiveHandler(ApiHandler):
    """Sends a run each time that it changes, until it ends: server-sent events."""

    _left = False

    async def get(self, run_id: str) -> None:
        """Answer, until the reader leaves."""
        self.run_of(run_id)
        if self.site.followers >= FOLLOWERS:
            raise Refused(503, "too many readers follow runs")
        self.set_header("Content-Type", "text/event-stream")
        self.set_header("X-Accel-Buffering", "no")  # a proxy must not wait for more
        if self.request.method == "HEAD":
            return
        self.site.followers += 1
        try:
            await self._follow(run_id)
        except (StreamClosedError, asyncio.CancelledError):
            pass  # the reader has left, or the server ends
        finally:
            self.site.followers -= 1

    async def _follow(self, run_id: str) -> None:
        last: FoundRun | None = None
        silent = 0
        while not self._left:
            found = await asyncio.to_thread(find_run, self.site.index, run_id)
            if found is None:
                break
            silent += 1
            if found != last:
                last, silent = found, 0
                text = json.dumps(shown(found.run))
                self.write(f"event: run\ndata: {text}\n\n")
            elif silent % SILENT == 0:
                self.write(": still here\n\n")
            await self.flush()
            if found.run["state"] != "running":
                break
            await asyncio.sleep(INTERVAL)
        if not self._left:
            self.write("event: end\ndata: {}\n\n")

    def on_connection_close(self) -> None:
        """Stop."""
        self._left = True
