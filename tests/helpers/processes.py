"""Processes for tests: schedulers and workers."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from distributed import Client

from tests.helpers.compressed import expanded

PYTHON = Path(sys.executable)
COMMAND = PYTHON.with_name("leandask-scheduler")
DASK = PYTHON.with_name("dask")
LOOPBACK = ["--host=127.0.0.1", "--port=0", "--dashboard-address=127.0.0.1:0"]

#: For a test of which records a log has: else it has one more each ten seconds.
NO_SAMPLES = {"DASK_LEANDASK__STREAM__SAMPLE_INTERVAL": "0"}


class Process(contextlib.AbstractContextManager):
    """A process whose stderr is kept in a file."""

    def __init__(self, folder, name, *args, **env):
        self.log = folder / f"{name}.log"
        with self.log.open("w") as stderr:
            self.popen = subprocess.Popen(
                [str(a) for a in args],
                cwd=folder,
                stderr=stderr,
                stdout=subprocess.DEVNULL,
                env=os.environ | env,
            )

    def __exit__(self, *exc_info):
        self.popen.kill()
        self.popen.wait()

    def stop(self, signum=signal.SIGTERM):
        self.popen.send_signal(signum)
        return self.popen.wait(timeout=60)

    @property
    def stderr(self):
        return self.log.read_text()


def wait_for(condition, timeout=60, interval=0.02):
    """Poll another process until a condition is true, and return its value."""
    deadline = time.monotonic() + timeout
    while not (result := condition()):
        assert time.monotonic() < deadline, f"not true within {timeout} seconds"
        time.sleep(interval)
    return result


def free_port(attempts=100):
    """Return an unused port outside the range that systems use for connections."""
    for port in random.sample(range(20_000, 32_000), attempts):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise OSError(f"no port is free among {attempts}")


def is_written(scheduler_file):
    """Whether a scheduler file is written completely."""
    return scheduler_file.exists() and scheduler_file.read_text().endswith("}")


@pytest.fixture
def start(tmp_path):
    """A function that starts leandask-scheduler: returns its process and file."""
    with starting(tmp_path) as start:
        yield start


@contextlib.contextmanager
def starting(folder):
    """Yield a function that starts schedulers, which end with the context."""
    with contextlib.ExitStack() as stack:

        def start(*args, command=(COMMAND,), wait=True, **env):
            # Workers and clients wait for this file.
            file = folder / "scheduler.json"
            process = stack.enter_context(
                Process(
                    folder,
                    "scheduler",
                    *command,
                    *LOOPBACK,
                    f"--scheduler-file={file}",
                    *args,
                    **env,
                )
            )
            if wait:
                wait_for(lambda: is_written(file) or process.popen.poll() is not None)
            return process, file

        yield start


def start_worker(folder, scheduler_file, name="worker", *args):
    """Start a worker without a nanny, which would restart it."""
    return Process(
        folder,
        name,
        PYTHON,
        "-m",
        "distributed.cli.dask_worker",
        f"--scheduler-file={scheduler_file}",
        "--no-nanny",
        "--nthreads=1",
        "--host=127.0.0.1",
        "--no-dashboard",
        f"--name={name}",
        *args,
    )


@contextlib.contextmanager
def joined_by_two(folder, scheduler_file):
    """Start two workers; yield a client once they are there."""
    with (
        start_worker(folder, scheduler_file, "alice"),
        start_worker(folder, scheduler_file, "bob"),
        Client(scheduler_file=str(scheduler_file)) as client,
    ):
        client.wait_for_workers(2, timeout=60)
        yield client


def records_of(path):
    """Return the records of an event log."""
    return [json.loads(line) for line in expanded(path).splitlines()]


def whole_records(path):
    """Return the records of a log without the last line, which may be in writing."""
    return [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]


def lean_settings(log):
    """Configuration with an event log and an unusual bound, to recognise it by."""
    return {
        "leandask.retention.events": 7,
        "leandask.event-log.path": str(log),
        "leandask.event-log.flush-interval": "50 ms",
    }


def lean_environment(log):
    """The same as environment variables."""
    return {
        "DASK_LEANDASK__RETENTION__EVENTS": "7",
        "DASK_LEANDASK__EVENT_LOG__PATH": str(log),
        "DASK_LEANDASK__EVENT_LOG__FLUSH_INTERVAL": "50 ms",
    }


def assert_lean(client, log, workers=0):
    """Assert that a running scheduler has our bound and writes events to the log."""
    if workers:
        client.wait_for_workers(workers, timeout=60)
        assert client.submit(sum, [1, 2]).result(timeout=60) == 3
    for n in range(20):
        client.log_event("mine", {"action": "greet", "n": n})
    assert [msg["n"] for _, msg in client.get_events("mine")] == list(range(13, 20))
    # A lambda is pickled by value: the scheduler can't import the tests.
    assert client.run_on_scheduler(
        lambda dask_scheduler: dask_scheduler.transition_log.seen >= 0
    )

    def all_are_written():
        lines = log.read_text().splitlines() if log.exists() else []
        greetings = [line for line in lines if '"topic":"mine"' in line]
        return len(greetings) == 20

    wait_for(all_are_written)
