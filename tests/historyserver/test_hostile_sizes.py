"""Logs that are made to be too large: other pages are there meanwhile."""

from __future__ import annotations

import gzip
import os
import threading

import pytest

from leandask.eventlog.formatter import JSONFormatter
from leandask.eventlog.frames.codec import codec_of
from tests.helpers.logs import Log, write, write_logs
from tests.helpers.processes import wait_for


def line_of(scheduler_id):
    record = Log(scheduler_id).start(0).records[0]
    return JSONFormatter().encode_fields(record) + b"\n"


def sparse(path):
    """50 GB without an end of a line, which take no place on the disk."""
    write(path, line_of("bad"))
    os.truncate(path, 50 * 10**9)


def gzip_bomb(path):
    """A hundred megabytes of lines in a hundred kilobytes."""
    with gzip.open(path.with_suffix(".jsonl.gz"), "wb") as file:
        file.write(line_of("bad"))
        for _ in range(8):
            file.write(b'{"x":"' + b"0" * 2**24 + b'"}\n')


def zstd_bomb(path):
    """Frames that expand ten thousand times."""
    compress = codec_of("zstd").compress
    frame = compress(bytearray(b'{"x":"' + b"0" * 2**26 + b'"}\n'))
    first = compress(bytearray(line_of("bad")))
    write(path.with_suffix(".jsonl.zst"), first, *[frame] * 64)


@pytest.mark.parametrize("make", [sparse, gzip_bomb, zstd_bomb])
def test_a_log_that_is_too_large_delays_no_other_page(serve, tmp_path, make):
    logs = tmp_path / "logs"
    logs.mkdir()
    make(logs / "bad.jsonl")
    write_logs(logs / "good.jsonl", Log("good").start(0).stop(1))
    with serve(logs, "--page-timeout", "10 s") as server:
        wait_for(lambda: {"bad", "good"} <= {run["id"] for run in server.runs()})
        answers = []
        bad = threading.Thread(
            target=lambda: answers.append(server.get("/api/v1/runs/bad/overview"))
        )
        server.ask("/runs/good/overview")  # starts a process
        bad.start()
        meanwhile = 0
        while bad.is_alive():
            for path in ("/", "/runs/good", "/api/v1/runs/good/overview"):
                assert server.get(path)[0] == 200
                meanwhile += bad.is_alive()
        assert meanwhile > 10
        assert answers[0][0] in (200, 422)
        assert b"signal" not in answers[0][2]  # no crash
        write_logs(logs / "new.jsonl", Log("new").start(0).stop(1))
        wait_for(lambda: "new" in {run["id"] for run in server.runs()})
