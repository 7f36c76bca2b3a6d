"""The schema of a record: the names of its fields and of its events.

``docs/records.md`` lists the fields and their types. A name keeps its type within a
schema version.
"""

from __future__ import annotations

import logging
from typing import Any

#: Version of the fields' names and types.
SCHEMA_VERSION = 1
#: Values of the field ``event_name``: the kinds of records.
EVENT = "dask.event"
TRANSITION = "dask.task.transition"
TASK_FINISHED = "dask.task.finished"
TASK_ERRED = "dask.task.erred"
#: The kinds that tell of a run of a task.
RUNS = frozenset({TASK_FINISHED, TASK_ERRED})
#: The kinds that tell of one task.
OF_TASKS = RUNS | {TRANSITION}
STARTED = "dask.scheduler.start"
STOPPED = "dask.scheduler.stop"
RECORDS_DROPPED = "leandask.records-dropped"
RETENTION_SET = "leandask.retention-set"
MEMORY_GIVEN_BACK = "leandask.memory-given-back"
MEMORY_LIMIT_SET = "leandask.memory-limit-set"
MEMORY_PRESSURE = "leandask.memory-pressure"
GRAPH_REFUSED = "leandask.graph-refused"
UNRESPONSIVE = "leandask.event-loop-unresponsive"
SAMPLE = "leandask.sample"
LINES_DROPPED = "leandask.worker-lines-dropped"
#: Topics of what leandask publishes itself: lines that workers and nannies have logged,
#: and tasks during which workers were lost.
WORKER_LOG = "leandask-worker-log"
SUSPECTS = "leandask-suspects"

#: Fields of an event and of a transition, besides those that all records have.
EVENT_FIELDS = ("seq", "topic", "action", "worker", "client", "payload")
TRANSITION_FIELDS = (
    "seq",
    "task_key",
    "task_start",
    "task_finish",
    "stimulus_id",
    "n_recommendations",
    "recommendation_keys",
    "recommendation_states",
)
#: Attributes that every LogRecord has. All others are fields.
STANDARD_ATTRIBUTES = tuple(logging.makeLogRecord({}).__dict__)
#: Attribute that OpenTelemetry's handler takes the EventName of a LogRecord from:
#: https://opentelemetry.io/docs/specs/semconv/registry/attributes/otel/.
OTEL_EVENT_NAME = "otel.event.name"
#: Recommendations of a transition that are named; all are counted. A task may have as
#: many as it has dependents.
RECOMMENDATIONS = 1000
#: An event or a transition in our structured form: its level of logging, its time in
#: seconds since the epoch, and its fields in the order of the schema. A plain tuple, as
#: one is made per record: a NamedTuple takes some percent more of the drain's time.
Record = tuple[int, float, dict[str, Any]]
