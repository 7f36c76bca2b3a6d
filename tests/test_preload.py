"""leandask.preload in schedulers that something else starts."""

from __future__ import annotations

import json
import os
import subprocess
from functools import partial

import click
import dask
import pytest
from distributed import Client, LocalCluster, Nanny, Scheduler, Worker
from distributed.utils_test import async_poll_for, gen_test, inc

from leandask import LeanScheduler
from leandask.cli.scheduler import combined_preloads
from leandask.preload import dask_setup
from tests.helpers.processes import (
    DASK,
    LOOPBACK,
    assert_lean,
    lean_environment,
    lean_settings,
    records_of,
    wait_for,
)
from tests.helpers.schedulers import LOCAL

start_here = partial(Scheduler, preload="leandask.preload", **LOCAL)
upstream = (DASK, "scheduler")


def test_it_is_not_a_click_command():
    # Dask accepts one click command, and the scheduler of dask-gateway has its own.
    assert not isinstance(dask_setup, click.Command)


@gen_test()
async def test_it_makes_a_scheduler_lean_before_workers_connect(tmp_path):
    log = tmp_path / "log.jsonl"
    with dask.config.set(lean_settings(log)):
        async with (
            start_here() as s,
            Worker(s.address),
            Client(s.address, asynchronous=True) as client,
        ):
            assert (s.retention.events, type(s)) == (7, Scheduler)
            assert await client.submit(inc, 1) == 2
        # Upstream's class does not wait for the last record of an extension.
        await async_poll_for(
            lambda: log.exists() and "dask.scheduler.stop" in log.read_text(), 20
        )
    records = records_of(log)
    assert records[0]["event_name"] == "dask.scheduler.start"
    assert records[-1]["event_name"] == "dask.scheduler.stop"
    assert [r["seq"] for r in records] == list(range(1, len(records) + 1))


@gen_test()
async def test_a_lean_scheduler_is_left_as_it_is():
    async with LeanScheduler(
        preload="leandask.preload", retention={"events": 9}, **LOCAL
    ) as s:
        extension = s.extensions["leandask"]
        dask_setup(s)
        assert s.extensions["leandask"] is extension
        assert s.retention.events == 9


@pytest.mark.parametrize("way", ["flag", "environment", "yaml"])
def test_dask_scheduler_can_preload_it(start, tmp_path, way):
    log = tmp_path / "log.jsonl"
    env, flags = lean_environment(log), []
    if way == "flag":
        flags = ["--preload", "leandask.preload"]
    elif way == "environment":
        env["DASK_DISTRIBUTED__SCHEDULER__PRELOAD"] = "leandask.preload"
    else:
        (tmp_path / "dask.yaml").write_text(
            f"""
            distributed: {{scheduler: {{preload: [leandask.preload]}}}}
            leandask:
              retention: {{events: 7}}
              event-log: {{path: {log}, flush-interval: 50 ms}}
            """
        )
        env = {"DASK_CONFIG": str(tmp_path / "dask.yaml")}
    scheduler, file = start(*flags, command=upstream, **env)
    with Client(scheduler_file=str(file)) as client:
        assert_lean(client, log)
    assert scheduler.stop() == 0
    assert '"event_name":"dask.scheduler.stop"' in log.read_text().splitlines()[-1]


def test_another_preload_with_arguments_can_be_combined(start, tmp_path):
    log = tmp_path / "log.jsonl"
    (tmp_path / "other.py").write_text(
        "import click\n"
        "@click.command()\n"
        "@click.option('--greeting')\n"
        "def dask_setup(scheduler, greeting):\n"
        "    scheduler.log_event('other', greeting)\n"
    )
    flags = ["--preload", "other.py", "--preload", "leandask.preload"]
    _, file = start(
        *flags, "--greeting", "hello", command=upstream, **lean_environment(log)
    )
    with Client(scheduler_file=str(file)) as client:
        assert [msg for _, msg in client.get_events("other")] == ["hello"]
        assert_lean(client, log)


#: A preload that says who has called it, with which arguments.
CLICK = """
import click
@click.command()
@click.option("--greeting", default="none")
def dask_setup(scheduler, greeting):
    scheduler.log_event("order", "{name} " + greeting)
"""
PLAIN = """
def dask_setup(scheduler):
    scheduler.log_event("order", "{name}")
"""


def test_leandask_scheduler_takes_configured_and_given_preloads(start, tmp_path):
    for name, text in (("one", CLICK), ("both", PLAIN), ("two", CLICK)):
        (tmp_path / f"{name}.py").write_text(text.format(name=name))
    (tmp_path / "dask.yaml").write_text(
        """
        distributed:
          scheduler:
            preload: [leandask.preload, one.py, both.py]
            preload-argv: [[], [--greeting, hi], []]
        """
    )
    flags = ["--preload", "two.py", "--preload", "both.py", "--greeting", "hello"]
    _, file = start(*flags, DASK_CONFIG=str(tmp_path / "dask.yaml"))
    with Client(scheduler_file=str(file)) as client:
        called = [msg for _, msg in client.get_events("order")]
        assert client.scheduler_info()["type"] == "LeanScheduler"
    assert called == ["one hi", "both", "two hello"]


@pytest.mark.parametrize(
    ("configured", "configured_argv", "given", "argv", "expected"),
    [
        # As upstream does where there are only configured or only given ones.
        (["a"], ["--x"], (), (), ((), ())),
        ([], ["--x"], ("g",), (), (("g",), ())),
        # One text, as in the environment.
        ("a", [], ("g",), (), (["a", "g"], [[], []])),
        ("a", "--x", ("g",), (), (["a", "g"], [["--x"], ["--x"]])),
        # Arguments for all preloads.
        (["a", "b"], ["--x"], ("g",), (), (["a", "b", "g"], [["--x"]] * 3)),
        (["a"], ["--x"], ("g",), ("--y",), (["a", "g"], [["--x"], ("--y",)])),
        (["a"], [["--x"]], ("g",), (), (["a", "g"], [["--x"], ()])),
        # None is loaded twice.
        (["a", "b"], [], ("a", "a"), ("--y",), (["a", "b"], [("--y",), []])),
    ],
)
def test_how_preloads_are_combined(configured, configured_argv, given, argv, expected):
    setting = {
        "distributed.scheduler.preload": configured,
        "distributed.scheduler.preload-argv": configured_argv,
    }
    with dask.config.set(setting):
        combined = combined_preloads(given, argv)
    assert (combined["preload"], combined["preload_argv"]) == expected


def test_arguments_that_do_not_match_the_configured_preloads_are_refused():
    setting = {
        "distributed.scheduler.preload": ["a", "b"],
        "distributed.scheduler.preload-argv": [["--x"]],
    }
    error = r"preload-argv must have a list for each of \['a', 'b'\]; got \[\['--x'\]\]"
    with dask.config.set(setting), pytest.raises(click.UsageError, match=error):
        combined_preloads(("g",), ())


BAD = {"DASK_LEANDASK__RETENTION__EVENTS": "many"}
BAD_HERE = {"leandask.strict": True, "leandask.retention.events": "many"}
ERROR = "leandask.retention.events must be a whole number of at least 0"


def test_a_bad_setting_is_logged_and_the_scheduler_continues(start):
    scheduler, file = start("--preload", "leandask.preload", command=upstream, **BAD)
    with Client(scheduler_file=str(file)) as client:
        assert client.run_on_scheduler(
            lambda dask_scheduler: not hasattr(dask_scheduler, "retention")
        )
    wait_for(lambda: "Failed to start preload: leandask.preload" in scheduler.stderr)
    assert ERROR in scheduler.stderr


@pytest.mark.parametrize(
    ("strict", "error"),
    [("true", ERROR), ("yes", "leandask.strict must be true or false; got 'yes'")],
)
@pytest.mark.parametrize("command", ["scheduler", "spec"])
def test_strict_ends_the_process_of_a_scheduler(command, strict, error):
    if command == "scheduler":
        args = [*LOOPBACK, "--preload=leandask.preload"]
    else:
        options = LOCAL | {"port": 0, "preload": "leandask.preload"}
        spec = {"cls": "distributed.Scheduler", "opts": options}
        args = ["--spec", json.dumps(spec)]
    done = subprocess.run(
        [DASK, command, *args],
        env=os.environ | BAD | {"DASK_LEANDASK__STRICT": strict},
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert f"leandask.strict: the scheduler does not start. {error}" in done.stderr
    assert "RuntimeError: Scheduler failed to start." in done.stderr


def test_strict_raises_in_a_cluster_of_the_users_process(caplog):
    options = {"preload": "leandask.preload", "dashboard_address": "127.0.0.1:0"}
    before = set(Scheduler._instances)
    with dask.config.set(BAD_HERE):
        with pytest.raises(RuntimeError, match="Scheduler failed to start") as info:
            LocalCluster(n_workers=0, processes=False, scheduler_kwargs=options)
    assert ERROR in caplog.text
    assert isinstance(info.value.__cause__.__cause__, TypeError)
    assert {s.status.name for s in set(Scheduler._instances) - before} <= {
        "closed",
        "failed",
    }


@gen_test()
async def test_strict_does_not_stop_a_scheduler_that_can_be_made_lean():
    with dask.config.set({"leandask.strict": True}):
        async with start_here() as s:
            assert "leandask-strict" not in s.plugins
            assert s.retention.events == 100


@pytest.mark.parametrize("node", [Worker, Nanny, "client"])
@gen_test()
async def test_a_worker_or_client_logs_an_error_and_continues(node, caplog):
    """Also with strict, which is for schedulers."""
    key = "client" if node == "client" else node.__name__.lower()
    setting = {f"distributed.{key}.preload": ["leandask.preload"]}
    with dask.config.set(setting | {"leandask.strict": True}):
        async with (
            Scheduler(**LOCAL) as s,
            (Worker if node == "client" else node)(s.address, nthreads=1),
            Client(s.address, asynchronous=True) as client,
        ):
            assert await client.submit(inc, 1) == 2
            assert not hasattr(s, "retention")
    assert "leandask.preload must be in distributed.scheduler.preload" in caplog.text
