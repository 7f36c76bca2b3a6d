"""Real processes for tests: a scheduler, workers."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PYTHON = Path(sys.executable)
COMMAND = PYTHON.with_name("leandask-scheduler")
LOOPBACK = ["--host=127.0.0.1", "--port=0", "--dashboard-address=127.0.0.1:0"]


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
        return self.popen.wait(timeout=30)

    @property
    def stderr(self):
        return self.log.read_text()


def wait_for(condition, timeout=30):
    """Poll another process: it can't tell us."""
    deadline = time.monotonic() + timeout
    while not (result := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
    return result


@pytest.fixture
def start(tmp_path):
    """Start leandask-scheduler, and give its process and scheduler file."""
    with contextlib.ExitStack() as stack:

        def start(*args, command=(COMMAND,), **env):
            file = tmp_path / "scheduler.json"
            process = stack.enter_context(
                Process(
                    tmp_path,
                    "scheduler",
                    *command,
                    *LOOPBACK,
                    f"--scheduler-file={file}",
                    *args,
                    **env,
                )
            )
            wait_for(lambda: file.exists() or process.popen.poll() is not None)
            return process, file

        yield start


def start_worker(folder, scheduler_file, name="worker"):
    # A worker of one process, with no nanny to start it anew.
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
    )


def records_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]
