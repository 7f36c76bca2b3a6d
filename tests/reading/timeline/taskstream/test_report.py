"""The performance report of a cluster that is gone."""

from __future__ import annotations

import re
import time

import dask
from click.testing import CliRunner
from distributed.utils_test import gen_test

from leandask.cli.main import main
from leandask.records.times import rfc3339
from tests.helpers.schedulers import lean_cluster

#: Seconds that each task takes at least.
NAP = 0.02


def nap(x):
    time.sleep(NAP)
    return x


def odd(x):
    raise ValueError(f"odd {x}")


def run(*args):
    done = CliRunner().invoke(main, [*map(str, args)])
    assert done.exit_code == 0, done.output
    return done.stdout


def cells_of(page, caption):
    """The rows of a table of a page."""
    table = re.search(rf"(?s)<caption>{caption}.*?</table>", page)[0]
    rows = re.findall(r"(?s)<tr>(.*?)</tr>", table)
    return [re.findall(r"<t[hd].*?>(.*?)</t[hd]>", row) for row in rows]


@gen_test()
async def test_it_tells_what_the_tasks_of_a_cluster_took(tmp_path):
    log, page = tmp_path / "log.jsonl", tmp_path / "report.html"
    with dask.config.set({"leandask.event-log.path": str(log)}):
        async with lean_cluster() as (_, client):
            await client.gather(client.map(nap, range(10)))
            failed = client.submit(odd, 3)
            await client.gather(failed, errors="skip")
    out = run("performance-report", log, "-o", page)
    assert out.endswith(f"records in {page}\n")
    text = page.read_text()
    summary = dict(cells_of(text, "Summary")[1:])
    assert (summary["runs of tasks"], summary["runs that erred"]) == ("11", "1")
    assert summary["workers at most"] == "1"
    headings, *rows = cells_of(text, "Runs of tasks by prefix")
    found = {row[0]: dict(zip(headings, row, strict=True)) for row in rows}
    assert {*found} == {"nap", "odd"}
    assert (found["nap"]["runs"], found["odd"]["erred"]) == ("10", "1")
    assert float(found["nap"]["longest"].removesuffix(" ms")) >= 1000 * NAP
    (row,) = cells_of(text, "Runs of tasks by worker")[1:]
    assert row[1:3] == ["11", "1"]
    (row,) = cells_of(text, "Errors of runs")[1:]
    assert row[:2] == ["ValueError", "1"] and "odd 3" in row[2]
    assert "in odd" in row[3] and row[4] == "odd"
    versions = dict(cells_of(text, "Versions")[1:])
    assert versions["dask"] == dask.__version__
    # The timeline has the task stream, and no tables of runs.
    run("timeline", log, "-o", page)
    text = page.read_text()
    assert "11 runs in " in text and "Runs of tasks by" not in text


@gen_test()
async def test_it_tells_of_a_part_of_a_log(tmp_path):
    log, page = tmp_path / "log.jsonl", tmp_path / "report.html"
    with dask.config.set({"leandask.event-log.path": str(log)}):
        async with lean_cluster() as (_, client):
            await client.gather(client.map(nap, range(3)))
            between = time.time()
            await client.gather(client.map(nap, range(3, 8)))
    run("performance-report", log, "-o", page, "--since", rfc3339(between))
    assert dict(cells_of(page.read_text(), "Summary")[1:])["runs of tasks"] == "5"
    run("performance-report", log, "-o", page, "--until", rfc3339(between))
    assert dict(cells_of(page.read_text(), "Summary")[1:])["runs of tasks"] == "3"
