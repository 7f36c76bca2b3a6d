"""A history server for tests: a process of its own."""

from __future__ import annotations

import contextlib
import json
import re
import urllib.error
import urllib.request

from tests.helpers.processes import PYTHON, Process, wait_for


class Server(Process):
    """``leandask history``, at a port that the system picks."""

    def __init__(self, folder, *args, name="history"):
        self.index = folder / f"{name}-index" / "runs.sqlite"
        command = (PYTHON, "-m", "leandask", "history", "--port=0")
        super().__init__(folder, name, *command, f"--index={self.index}", *args)
        found = wait_for(
            lambda: (
                re.search(r"history at (\S+)/\n", self.stderr)
                or self.popen.poll() is not None
            )
        )
        assert found is not True, self.stderr
        self.url = found[1]

    def __exit__(self, *exc_info):
        self.stop()
        super().__exit__(*exc_info)

    def get(self, path, **headers):
        """Return the status, the headers and the body of an answer."""
        request = urllib.request.Request(self.url + path, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as e:
            with e:
                return e.code, e.headers, e.read()

    def ask(self, path):
        """Return an answer of the API."""
        status, _, body = self.get(f"/api/v1{path}")
        assert status == 200, body
        return json.loads(body)

    def runs(self, query=""):
        return self.ask(f"/runs{query}")["runs"]

    def wait_for_runs(self, n, state=None):
        """Wait until so many runs are known, and return them by their scheduler."""

        def found():
            runs = self.runs("?per_page=1000")
            is_done = state is None or all(run["state"] == state for run in runs)
            return runs if len(runs) == n and is_done else None

        return {run["scheduler_id"]: run for run in wait_for(found)}


@contextlib.contextmanager
def serving(folder, *args, name="history"):
    with Server(folder, *args, name=name) as server:
        yield server
    assert "Traceback" not in server.stderr, server.stderr
    assert "indexer ended" not in server.stderr, server.stderr
