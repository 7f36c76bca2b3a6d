"""RunStats: a stand-in."""

from __future__ import annotations

from typing import Any

from leandask.records.schema import TASK_ERRED, TASK_FINISHED

_PHASES = ("compute", "transfer", "disk", "deserialize")


class RunStats:
    """Stand-in with the interface of ``reading.runs``."""

    def __init__(self) -> None:
        self.prefixes: dict[str, dict[str, Any]] = {}
        self.workers: dict[str, dict[str, Any]] = {}
        self.errors: dict[tuple[str, str], dict[str, Any]] = {}

    def add(self, record: dict[str, Any]) -> None:
        name = record["event_name"]
        if name not in (TASK_FINISHED, TASK_ERRED):
            return
        for group, key in (
            (self.prefixes, record.get("task_prefix")),
            (self.workers, record.get("worker")),
        ):
            if key is None or len(group) > 10_000:
                continue
            row = group.setdefault(
                key, {"count": 0, "erred": 0, "nbytes": 0} | {p: [] for p in _PHASES}
            )
            row["count"] += 1
            row["erred"] += name == TASK_ERRED
            row["nbytes"] += record.get("nbytes", 0)
            for phase in _PHASES:
                if (s := record.get(f"{phase}_seconds")) is not None:
                    row[phase].append(s)
        if name == TASK_ERRED and "exception_text" in record:
            key = (record["exception_type"], record["exception_text"][:200])
            error = self.errors.setdefault(
                key,
                {
                    "type": key[0],
                    "text": record["exception_text"],
                    "line": "",
                    "count": 0,
                    "first_key": record["task_key"],
                    "traceback": record.get("exception", ""),
                },
            )
            error["count"] += 1

    def as_dict(self) -> dict[str, Any]:
        return {
            "prefixes": {k: _row(v) for k, v in self.prefixes.items()},
            "workers": {k: _row(v) for k, v in self.workers.items()},
            "errors": sorted(self.errors.values(), key=lambda e: -e["count"]),
        }


def _row(row: dict[str, Any]) -> dict[str, Any]:
    out = {n: row[n] for n in ("count", "erred", "nbytes")}
    for phase in _PHASES:
        values = sorted(row[phase])
        n = len(values)
        out[f"{phase}_seconds"] = n and {
            "total": sum(values),
            "mean": sum(values) / n,
            "p50": values[n // 2],
            "p99": values[n * 99 // 100],
            "max": values[-1],
        }
    return out
