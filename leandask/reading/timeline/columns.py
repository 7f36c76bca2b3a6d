"""Columns: what a timeline counts in each of its bins."""

from __future__ import annotations

#: States of tasks that are shown, in the order in which their areas are stacked.
STATES = ("memory", "processing", "queued", "waiting", "no-worker", "erred")
#: Counts that go up and down: tasks in each of these states, tasks in states that are
#: not shown, and workers.
LEVELS = (*STATES, "unshown", "workers")
UNSHOWN, WORKERS = LEVELS.index("unshown"), LEVELS.index("workers")
#: Counts that only go up. The first three are transitions: into memory, into erred, and
#: into any other state.
FLOWS = (
    *("finished", "erred", "moved"),
    # Tasks of which a record tells why they erred.
    "failed",
    *("lost", "dropped", "missing", "warned"),
)
#: Columns of a bin: changes of the levels, then the flows.
N_COLUMNS = len(LEVELS) + len(FLOWS)
(FINISHED, ERRED, MOVED, FAILED, LOST, DROPPED, MISSING, WARNED) = range(
    len(LEVELS), N_COLUMNS
)

#: Column of the state before a transition.
BEFORE = {state: LEVELS.index(state) for state in STATES}
BEFORE |= dict.fromkeys(("released", "forgotten"), UNSHOWN)
#: Columns of the state after a transition, and of its flow.
AFTER = {state: (level, MOVED) for state, level in BEFORE.items()}
AFTER["memory"] = BEFORE["memory"], FINISHED
AFTER["erred"] = BEFORE["erred"], ERRED
