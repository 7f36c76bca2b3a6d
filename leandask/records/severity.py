"""Severity: which events are problems, and OpenTelemetry's numbers of levels."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from leandask.records.schema import WORKER_LOG

#: Topics that upstream uses for problems only.
PROBLEM_TOPICS = frozenset(
    {
        "invalid-worker-task-state",
        "invalid-worker-transition",
        "transition-counter-max-exceeded",
        "warn",
        "worker-fail-hard",
        "worker-restart-memory",
    }
)
#: Actions that are always a problem.
PROBLEM_ACTIONS = frozenset(
    {
        "could-not-retire",
        "no-workers-timeout-exceeded",
        "p2p-failed",
        "scheduler-transition-failed",
        "task-given-up",
        "task-suspected",
        "worker-ttl-timed-out",
    }
)
#: The action of the event that a worker left.
LEAVE = "remove-worker"
#: What is no problem as a scheduler stops: its workers leave, also with tasks.
AT_END = frozenset({LEAVE, "task-suspected"})
#: Actions that may be a problem, and whether a msg shows that it is one.
PROBLEM_SIGNS: dict[str, Callable[[dict[str, Any]], bool]] = {
    LEAVE: lambda msg: not msg.get("expected", True),
    "update-graph": lambda msg: bool(msg.get("status") == "error"),
}

#: OpenTelemetry's numbers of the standard levels:
#: https://opentelemetry.io/docs/specs/otel/logs/data-model/#field-severitynumber
SEVERITY_NUMBERS = {10: 5, 20: 9, 30: 13, 40: 17, 50: 21}
#: The standard levels by their names, and OpenTelemetry's numbers by the same.
LEVELS = {logging.getLevelName(level): level for level in SEVERITY_NUMBERS}
SEVERITIES = {name: SEVERITY_NUMBERS[level] for name, level in LEVELS.items()}
#: The smallest number of a problem.
WARNING_NUMBER = SEVERITY_NUMBERS[logging.WARNING]


def level_of(topic: str, msg: Any, is_stopping: bool = False) -> int:
    """Return the level of an event: WARNING for a problem, else INFO.

    A problem is what upstream itself treats as one, but for workers that leave a
    scheduler which stops. A line of a worker's log has its own level.

    Examples
    --------
    >>> level_of("all", {"action": "remove-worker", "expected": False})
    30
    """
    if topic in PROBLEM_TOPICS:
        return logging.WARNING
    if type(msg) is dict:
        if topic == WORKER_LOG:
            level = msg.get("level")
            return LEVELS.get(level if type(level) is str else "", logging.INFO)
        action = msg.get("action")
        if type(action) is str and (
            action in PROBLEM_ACTIONS
            or (action in PROBLEM_SIGNS and PROBLEM_SIGNS[action](msg))
        ):
            is_end = is_stopping and action in AT_END
            return logging.INFO if is_end else logging.WARNING
    return logging.INFO


def is_worker_lost(record: dict[str, Any]) -> bool:
    """Whether the event of a worker that left says that this was not expected.

    Its payload is no sign: upstream expects none to leave, also where all leave as the
    scheduler stops.
    """
    return bool(record["severity_number"] >= WARNING_NUMBER)


def is_failed_transition(topic: str, msg: Any) -> bool:
    """Whether a problem is upstream's event about a transition that raised."""
    return topic == "transitions" and msg["action"] == "scheduler-transition-failed"


def severity_number(level: Any) -> int:
    """Return OpenTelemetry's number of a level that a user gave; 0 for None.

    Raises ValueError if it is not a standard level of logging.

    Examples
    --------
    >>> severity_number("warning"), severity_number(30)
    (13, 13)
    """
    if level is None:
        return 0
    if isinstance(level, str) and level.upper() in SEVERITIES:
        return SEVERITIES[level.upper()]
    if type(level) is int and level in SEVERITY_NUMBERS:
        return SEVERITY_NUMBERS[level]
    raise ValueError(f"level must be one of {', '.join(SEVERITIES)}; got {level!r}")
