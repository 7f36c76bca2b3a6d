"""The examples of docs/records.md, on the log of a real scheduler."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import shutil

import dask
import pytest
import yaml
from distributed import Client, Worker
from distributed.utils_test import gen_test

from tests.helpers.codeblocks import Shell, assert_alike, blocks, commands, run_program
from tests.helpers.paths import ROOT
from tests.helpers.schedulers import lean, until

PAGE = (ROOT / "docs" / "records.md").read_text().split("## Examples")[1]


def of(language):
    return [text for name, text in blocks(PAGE) if name == language]


def load(x):
    return x


def fit(x):
    raise ValueError(x)


async def hold():
    await asyncio.Event().wait()


def write_log(path, fields="leandask"):
    """Write the log of a scheduler with tasks that finished, erred and were lost."""
    config = {
        "leandask.event-log.path": str(path),
        "leandask.stream.transitions": True,
        "leandask.stream.fields": fields,
    }

    @gen_test(config=config)
    async def run():
        with dask.config.set(config):
            async with (
                lean() as s,
                Worker(s.address) as a,
                Worker(s.address) as b,
                Client(s.address, asynchronous=True) as client,
            ):
                await client.gather(client.map(load, range(10), workers=a.address))
                assert await client.submit(fit, 1, workers=a.address).exception()
                held = client.submit(hold, workers=b.address, key="hold-" + 32 * "0")
                await until(lambda: s.workers[b.address].processing)
                await s.remove_worker(b.address, stimulus_id="lost", expected=False)
                del held
                await client.retire_workers([a.address])  # not lost: it was expected

    run()
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the log."""
    folder = tmp_path_factory.mktemp("log")
    write_log(folder / "events.jsonl")
    return folder


@pytest.fixture(scope="module")
def rotated(folder, tmp_path_factory):
    """The same log, of which a part is in a gzipped file."""
    lines = (folder / "events.jsonl").read_bytes().splitlines(keepends=True)
    other = tmp_path_factory.mktemp("rotated")
    (other / "events.jsonl.1.gz").write_bytes(gzip.compress(b"".join(lines[:20])))
    (other / "events.jsonl").write_bytes(b"".join(lines[20:]))
    return other


def test_jq(folder, rotated):
    if not shutil.which("jq"):
        pytest.skip("jq is not installed")
    [block] = of("console")
    for command, shown in commands(block):
        for place in (folder, rotated) if "events.jsonl*" in command else (folder,):
            with Shell(place) as shell:
                assert_alike(shell.run(command), shown)


@pytest.mark.parametrize("place", ["folder", "rotated"])
def test_duckdb(place, request, monkeypatch):
    duckdb = pytest.importorskip("duckdb")
    monkeypatch.chdir(request.getfixturevalue(place))
    for query in of("sql"):
        shown = re.findall("^-- (.*)$", query, flags=re.M)
        rows = duckdb.sql(query).fetchall()
        assert_alike("\n".join(" ".join(map(str, row)) for row in rows), shown)


def test_pandas(folder):
    pytest.importorskip("pandas")
    [program] = of("python")
    run_program(folder, program)


def names_in(queries):
    """The names of fields that queries compare or group by."""
    queries = re.sub(r"\{.*?\}", "", queries)  # labels of Loki's streams
    return {*re.findall(r"([\w.@]+)(?:=|: )\"", queries)} | {
        *re.findall(r" by \((\w+)\)", queries)
    }


@pytest.mark.parametrize(
    ("language", "fields"), [("logql", "leandask"), ("kql", "ecs")]
)
def test_what_loki_and_elasticsearch_are_asked_for_is_in_the_records(
    language, fields, tmp_path
):
    [queries] = of(language)
    lines = write_log(tmp_path / "events.jsonl", fields).read_text().splitlines()
    records = [json.loads(line) for line in lines]
    names = names_in(queries)
    assert len(names) >= 4
    for name in names:
        values = {str(r[name]) for r in records if r.get(name) is not None}
        asked = {*re.findall(rf'{re.escape(name)}(?:=|: )"([^"]+)"', queries)}
        assert values >= asked, name
        assert values, name


def test_the_configurations_for_loki_and_elasticsearch_fit():
    vector = yaml.safe_load((ROOT / "docs" / "deploy" / "vector.yaml").read_text())
    loki, filebeat = map(yaml.safe_load, of("yaml"))
    [sink] = loki["sinks"].values()
    assert set(sink["inputs"]) <= set(vector["transforms"])
    [queries] = of("logql")
    for selector in re.findall(r"\{(.*?)\}", queries):
        assert selector in [f'{n}="{v}"' for n, v in sink["labels"].items()]
    [read] = filebeat["filebeat.inputs"]
    [source] = vector["sources"].values()
    assert set(read["paths"]) <= set(source["include"])
