"""The command leandask-scheduler in real processes."""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import warnings

import pytest
from click.testing import CliRunner
from distributed import Client, Security
from distributed.cli import dask_scheduler

from leandask.cli.scheduler import configure_console, main
from tests.helpers.logs import assert_no_gap
from tests.helpers.paths import DOCS
from tests.helpers.processes import (
    COMMAND,
    NO_SAMPLES,
    PYTHON,
    records_of,
    start_worker,
    wait_for,
    whole_records,
)


def test_it_has_every_flag_of_the_installed_dask_scheduler():
    ours = {flag for p in main.params for flag in (*p.opts, *p.secondary_opts)}
    theirs = {
        flag
        for p in dask_scheduler.main.params
        for flag in (*p.opts, *p.secondary_opts)
    }
    assert ours - theirs == {
        "--retention",
        "--log-format",
        "--event-log",
        "--log-tasks",
        "--no-log-tasks",
        "--log-transitions",
    }
    assert theirs <= ours
    assert main.context_settings == dask_scheduler.main.context_settings


@pytest.mark.parametrize(
    "command", [[COMMAND], [PYTHON.with_name("dask"), "lean-scheduler"]]
)
def test_version_shows_leandask_and_distributed(command):
    import distributed

    import leandask

    out = subprocess.check_output([*command, "--version"], text=True)
    assert leandask.__version__ in out
    assert f"distributed {distributed.__version__}" in out


@pytest.mark.parametrize(
    ("bound", "error"),
    [
        ("events", "must be KEY=N, such as events=50; got 'events'"),
        ("events=-1", "leandask.retention.events must be a whole number of at least 0"),
        ("events=many", "got 'many'"),
        ("event=1", "retention must have only keys among transition-log, events,"),
        ("transition-log=0", "leandask.retention.transition-log must be"),
        ("event-bytes=1e400", "leandask.retention.event-bytes must be a size"),
    ],
)
def test_a_bad_bound_is_a_usage_error(bound, error):
    result = CliRunner().invoke(main, ["--retention", bound])
    assert result.exit_code == 2
    assert error in " ".join(result.output.split())


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        (
            "LEANDASK__RETENTION__EVENTS",
            "many",
            "leandask.retention.events must be a whole number",
        ),
        (
            "LEANDASK__STREAM__QUEUE_BYTES",
            "1e400",
            "leandask.stream.queue-bytes must be a size",
        ),
        (
            "LEANDASK__MEMORY__ALLOCATOR",
            "jemalloc",
            "leandask.memory.allocator must be one of python, malloc; got 'jemalloc'",
        ),
        (
            "DISTRIBUTED__ADMIN__LOW_LEVEL_LOG_LENGTH",
            "many",
            "distributed.admin.low-level-log-length must be a whole number",
        ),
    ],
)
def test_a_bad_setting_of_the_environment_is_refused_at_start(
    start, name, value, error
):
    process, _ = start(**{f"DASK_{name}": value})
    assert process.popen.wait(timeout=30) == 2
    assert error in process.stderr
    assert "Traceback" not in process.stderr


def test_an_unknown_setting_is_reported_once_in_the_format_of_the_console(start):
    scheduler, _ = start(DASK_LEANDASK__EVENT_LOG__PTH="x")
    assert scheduler.stop() == 0
    [line] = [line for line in scheduler.stderr.splitlines() if "not a setting" in line]
    assert line.endswith("leandask - WARNING - leandask.event-log.pth is not a setting")


def test_a_cluster_of_three_processes(start, tmp_path):
    """The main use: a scheduler, workers and a client, and the events in a file."""
    pytest.importorskip("pandas")
    import dask.array as da
    import dask.dataframe as dd
    import pandas as pd

    log = tmp_path / "logs" / "events.jsonl"
    scheduler, file = start("--event-log", log, "--retention", "events=30", wait=False)
    with (
        start_worker(tmp_path, file, "a") as a,
        start_worker(tmp_path, file, "b") as b,
        Client(scheduler_file=str(file)) as client,
    ):
        client.wait_for_workers(2)
        assert da.ones((100, 100), chunks=10).sum().compute() == 10_000
        frame = pd.DataFrame({"x": range(100), "y": [i % 3 for i in range(100)]})
        sums = dd.from_pandas(frame, npartitions=5).groupby("y").x.sum().compute()
        assert sums.tolist() == frame.groupby("y").x.sum().tolist()

        addresses = {
            info["name"]: address
            for address, info in client.scheduler_info()["workers"].items()
        }
        b.stop(signal.SIGKILL)
        wait_for(lambda: len(client.scheduler_info()["workers"]) == 1)
        # Records of WARNING or above are flushed at once.
        lost = wait_for(
            lambda: [
                r for r in whole_records(log) if r.get("action") == "remove-worker"
            ]
        )
        assert {r["severity"] for r in lost} == {"WARNING"}
        assert {r["worker"] for r in lost} == {addresses["b"]}
        client.log_event("mine", {"action": "greet", "text": "a\nb\x1b[31m"})
        assert len(client.get_events("all")) <= 30
        assert a.popen.poll() is None
    assert scheduler.stop() == 0

    records = records_of(log)
    assert_no_gap(records)
    assert {r["schema_version"] for r in records} == {1}
    assert records[0]["event_name"] == "dask.scheduler.start"
    assert "events 30" in records[0]["retention"]
    assert records[-1]["event_name"] == "dask.scheduler.stop"
    assert records[-1]["reason"] == "signal-15"
    assert records[-1]["transitions_total"] > 100
    # After ten seconds there is a sample, too.
    loggers = {r["logger"] for r in records} - {"leandask.samples"}
    assert loggers == {"leandask.events", "leandask.tasks"}
    actions = {r.get("action") for r in records}
    assert actions >= {"add-worker", "add-client", "remove-client", "greet"}
    assert actions & {"update-graph", "update_graph"}  # the latter before 2024.9
    assert log.stat().st_mode & 0o777 == 0o600

    console = scheduler.stderr
    assert "distributed.scheduler - INFO -   Scheduler at:     tcp://127" in console
    assert "leandask.events - INFO - mine: greet text=a\\nb\\x1b[31m" in console
    assert "leandask - INFO - Retention: transition-log 100, events 30" in console
    assert "Traceback" not in console


def test_every_line_of_the_console_can_be_json(start):
    def complain():
        logging.getLogger("of.no.handler").error(
            "oh", exc_info=ValueError("two\nlines")
        )
        warnings.warn("mind this", stacklevel=1)

    scheduler, file = start("--log-format", "json")
    with Client(scheduler_file=str(file)) as client:
        client.log_event("mine", "hello")
        client.run_on_scheduler(complain)
    assert scheduler.stop() == 0
    lines = [json.loads(line) for line in scheduler.stderr.splitlines()]
    assert {
        "distributed.scheduler",
        "leandask",
        "leandask.events",
        "of.no.handler",
        "py.warnings",
    } <= {line["logger"] for line in lines}
    assert [line["message"] for line in lines if line.get("topic") == "mine"] == [
        "mine: hello"
    ]


def test_a_start_that_fails_is_logged_as_json(start, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        scheduler, _ = start("--log-format", "json", f"--port={port}")
        assert scheduler.popen.wait(60) == 1
    lines = [json.loads(line) for line in scheduler.stderr.splitlines()]
    assert lines[-1]["severity"] == "CRITICAL"
    assert "RuntimeError" in lines[-1]["message"]
    assert "in use" in lines[-1]["exception"]


def test_the_logging_section_of_the_docs_works(tmp_path):
    pytest.importorskip("pythonjsonlogger")
    page = (DOCS / "records.md").read_text()
    [section] = re.findall(r"```yaml\n(logging:\n.*?)```", page, re.DOTALL)
    log = tmp_path / "events.jsonl"
    (tmp_path / "dask.yaml").write_text(section.replace("/tmp/events.jsonl", str(log)))
    code = """
import logging, os, distributed, leandask
scheduler = logging.getLogger("distributed.scheduler")
print(scheduler.isEnabledFor(logging.INFO), scheduler.hasHandlers())
print(os.path.exists("{log}"))
logging.getLogger("leandask.events").info("mine")
print(os.path.exists("{log}"))
"""
    done = subprocess.run(
        [sys.executable, "-c", code.format(log=log)],
        env=os.environ | {"DASK_CONFIG": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["True", "True", "False", "True"]


def test_the_user_may_configure_logging_with_another_formatter(start, tmp_path):
    """A formatter that Dask's configuration names has the same fields."""
    pytest.importorskip("pythonjsonlogger")
    log, out = tmp_path / "events.jsonl", tmp_path / "own.jsonl"
    (tmp_path / "dask.yaml").write_text(
        f"""
        logging:
          version: 1
          disable_existing_loggers: false
          formatters:
            own: {{(): pythonjsonlogger.orjson.OrjsonFormatter}}
          handlers:
            own: {{class: logging.FileHandler, filename: {out}, formatter: own}}
          loggers:
            leandask.events: {{level: INFO, handlers: [own], propagate: false}}
        """
    )
    settings = {"DASK_CONFIG": str(tmp_path / "dask.yaml")} | NO_SAMPLES
    scheduler, file = start("--event-log", log, **settings)
    with Client(scheduler_file=str(file)) as client:
        client.log_event("mine", {"action": "greet"})
    assert scheduler.stop() == 0
    records, own = records_of(log), records_of(out)
    assert len(records) > 2
    assert [r | {"message": None} for r in records] == [
        r | {"message": None} for r in own
    ]
    assert [r["message"] for r in records] == [r["message"] for r in own]


def test_flags_for_tls_and_preloads_work(start, tmp_path):
    security = Security.temporary()
    (tmp_path / "ca.pem").write_text(security.tls_ca_file)
    (tmp_path / "cert.pem").write_text(security.tls_scheduler_cert)
    (tmp_path / "key.pem").write_text(security.tls_scheduler_key)
    (tmp_path / "pre.py").write_text(
        "def dask_setup(scheduler):\n    scheduler.log_event('pre', 'loaded')\n"
    )
    _, file = start(
        "--protocol=tls",
        "--tls-ca-file=ca.pem",
        "--tls-cert=cert.pem",
        "--tls-key=key.pem",
        "--preload=pre.py",
    )
    with Client(scheduler_file=str(file), security=security) as client:
        assert client.scheduler.address.startswith("tls://")
        assert [msg for _, msg in client.get_events("pre")] == ["loaded"]


def test_importing_leandask_starts_no_thread_and_configures_no_handler():
    code = """
import logging, threading, leandask, leandask.cli
handlers = [
    handler
    for logger in [logging.root, *logging.root.manager.loggerDict.values()]
    if getattr(logger, "name", "").startswith(("root", "leandask"))
    for handler in logger.handlers
    if not isinstance(handler, logging.NullHandler)
]
print(handlers, logging.getLogger("leandask").level, threading.active_count())
"""
    out = subprocess.check_output([PYTHON, "-W", "error", "-c", code], text=True)
    upstream = "import distributed, threading; print(threading.active_count())"
    threads = subprocess.check_output([PYTHON, "-c", upstream], text=True)
    assert out.split() == ["[]", "0", threads.strip()]


def test_handlers_and_levels_of_the_user_stay():
    ours = logging.getLogger("leandask")
    level = ours.level
    try:
        ours.setLevel(logging.ERROR)
        configure_console("text")  # pytest has handlers on the root logger
        assert (ours.level, ours.handlers) == (logging.ERROR, [])
    finally:
        ours.setLevel(level)
