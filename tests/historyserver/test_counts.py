"""What is counted of a run: by its scheduler for the archive, and by the index."""

from __future__ import annotations

import pytest

from leandask.eventlog.archive.runsummary import RunSummary as ArchivedSummary
from leandask.historyserver.index.archived import row_of
from leandask.historyserver.index.places import Place
from leandask.historyserver.index.runsummary import RunSummary
from leandask.reading.lives import Life, Memory
from tests.helpers.logs import HOSTILE, Log, run_record

COUNTS = ("tasks", "erred", "workers_max", "workers_lost", "dropped")
NAMES = (*COUNTS, "versions", "exceptions", "prefixes")


def counted(records):
    """What the index and the archive say of some records."""
    index, archive = RunSummary(Life("S-1", 0)), ArchivedSummary("S-1", None, {}, True)
    for record in records:
        index.add(record)
        archive.see(record)
    index = RunSummary.loads(index.dumps())  # as it goes on after a restart
    found = index.row([index.life], None), archive.as_dict()
    return [{name: fields[name] for name in NAMES} for fields in found]


def test_the_index_counts_as_the_archive_does():
    log = Log("S-1").start(0, dask_version="1")
    log.join(1, "tcp://a:1").join(1, "tcp://b:1").leave(2, "tcp://b:1", expected=False)
    log.records += [
        run_record(3, "inc-1"),
        run_record(4, "x-1", erred="E('it is tried again')", blamed_key=""),
        run_record(5, "x-1", erred="E('x')"),
        run_record(6, "y-1", erred="E('x')", blamed_key="x-1"),
    ]
    log.add(7, "leandask.sample", interval=1.0, rss=5, limit=None, workers=4)
    log.add(7, "leandask.records-dropped", dropped_total=3, dropped_since_last=3)
    log.leave(8, "tcp://a:1", expected=False).join(8, "tcp://c:1").stop(9)
    index, archive = counted(log.records)
    assert index == archive
    assert [index[name] for name in COUNTS] == [1, 2, 4, 2, 3]
    assert index["exceptions"] == ["E('x')"]
    assert index["prefixes"] == ["inc", "x", "y"]


@pytest.mark.parametrize(
    ("rss", "limit", "state"),
    [
        (461, 512, "killed-memory"),
        (461, 0, "killed"),
        (461, None, "killed"),
        (461, 513, "killed"),
        (0, 512, "killed"),
    ],
)
def test_both_tell_a_kill_for_memory_by_the_same_rule(rss, limit, state):
    life, other = Life("S-1", 0), Life("S-2", 0)
    life.see(100_000)
    other.see(200_000)
    life.interval, life.memory = 1000.0, Memory(100_000, rss, limit or None)
    index = RunSummary(life).row([life, other], None)
    summary = {"scheduler_id": "S-1", "updated": 100.0}
    summary |= {"rss_peak": rss, "limit": limit}
    archive = row_of(summary, Place("/logs/S-1", "", 0))
    assert index["state"] == archive["state"] == state
    assert index["reason"].partition(":")[0] == archive["reason"]


def test_values_of_other_types_count_for_nothing():
    log = Log("S-1").start(0)
    for value in (None, -1, 2**60, 1.5, "7", [], {}, True):
        run = run_record(1, erred="E", exception_text=value, task_prefix=value)
        log.records.append(run | {"task_prefix": value})
        log.add(2, "leandask.memory-limit-set", workers=value, dropped_total=value)
    index, archive = counted(log.records)
    assert index == archive
    assert [index[name] for name in COUNTS] == [0, 8, 0, 0, 0]
    assert index["exceptions"] == index["prefixes"] == ["7"]


def test_texts_are_kept_as_they_are_shown():
    log = Log("S-1").start(0)
    for text in HOSTILE:
        run = run_record(1, erred=text) | {"task_prefix": text}
        log.records.append(run)
    index, archive = counted(log.records)
    assert index == archive and len(index["prefixes"]) == len(HOSTILE)
    for text in [*index["prefixes"], *index["exceptions"]]:
        assert text.isprintable() and len(text) <= 520
