"""Where records and warnings go in a user's process, and in a scheduler's own."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
from contextlib import contextmanager, redirect_stderr

import dask
import pytest
from distributed import Client, LocalCluster
from distributed.utils_test import gen_test

from leandask import LeanCluster
from leandask.records.loggers import EVENTS, LAST_RESORT, OWN, TRANSITIONS
from tests.helpers.handlers import Collector
from tests.helpers.processes import DASK, PYTHON, Process, is_written, wait_for
from tests.helpers.schedulers import LOCAL, lean, until

UPSTREAM = logging.getLogger("distributed")
#: Runs each cluster class, and writes a mark to stderr before and after each.
PROGRAM = """
import logging, logging.config, sys
from tests.helpers.handlers import Collector

collector = Collector()

def configure():
    {configure}
    logging.root.addHandler(collector)

if {first}:
    configure()
from distributed import Client, LocalCluster
from leandask import LeanCluster

for cls in LocalCluster, LeanCluster:
    print("#", cls.__name__, file=sys.stderr)
    del collector.records[:]
    options = dict(n_workers=1, processes=False, dashboard_address="127.0.0.1:0")
    with cls(**options) as cluster, Client(cluster) as client:
        if not {first} and cls is LeanCluster:
            configure()
        for i in range(20):
            client.submit(lambda: i).result()
    print(sorted({{r.name for r in collector.records if r.name.startswith("lean")}}))
"""
CONSOLE = {"class": "logging.StreamHandler"}
BASIC = "logging.basicConfig(level='DEBUG')"
DICT = f"""logging.config.dictConfig(
        {{"version": 1, "disable_existing_loggers": False,
          "handlers": {{"console": {CONSOLE}}},
          "root": {{"level": "INFO", "handlers": ["console"]}}}})"""


@pytest.mark.parametrize(
    ("configure", "first"), [("pass", False), (BASIC, True), (DICT, False)]
)
def test_a_cluster_shows_no_more_than_upstreams(configure, first):
    program = PROGRAM.format(configure=configure, first=first)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    _, upstream, ours = done.stderr.split("# ")
    assert len(ours.splitlines()) <= len(upstream.splitlines())
    assert "leandask" not in ours.lower().replace("leancluster", "")
    assert done.stdout.split() == ["[]", "[]"]


@contextmanager
def at_root(level=logging.INFO):
    """Yield the LogRecords of leandask that reach the root logger."""
    handler, before = Collector(), logging.root.level
    logging.root.addHandler(handler)
    logging.root.setLevel(level)
    try:
        yield handler.records
    finally:
        logging.root.setLevel(before)
        logging.root.removeHandler(handler)
        handler.records[:] = [r for r in handler.records if "leandask" in r.name]


def log_and_warn(scheduler):
    scheduler.log_event("mine", "hello")
    OWN.warning("look")


@gen_test()
async def test_records_and_warnings_reach_our_loggers_and_not_the_root(collected):
    own = Collector()
    with at_root() as records:
        async with lean() as s:
            OWN.addHandler(own)
            log_and_warn(s)
        OWN.removeHandler(own)
    assert records == []
    assert "mine" in {getattr(r, "topic", None) for r in collected}
    assert "mine" in {getattr(r, "topic", None) for r in own.records}
    assert "look" in [r.getMessage() for r in own.records]


@pytest.mark.parametrize("propagate", [True, False, "auto"])
@gen_test()
async def test_a_setting_has_them_reach_the_root(propagate):
    with (
        dask.config.set({"leandask.stream.propagate": propagate}),
        at_root() as records,
    ):
        async with lean() as s:
            log_and_warn(s)
    messages = [r.getMessage() for r in records if r.name != "leandask.transitions"]
    expected = propagate is True
    assert messages.count("mine: hello") == messages.count("look") == expected


def test_a_refused_setting_does_not_reach_the_root(stderr):
    settings = {"leandask.strict": True, "leandask.retention.events": "many"}
    options = OPTIONS | {"scheduler_kwargs": {"preload": "leandask.preload"}}
    with dask.config.set(settings), at_root() as records:
        with pytest.raises(RuntimeError, match="Scheduler failed to start"):
            LocalCluster(**options)
    assert records == []
    assert " the scheduler does not start. leandask.retention" in stderr.getvalue()


def state():
    loggers = OWN, EVENTS, TRANSITIONS
    return [(log.level, log.propagate, [*log.handlers]) for log in loggers]


@gen_test()
async def test_the_loggers_are_restored_after_the_last_scheduler():
    before = state()
    async with lean() as one:
        async with lean():
            assert not OWN.propagate
        assert not OWN.propagate
        assert LAST_RESORT in OWN.handlers
        await one.close()
        await until(lambda: state() == before)


@gen_test()
async def test_the_loggers_are_restored_if_a_scheduler_can_not_be_made(monkeypatch):
    before = state()

    def fail(scheduler_id):
        assert not OWN.propagate
        raise OSError("no event log")

    monkeypatch.setattr("leandask.extension._open_event_log", fail)
    with pytest.raises(OSError, match="no event log"):
        await lean()
    assert state() == before


@gen_test()
async def test_what_the_user_sets_stays():
    with at_root() as records:
        async with lean() as s:
            OWN.propagate = True
            async with lean():  # another scheduler does not change it again
                log_and_warn(s)
        assert OWN.propagate
    assert "mine: hello" in [r.getMessage() for r in records]
    OWN.propagate = False
    async with lean():
        pass
    assert not OWN.propagate
    OWN.propagate = True


@pytest.fixture
def stderr(monkeypatch):
    """What Dask's handler writes, which its logger has in a new process."""
    stderr = io.StringIO()
    monkeypatch.setattr(UPSTREAM, "handlers", [logging.StreamHandler(stderr)])
    return stderr


OPTIONS = {"n_workers": 0, "processes": False, "dashboard_address": "127.0.0.1:0"}


@pytest.mark.parametrize("has_handlers", [True, False])
@pytest.mark.parametrize(
    ("silence_logs", "shown"),
    [("ERROR", False), (logging.WARNING, True), (False, True), (None, True)],
)
def test_silence_logs_silences_our_warnings_too(
    silence_logs, shown, has_handlers, stderr
):
    if not has_handlers:  # the root logger had some when distributed was imported
        UPSTREAM.handlers.clear()
    setting = dask.config.set({"leandask.typo": 1})  # a warning while it starts
    with redirect_stderr(stderr):
        with setting, LeanCluster(silence_logs=silence_logs, **OPTIONS):
            OWN.warning("look")
            OWN.info("not this")
            OWN.error("this")
        lines = stderr.getvalue()
        with LeanCluster(**OPTIONS):
            OWN.warning("restored")
    assert ("leandask.typo is not a setting" in lines) == ("look" in lines) == shown
    assert lines.count("this") == 1
    assert stderr.getvalue().count("restored") == 1
    assert LAST_RESORT.level == logging.WARNING


def test_warnings_go_with_upstreams_own(stderr):
    ours = Collector()
    UPSTREAM.handlers.append(ours)
    preload = {"preload": "leandask.preload"}
    with LocalCluster(silence_logs="ERROR", scheduler_kwargs=preload, **OPTIONS):
        OWN.warning("look")
    assert "look" not in stderr.getvalue()
    assert "look" in [r.getMessage() for r in ours.records]


@gen_test()
async def test_a_warning_that_a_handler_takes_is_not_shown_again(stderr):
    own = Collector()
    async with lean():
        OWN.addHandler(own)
        OWN.warning("look")
        OWN.removeHandler(own)
    assert "look" not in stderr.getvalue()
    assert [r.getMessage() for r in own.records] == ["look"]


def test_the_level_of_upstreams_logger_applies(stderr, monkeypatch):
    monkeypatch.setattr(UPSTREAM, "level", logging.ERROR)
    with LeanCluster(silence_logs=False, **OPTIONS):
        OWN.warning("look")
        OWN.error("this")
    err = stderr.getvalue()
    assert ("look" in err, "this" in err) == (False, True)


#: Dask's own logging section, which adds Dask's handler to our logger. silence_logs
#: silences that handler.
SECTION = "logging: {leandask: info}"


def test_dasks_logging_section_shows_our_records(tmp_path):
    (tmp_path / "dask.yaml").write_text(SECTION)
    program = """
from leandask import LeanCluster
options = dict(n_workers=0, processes=False, dashboard_address="127.0.0.1:0")
with LeanCluster(silence_logs=False, **options) as cluster:
    cluster.scheduler.log_event("mine", "hello")
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"DASK_CONFIG": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr.count("leandask.events - INFO - mine: hello") == 1
    assert "leandask - INFO - Retention:" in done.stderr


#: A preload that configures the root logger, with a warning and a name for its lines.
PRELOAD = """
import logging
def dask_setup(scheduler):
    logging.basicConfig(level="INFO", format="root: %(message)s")
    logging.getLogger("leandask").warning("look")
"""


@pytest.mark.parametrize("command", ["scheduler", "spec"])
def test_in_a_process_of_dasks_they_reach_the_root_once(start, tmp_path, command):
    (tmp_path / "pre.py").write_text(PRELOAD)
    preloads = ["leandask.preload", "pre.py"]
    if command == "scheduler":
        args = [f"--preload={name}" for name in preloads]
        scheduler, file = start(*args, command=[DASK, "scheduler"])
    else:  # as SSHCluster starts it
        file = tmp_path / "scheduler.json"
        options = LOCAL | {"preload": preloads, "scheduler_file": str(file)}
        spec = json.dumps({"cls": "distributed.Scheduler", "opts": options})
        args = [PYTHON, "-m", "distributed.cli.dask_spec", "--spec", spec]
        scheduler = Process(tmp_path, "spec", *args)
    with scheduler:
        wait_for(lambda: is_written(file) or scheduler.popen.poll() is not None)
        with Client(scheduler_file=str(file)) as client:
            client.log_event("mine", "hello")
        wait_for(lambda: "mine: hello" in scheduler.stderr)
        scheduler.stop()
    lines = [x for x in scheduler.stderr.splitlines() if "hello" in x or "look" in x]
    assert lines == ["root: look", "root: mine: hello"]


def test_a_warning_looks_like_dasks_own_in_a_process_of_dasks(start):
    scheduler, _ = start(
        "--preload=leandask.preload",
        command=[DASK, "scheduler"],
        DASK_LEANDASK__TYPO="1",
    )
    scheduler.stop()
    assert " - leandask - WARNING - leandask.typo is not a setting" in scheduler.stderr
    assert "leandask.events" not in scheduler.stderr
