"""What is refused: clients with wrong TLS, and handlers that are blocked."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import urllib.request

import psutil
import pytest
from distributed import Client, Security
from distributed.utils_test import inc

import leandask
from leandask import get_report
from tests.helpers.processes import records_of, start_worker, wait_for


def tls_options(folder, security):
    """Options of a scheduler and of a worker, with files in a folder."""
    options = []
    for option, name in ("ca-file", "ca_file"), ("cert", "cert"), ("key", "key"):
        role = "" if name == "ca_file" else "scheduler_"
        path = folder / f"{name}.pem"
        path.write_text(getattr(security, f"tls_{role}{name}"))
        options.append(f"--tls-{option}={path}")
    return options


def connect_in_plain(address):
    with socket.create_connection(address, timeout=10) as plain:
        plain.sendall(b"\x00" * 100)
        with contextlib.suppress(ConnectionError):
            while plain.recv(1000):
                pass  # an alert of TLS, and the end


def connect_with(context, address):
    with socket.create_connection(address, timeout=10) as plain:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            with context.wrap_socket(plain) as encrypted:
                encrypted.sendall(b"\x00" * 100)
                assert encrypted.recv(1000) == b"something"


def test_without_the_right_certificate_a_client_gets_and_leaves_nothing(
    start, tmp_path
):
    security, others = Security.temporary(), Security.temporary()
    options = tls_options(tmp_path, security)
    context = others.get_connection_args("client")["ssl_context"]
    log = tmp_path / "log.jsonl"
    scheduler, file = start("--protocol=tls", *options, "--event-log", log)
    contact = json.loads(file.read_text())["address"]
    host, port = contact.removeprefix("tls://").split(":")
    address = host, int(port)
    process = psutil.Process(scheduler.popen.pid)

    def connect(times):
        for _ in range(times):
            connect_in_plain(address)
            connect_with(context, address)

    with Client(contact, security=security) as client:
        with start_worker(tmp_path, file, "worker", *options):
            assert client.submit(inc, 1).result() == 2
            topics = get_report(client)["histories"]["topics"]["kept"]
            connect(20)  # the first ones import and cache something
            fds, rss = process.num_fds(), process.memory_info().rss
            connect(100)
            for wrong in (
                {"address": f"tcp://{host}:{port}"},
                {"address": contact, "security": others},
            ):
                with pytest.raises(OSError):
                    Client(**wrong, timeout="1s")
            assert client.submit(inc, 2).result() == 3
            wait_for(lambda: process.num_fds() < fds + 10)  # of 202 refused
            assert process.memory_info().rss - rss < 4 * 2**20  # 0.5 MB were seen
            report = get_report(client)
            assert report["histories"]["topics"]["kept"] == topics
            assert report["clients"] == 1
    assert scheduler.stop() == 0
    records = records_of(log)
    assert [r["action"] for r in records if r.get("topic") == "all"].count(
        "add-client"
    ) == 1


BLOCKED = [
    "events",
    "get_story",
    "get_cluster_state",
    "dump_cluster_state_to_url",
    "run_function",
    "leandask_history",
    "leandask_set_retention",
    "leandask_give_back",
]


@pytest.fixture
def blocking(start, tmp_path):
    """A client of a scheduler that has handlers blocked, and a secret."""

    def blocking(*names):
        _, file = start(
            "--event-log",
            tmp_path / "log.jsonl",
            "--log-transitions",
            DASK_DISTRIBUTED__SCHEDULER__BLOCKED_HANDLERS=repr([*names]),
        )
        return Client(scheduler_file=str(file))

    return blocking


def test_blocked_handlers_are_refused_and_no_other_answers_the_same(blocking, tmp_path):
    with blocking(*BLOCKED) as client:
        client.log_event("worker-fail-hard", "secret")  # a warning
        task = client.submit(inc, 1, key="task", workers=["nowhere"])
        wait_for(lambda: get_report(client)["stream"]["written"] > 5)
        wait_for(lambda: get_report(client)["tasks"] == 1)
        assert task.status == "pending"
        for ask in (
            lambda: client.get_events("worker-fail-hard"),
            client.get_events,
            lambda: client.sync(client.scheduler.get_story, keys_or_stimuli=[1]),
            lambda: client.run_on_scheduler(lambda: 1),
            lambda: client.dump_cluster_state(tmp_path / "dump"),
            lambda: client.dump_cluster_state(f"file://{tmp_path}/dump"),
            lambda: leandask.get_history(client),
            lambda: leandask.get_history(client, key="task"),
            lambda: leandask.set_retention(client, events=1),
            lambda: leandask.give_back(client),
        ):
            with pytest.raises(ValueError, match=r"disallowed|must not have"):
                ask()
        shown = [get_report(client), client.get_scheduler_logs()]
        for path in "leandask.json", "leandask", "metrics", "info/main/logs.html":
            port = client.scheduler_info()["services"]["dashboard"]
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}") as page:
                shown.append(page.read().decode())
        assert "secret" not in str(shown)


def test_a_blocked_report_is_refused(blocking):
    with blocking("leandask_report", "events") as client:
        with pytest.raises(ValueError, match="disallowed"):
            get_report(client)
        # Our history is refused where upstream's handler for the same is blocked.
        with pytest.raises(ValueError, match="'events'"):
            leandask.get_history(client)
        client.log_event("mine", 1)
