"""What a server can make the client do, be it hostile."""

from __future__ import annotations

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from leandask import History


class Server(ThreadingHTTPServer):
    """Answers with what it is given, by the start of a path."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.answers = {}
        #: Where requests are sent on to, by their path.
        self.moved = {}
        #: Each path that was asked for, with the password that came along.
        self.asked = []


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self):
        path = self.path.partition("?")[0]
        self.server.asked.append((path, self.headers["Authorization"]))
        body = self.server.answers.get(path, b"{}")
        if path in self.server.moved:
            self.send_response(302)
            self.send_header("Location", self.server.moved[path])
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@contextlib.contextmanager
def answering():
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    "run_id", ["/planted", "../planted", ".planted", "a/b", "", "a\n"]
)
def test_a_server_does_not_choose_where_a_log_is_written(tmp_path, run_id):
    folder = tmp_path / "folder"
    folder.mkdir()
    if run_id.startswith("/"):
        run_id = f"{tmp_path}{run_id}"
    with answering() as server:
        listed = {"runs": [{"id": run_id}], "pages": 1}
        server.answers["/api/v1/runs"] = json.dumps(listed).encode()
        history = History(server.url)
        [run] = history.runs()
        for where in (None, str(folder)):
            with pytest.raises(ValueError, match="run_id must be"):
                history.run(run["id"], where)
    assert [*tmp_path.rglob("*")] == [folder]


def test_another_server_does_not_get_the_password(tmp_path):
    with answering() as server, answering() as other:
        server.moved["/api/v1/runs"] = f"{other.url}/api/v1/runs"
        history = History(server.url, password="open sesame")
        with pytest.raises(OSError, match=f"redirects to '{other.url}/api/v1/runs'"):
            history.ask("runs")
        assert other.asked == []
        # Without one there is nothing to lose.
        assert History(server.url).ask("runs") == {}
        assert other.asked == [("/api/v1/runs", None)]


@pytest.mark.parametrize("url", ["http://host:99999/x", "http://[::1/x"])
def test_a_redirect_to_no_server_is_not_followed(url):
    with answering() as server:
        server.moved["/api/v1/runs"] = url
        with pytest.raises(OSError, match=server.url):
            History(server.url, password="open sesame").ask("runs")


def test_the_same_server_gets_the_password_again():
    with answering() as server:
        server.moved = {
            "/api/v1/runs": "/history/api/v1/runs",
            "/history/api/v1/runs": f"{server.url}/there",
        }
        assert History(server.url, password="open sesame").ask("runs") == {}
        [(_, first), *others] = server.asked
        assert first.startswith("Basic ")
        assert others == [("/history/api/v1/runs", first), ("/there", first)]
