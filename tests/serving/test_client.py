"""The types that type checkers see for a client's functions."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import get_type_hints

import pytest
from distributed.utils_test import gen_test

from leandask.serving.report import Report, report_of
from tests.helpers.paths import ROOT
from tests.helpers.schedulers import lean

PROGRAM = """
from collections.abc import Awaitable
from typing import Any
from distributed import Client
from typing_extensions import assert_type
import leandask
from leandask.housekeeping.giveback import Outcome
from leandask.serving.client import Past
from leandask.serving.report import EventLogReport, Report

Bounds = dict[str, int | None]

def synchronous(client: Client) -> None:
    past = leandask.get_history(client, limit=5, topic="all")
    report = leandask.get_report(client)
    outcome = leandask.give_back(client)
    bounds = leandask.set_retention(client, events=500, event_bytes="1 MiB")
    assert_type(past, Past | Awaitable[Past])
    assert_type(report, Report | Awaitable[Report])
    assert_type(outcome, Outcome | Awaitable[Outcome])
    assert_type(bounds, Bounds | Awaitable[Bounds])
    assert isinstance(past, dict)
    assert isinstance(report, dict)
    assert_type(past["truncated"], str | None)
    assert_type(report["memory"]["rss"], int)
    assert_type(report["histories"]["events"]["bound"], int | None)
    report["unknown"]

async def asynchronous(client: Client) -> None:
    past = leandask.get_history(client)
    report = leandask.get_report(client)
    assert not isinstance(past, dict)
    assert not isinstance(report, dict)
    assert_type((await past)["records"], list[dict[str, Any]])
    assert_type((await report)["event_log"], EventLogReport | None)
"""

#: Only the types of leandask matter; other packages would take half a minute.
CONFIG = """
[mypy]
follow_imports = skip
[mypy-leandask.*]
follow_imports = silent
"""


def test_a_type_checker_sees_what_a_client_gets(tmp_path):
    pytest.importorskip("mypy")
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    (tmp_path / "mypy.ini").write_text(CONFIG)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file=mypy.ini", str(program)],
        cwd=tmp_path,
        env=os.environ | {"MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=100,
    )
    [error] = [line for line in done.stdout.splitlines() if "error:" in line]
    assert 'has no key "unknown"' in error


@gen_test()
async def test_a_report_has_the_keys_of_its_type():
    async with lean() as s:
        report = json.loads(json.dumps(report_of(s)))
    assert set(report) == set(get_type_hints(Report, localns=_types()))
    for name, kind in (
        ("memory", "MemoryReport"),
        ("stream", "StreamStats"),
        ("housekeeping", "HousekeepingReport"),
        ("give_back", "GiveBackReport"),
        ("garbage", "GarbageReport"),
        ("task_stream", "TaskStreamReport"),
    ):
        assert set(report[name]) == set(_types()[kind].__annotations__), name


def _types():
    from leandask.histories.bounds import Holding
    from leandask.serving import report

    return vars(report) | {"Holding": Holding}
