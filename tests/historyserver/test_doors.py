"""Who may read the pages, and under which names."""

from __future__ import annotations

import base64
import ssl
import subprocess
import urllib.error
import urllib.request

import pytest
from click.testing import CliRunner
from distributed import Security

from leandask import History
from leandask.cli.main import main
from leandask.historyserver.web.attempts import FREE, SECONDS, Attempts
from tests.helpers.historyserver import Server
from tests.helpers.logs import Log, write_logs
from tests.helpers.processes import PYTHON, wait_for


@pytest.fixture
def logs(tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    write_logs(folder / "log.jsonl", Log("S-1").start(0).stop(9))
    return folder


def test_without_the_password_nobody_reads_anything(serve, logs, tmp_path):
    secret = tmp_path / "password"
    secret.write_text("open sesame\n")
    pair = base64.b64encode(b"anyone:open sesame").decode()
    with serve(logs, "--password-file", secret) as server:
        for path in ("/", "/api/v1/runs", "/runs/S-1/log", "/static/style.css", "/x"):
            status, headers, body = server.get(path)
            assert status == 401 and b"S-1" not in body, path
            assert headers["WWW-Authenticate"].startswith("Basic ")
        for wrong in ("Basic !", "Basic " + pair[:-6], "Bearer open", "Digest x"):
            assert server.get("/", Authorization=wrong)[0] == 401
        for right in (f"Basic {pair}", "Bearer open sesame"):
            assert server.get("/", Authorization=right)[0] == 200
        assert server.get("/health")[::2] == (200, b"ok")
        history = History(server.url, password="open sesame")
        assert [run["id"] for run in history.runs()] in ([], ["S-1"])
        with pytest.raises(OSError, match="A password is needed"):
            next(History(server.url, password="wrong").runs())


def test_guessing_is_slow_and_locks_no_reader_out(serve, logs, tmp_path):
    secret = tmp_path / "password"
    secret.write_text("open sesame")
    options = ("--password-file", secret, "--trusted-proxy", "127.0.0.1")
    right = {"Authorization": "Bearer open sesame"}
    with serve(logs, *options) as server:
        status, headers, _ = server.get("/api/v1/runs", **right)
        cookie = headers["Set-Cookie"]
        assert status == 200 and "HttpOnly" in cookie and "SameSite=Strict" in cookie
        for text in (cookie, "leandask_history=\u00e9"):  # which lets nobody in
            assert server.get("/", Cookie=text)[0] == 401
        found = [server.get("/", Authorization=f"Bearer {i}") for i in range(30)]
        assert [status for status, _, _ in found[:10]] == [401] * 10
        waits = [told["Retry-After"] for status, told, _ in found if status == 429]
        assert len(waits) >= 15 and {*waits} <= {"1", "2"}
        # The next wrong guess is taken, and then none for two seconds.
        wait_for(lambda: server.get("/", Authorization="Bearer x")[0] == 401)
        # The right guess tells no more than a wrong one, but known readers go on.
        assert server.get("/", **right)[0] == 429
        assert server.get("/", Cookie=cookie, **right)[0] == 200
        assert server.get("/")[0] == 401 and server.get("/health")[0] == 200
        assert server.get("/", **{"X-Forwarded-For": "192.0.2.7"}, **right)[0] == 200
        wait_for(lambda: server.get("/", **right)[0] == 200)
        assert "open sesame" not in server.stderr


def test_attempts_are_forgotten_and_bounded():
    now = [1000.0]
    attempts = Attempts(limit=3, clock=lambda: now[0])
    for _ in range(FREE):
        assert attempts.wait("2001:db8::1") == 0
        attempts.add("2001:db8::1")
    assert attempts.wait("2001:db8::2") == SECONDS  # of the same network
    now[0] += SECONDS
    assert attempts.wait("2001:db8::1") == 0
    for i in range(10):
        attempts.add(f"192.0.2.{i}")
    assert repr(attempts) == "<Attempts: 3/3>"


def test_tls_serves_https(serve, logs, tmp_path):
    pytest.importorskip("cryptography")
    security = Security.temporary()
    (tmp_path / "key").write_text(security.tls_scheduler_key)
    (tmp_path / "cert").write_text(security.tls_scheduler_cert)
    tls = ("--tls-cert", tmp_path / "cert", "--tls-key", tmp_path / "key")
    with serve(logs, *tls) as server:
        assert server.url.startswith("https://")
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        url = f"{server.url}/health"
        with urllib.request.urlopen(url, context=context) as answer:
            assert answer.read() == b"ok"


def test_links_have_the_prefix_of_a_proxy(serve, logs):
    with serve(logs, "--prefix", "/dask/history") as server:
        root = server.url.removesuffix("/dask/history")
        assert root != server.url
        for url in (root, server.url):  # a proxy may take the prefix away
            server.url = url
            status, _, body = server.get("/")
            assert status == 200 and b'action="/dask/history/compare"' in body
            assert b'href="/dask/history/static/style.css' in body
        server.url = root
        assert server.get("/dask/history")[0] == 200  # with the slash


def test_headers_count_from_trusted_proxies_only(serve, logs):
    forwarded = {"X-Forwarded-Prefix": "/elsewhere", "X-Forwarded-Host": "dask.example"}
    with serve(logs, name="untrusted") as server:
        assert b"/elsewhere" not in server.get("/", **forwarded)[2]
    options = ("--trusted-proxy", "127.0.0.1", "--allow-host", "dask.example")
    with serve(logs, *options, name="trusted") as server:
        assert b'"/elsewhere/compare"' in server.get("/", **forwarded)[2]
        for bad in ('"><script>', "//evil.example", "/a/../b", "evil"):
            body = server.get("/", **forwarded | {"X-Forwarded-Prefix": bad})[2]
            assert b'action="/compare"' in body
        assert server.get("/")[0] == 403


def test_a_site_that_points_its_name_here_gets_nothing(serve, logs):
    with serve(logs) as server:
        assert server.get("/api/v1/runs", Host="evil.example")[0] == 403
        assert server.get("/api/v1/runs", Host="localhost:1")[0] == 200
        assert server.get("/api/v1/runs", Host="[::1]")[0] == 200
        assert server.get("/api/v1/runs", Host="[")[0] == 400


def test_nothing_can_be_changed_and_no_other_file_is_read(serve, logs, tmp_path):
    (tmp_path / "secret.jsonl").write_text("{}")
    with serve(logs) as server:
        server.wait_for_runs(1)
        for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
            for path in ("/", "/api/v1/runs/S-1", "/nowhere"):
                request = urllib.request.Request(server.url + path, method=method)
                with pytest.raises(urllib.error.HTTPError, match=r"40[35]"):
                    urllib.request.urlopen(request)
        for run_id in (
            "..%2Fsecret.jsonl",
            "../secret.jsonl",
            "%2e%2e",
            ".",
            "S-1%00",
            "S-1%2F..%2Fsecret",
            "x" * 5000,
        ):
            for end in ("", "/log", "/overview", "/timeline"):
                for start in ("/runs/", "/api/v1/runs/"):
                    status, _, _ = server.get(f"{start}{run_id}{end}")
                    assert status == 404, (run_id, end)
        for path in ("/static/../doors.py", "/static/base.html", "/static/%2e%2e/x"):
            assert server.get(path)[0] == 404


def test_every_answer_has_the_policy(serve, logs):
    with serve(logs) as server:
        server.wait_for_runs(1)
        for path in ("/", "/runs/S-1", "/nope", "/api/v1/runs", "/compare"):
            _, headers, _ = server.get(path)
            policy = headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy and "unsafe" not in policy
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert "Server" not in headers
        _, headers, _ = server.get("/runs/S-1/timeline")
        assert headers["Content-Security-Policy"].startswith("sandbox allow-scripts;")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--prefix", "a b"], "--prefix must be a path such as /history; got 'a b'"),
        (["--tls-cert", __file__], "--tls-cert and --tls-key must be given together"),
        (["--trusted-proxy", "proxy"], "'proxy' does not appear to be an IPv4 or IPv6"),
        (["--keep", "30 moons"], "--keep must be a time such as 30d; got '30 moons'"),
        (["--password-file", "/dev/null"], "--password-file must not be empty"),
    ],
)
def test_options_that_are_not_valid_are_said(logs, options, said):
    done = CliRunner().invoke(main, ["history", str(logs), *options])
    assert done.exit_code in (1, 2) and said in done.output
    assert "Traceback" not in done.output


def test_a_port_that_is_taken_is_said_in_one_line(serve, logs, tmp_path):
    with serve(logs) as server:
        port = server.url.rpartition(":")[2]
        command = [PYTHON, "-m", "leandask", "history", logs, "--port", port]
        index = ["--index", tmp_path / "other.sqlite"]
        done = subprocess.run([*command, *index], capture_output=True, text=True)
        assert done.returncode == 1 and "Address already in use" in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_an_open_door_is_warned_of(logs, tmp_path):
    with Server(tmp_path, str(logs), "--host", "0.0.0.0") as server:
        assert "everyone who reaches 0.0.0.0 can read all runs" in server.stderr
