"""The schema of a record: names of its fields and events.

The fields and their types are listed in ``docs/records.md``. A name keeps its type
within a schema version.
"""

from __future__ import annotations

import logging
from typing import Any

#: Version of the fields' names and types.
SCHEMA_VERSION = 1
#: Names of events: what kind of record it is.
EVENT = "dask.event"
TRANSITION = "dask.task.transition"
STARTED = "dask.scheduler.start"
STOPPED = "dask.scheduler.stop"
RECORDS_DROPPED = "leandask.records-dropped"
RETENTION_SET = "leandask.retention-set"
MEMORY_GIVEN_BACK = "leandask.memory-given-back"

#: Fields of an event, and of a transition, beside those that all records have.
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
#: Recommendations of a transition that are named; all are counted. They are as many as
#: the task has dependents.
RECOMMENDATIONS = 1000
#: Level of logging, time in seconds since the epoch, and the fields in their order.
Record = tuple[int, float, dict[str, Any]]
