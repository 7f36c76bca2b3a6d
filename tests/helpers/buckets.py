"""Buckets for tests: a server of S3 on the loopback, and a way to it that fails."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import select
import socket
import socketserver
import subprocess
import sys
import threading
import urllib.error
import urllib.request

import pytest

from tests.helpers.processes import free_port, wait_for

needs_s3 = pytest.mark.skipif(
    not (importlib.util.find_spec("s3fs") and importlib.util.find_spec("moto")),
    reason="needs s3fs and moto[server]",
)

#: What a client of the server has in its environment.
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_MAX_ATTEMPTS": "1",  # botocore's own tries take a minute
}
REFUSED = (
    b"HTTP/1.1 503 Slow Down\r\nContent-Type: application/xml\r\n"
    b"Connection: close\r\n\r\n<Error><Code>SlowDown</Code>"
    b"<Message>Please reduce your request rate.</Message></Error>"
)


class Way(socketserver.ThreadingTCPServer):
    """A port that leads to the server: as it is, not at all, or badly."""

    allow_reuse_address = daemon_threads = True
    block_on_close = False

    def __init__(self, target):
        super().__init__(("127.0.0.1", 0), Passage)
        self.target = target
        #: "open", "slow" (50 kB/s to the server), "hangs", "refuses" (503), or
        #: "closed" (each connection is reset).
        self.state = "open"
        #: Requests that came while it was slow, hung, or refused.
        self.held = threading.Event()
        self.thread = threading.Thread(target=self.serve_forever, args=(0.02,))
        self.thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def close(self):
        self.shutdown()
        self.server_close()
        self.thread.join()


class Passage(socketserver.BaseRequestHandler):
    """One connection."""

    def handle(self):
        with contextlib.suppress(OSError):
            with socket.create_connection(self.server.target) as there:
                self.pass_on(there)

    def pass_on(self, there):
        ends = {self.request: there, there: self.request}
        while self.server.state != "closed":
            for end in select.select([*ends], [], [], 0.02)[0]:
                data = end.recv(4096 if self.server.state == "slow" else 65536)
                state = self.server.state
                if not data or state == "closed":
                    return
                if end is self.request and state == "refuses":
                    self.server.held.set()
                    self.request.sendall(REFUSED)
                    return
                if state == "hangs":
                    self.server.held.set()
                    while self.server.state == "hangs":
                        select.select([], [], [], 0.02)
                    return
                ends[end].sendall(data)
                if end is self.request and state == "slow":
                    self.server.held.set()
                    select.select([], [], [], len(data) / 50e3)


class S3:
    """A server of S3 as a process, with a bucket, and a way to it."""

    def __init__(self, folder):
        self.folder = folder
        self.port = free_port()
        self.start()
        self.way = Way(("127.0.0.1", self.port))
        self.env = CREDENTIALS | {"AWS_ENDPOINT_URL": self.way.url}

    def start(self):
        args = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1"]
        with open(self.folder / "moto.log", "a") as log:
            self.process = subprocess.Popen(
                [*args, "-p", str(self.port)], stdout=log, stderr=log
            )
        wait_for(self.make_bucket)

    def make_bucket(self, name="bucket"):
        url = f"http://127.0.0.1:{self.port}/{name}"
        request = urllib.request.Request(url, method="PUT")
        request.add_header(
            "Authorization", "AWS4-HMAC-SHA256 Credential=x/y/us-east-1/s3/aws4_request"
        )
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            urllib.request.urlopen(request, timeout=60).close()
            return True

    def keys(self):
        """Return the keys of all objects in the bucket."""
        import s3fs

        fs = s3fs.S3FileSystem(skip_instance_cache=True, use_listings_cache=False)
        return [key.removeprefix("bucket/") for key in fs.find("bucket")]

    def accept(self, count):
        """Accept so many requests of anybody, and then none of unknown ones."""
        url = f"http://127.0.0.1:{self.port}/moto-api/reset-auth"
        request = urllib.request.Request(url, data=b"%d" % count)
        request.add_header("Content-Type", "text/plain")
        urllib.request.urlopen(request, timeout=60).close()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        self.way.close()
        self.kill()


@pytest.fixture
def s3(tmp_path, monkeypatch):
    """A server of S3 that this process and its children find by their environment."""
    server = S3(tmp_path)
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in server.env.items():
        monkeypatch.setenv(name, value)
    yield server
    server.close()
