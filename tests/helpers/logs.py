"""Logs and records for tests: lines of a log, and records as readers yield them."""

from __future__ import annotations

import itertools
import json
import logging

from distributed.scheduler import Transition

from leandask.eventlog.formatter import JSONFormatter
from leandask.reading.timeline.timeline import Timeline
from leandask.records.factory import RecordFactory
from leandask.records.payload import plain
from leandask.records.times import rfc3339

#: Time of the first lines, in seconds since the epoch.
NOW = 1795521452.159629
#: Start of a :class:`Log`, 2026-03-04 05:00 UTC, in seconds since the epoch.
T0 = 1772600400.0
#: Texts that would break out of a page that does not escape them.
HOSTILE = [
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<!--<script>",
    "-->\u2028\u2029",
    "\ud800 alone",
    "{{ data }}{% raw %}",
    "&lt;b&gt;",
    "\u202eright to left",
    "k" * 512,
]


def transition(i, key=None, recommendations=(), finish="memory"):
    key = f"x-{i}" if key is None else key
    others = dict.fromkeys(recommendations, "waiting")
    return Transition(key, "processing", finish, others, f"s-{i}", NOW + i)


def lines(n, scheduler_id="Scheduler-1", first=1, formatter=None):
    """Yield n lines of transitions, with an event in place of each 64th."""
    factory = RecordFactory(scheduler_id)
    formatter = formatter or JSONFormatter()
    for i in range(first, first + n):
        if i % 64 == 0:
            msg = {"action": "add-worker", "worker": "tcp://127.0.0.1:1", "i": i}
            event = (logging.INFO, "all", NOW + i, plain(msg, 1000)[0], False)
            fields = factory.event(i, event)[2]
        else:
            fields = factory.transition(i, transition(i))[2]
        yield formatter.encode_fields(fields) + b"\n"


def write(path, *parts):
    path.write_bytes(b"".join(parts))
    return path


def assert_no_gap(records):
    """Assert that records are numbered from 1, without a gap."""
    assert [r["seq"] for r in records] == list(range(1, len(records) + 1))


def record(seconds=0.0, **fields):
    """A valid record, so many seconds after :data:`T0`."""
    return {
        "timestamp": rfc3339(T0 + seconds),
        "severity": "INFO",
        "severity_number": 9,
        "event_name": "dask.scheduler.start",
        "schema_version": 1,
        "scheduler_id": "Scheduler-1",
        "seq": 1,
        **fields,
    }


def run_record(seconds, key="inc-1", seq=1, erred="", compute=0.5, **fields):
    """A valid record of a run that ended so many seconds after :data:`T0`."""
    own = {
        "event_name": "dask.task.erred" if erred else "dask.task.finished",
        "severity": "WARNING" if erred else "DEBUG",
        "severity_number": 13 if erred else 5,
        "logger": "leandask.tasks",
        "message": "",
        "seq": seq,
        "task_key": key,
        "task_prefix": key.partition("-")[0],
        "task_group": key.partition("-")[0],
        "worker": "tcp://127.0.0.1:1",
        "worker_name": "w-1",
        "worker_thread": 7,
        "retries_left": 0,
        "run_start": rfc3339(T0 + seconds - compute),
        "compute_seconds": compute,
    }
    if erred:
        own |= {"exception_type": "ValueError", "exception_text": erred}
        own |= {"blamed_key": key, "exception": '  File "x.py", line 1, in f\n'}
    return record(seconds, **own | fields)


def event_record(seconds, topic, action=None, worker=None, **payload):
    """A valid record of an event."""
    return record(
        seconds,
        event_name="dask.event",
        topic=topic,
        action=action,
        worker=worker,
        client=None,
        payload=json.dumps({"action": action, **payload}),
        message=f"{topic}: {action}",
    )


def transition_record(seconds, key, start, finish):
    """A valid record of a transition."""
    return record(
        seconds,
        event_name="dask.task.transition",
        task_key=str(key),
        task_start=start,
        task_finish=finish,
        stimulus_id=f"s-{seconds}",
        n_recommendations=0,
        recommendation_keys=[],
        recommendation_states=[],
        message=f"{key}: {start} -> {finish}",
    )


class Log:
    """Records of one scheduler, as the event log has them."""

    def __init__(self, scheduler_id="Scheduler-1", seq=0):
        self.id = scheduler_id
        self.seq = seq
        self.records = []

    def append(self, record):
        self.seq += 1
        self.records.append(record | {"scheduler_id": self.id, "seq": self.seq})
        return self

    def add(self, seconds, event_name, **fields):
        return self.append(record(seconds, event_name=event_name, **fields))

    def start(self, seconds, **fields):
        address = "tcp://10.0.0.1:8786"
        return self.add(seconds, "dask.scheduler.start", address=address, **fields)

    def stop(self, seconds, reason="scheduler-close"):
        return self.add(seconds, "dask.scheduler.stop", reason=reason)

    def sample(self, seconds, rss, limit=512, interval=10.0):
        """Add a sample; `rss` and `limit` are in MiB."""
        memory = {"rss": rss * 2**20, "limit": limit and limit * 2**20}
        return self.add(seconds, "leandask.sample", interval=interval, **memory)

    def pressure(self, seconds, rss, *holders, limit=512):
        memory = {"rss": rss * 2**20, "limit": limit * 2**20}
        return self.add(
            seconds,
            "leandask.memory-pressure",
            severity="WARNING",
            severity_number=13,
            level="warn",
            holders=[*holders],
            message=f"memory pressure: {rss} of {limit} MiB",
            **memory,
        )

    def event(self, seconds, topic, action, level=9, worker=None, **payload):
        made = event_record(seconds, topic, action, worker, **payload)
        return self.append(made | {"severity_number": level})

    def join(self, seconds, worker):
        self.event(seconds, worker, "add-worker", worker=worker)
        return self.event(seconds, "all", "add-worker", worker=worker)

    def leave(self, seconds, worker, expected=True):
        for topic in (worker, "all"):
            level = 9 if expected else 13
            self.event(
                seconds, topic, "remove-worker", level, worker, expected=expected
            )
        return self

    def ran(self, seconds, key, compute=1.0, worker=1, thread=1, error="", **fields):
        """Add a run that ended then; `worker` is a number."""
        own = {
            "worker": f"tcp://10.0.0.{worker}:4000",
            "worker_name": f"worker-{worker}",
            "worker_thread": thread,
            "task_prefix": str(key).rpartition("-")[0],
        }
        made = run_record(seconds, key, 0, error, compute, **own | fields)
        return self.append(made)

    def task(self, seconds, key, *states):
        for before, after in itertools.pairwise(states):
            self.append(transition_record(seconds, key, before, after))
        return self


def write_logs(path, *logs):
    """Write the records of logs, one log after the other."""
    return write(path, encoded(*logs))


def append_logs(path, *logs):
    """Write what a log lacks of these: whoever reads it never finds it empty."""
    with path.open("ab") as file:
        file.write(encoded(*logs)[file.tell() :])


def encoded(*logs):
    encode = JSONFormatter().encode_fields
    return b"".join(encode(each) + b"\n" for log in logs for each in log.records)


def timeline_of(*logs):
    """The timeline of the records of logs, one log after the other."""
    timeline = Timeline()
    for log in logs:
        for each in log.records:
            timeline.add(each)
    return timeline


def hostile_timeline():
    """A timeline whose records have hostile texts wherever a text can be."""
    timeline = Timeline()
    log = Log(HOSTILE[0]).start(0)
    log.records[0]["address"] = HOSTILE[1]
    for i, text in enumerate(HOSTILE):
        log.join(i + 1, text)
        log.task(i + 1, text, "released", "waiting", "processing", "erred")
        log.event(i + 1, text, text, 13).leave(i + 2, text, expected=False)
        timeline.note(text)
    log.stop(30, reason=HOSTILE[1])
    for record in log.records:
        timeline.add(record)
    return timeline
