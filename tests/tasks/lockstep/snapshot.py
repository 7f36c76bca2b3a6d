"""What two schedulers have to agree on, as plain values."""

from __future__ import annotations

import itertools
import pickle
from operator import attrgetter
from typing import Any

from dask._task_spec import GraphNode
from distributed.protocol.serialize import Serialize, Serialized, ToPickle

#: Attributes of a task that are plain values, or None or empty for want of one.
PLAIN = [
    "state",
    "priority",
    "nbytes",
    "exception_text",
    "traceback_text",
    "suspicious",
    "retries",
    "host_restrictions",
    "worker_restrictions",
    "resource_restrictions",
    "loose_restrictions",
    "actor",
    "type",
    "metadata",
    "annotations",
    "erred_on",
    "has_lost_dependencies",
    "_queueable",
]

#: Attributes of a task that hold tasks, workers or clients.
OTHERS = [
    "dependencies",
    "dependents",
    "waiting_on",
    "waiters",
    "who_wants",
    "who_has",
]

get_plain = attrgetter(*PLAIN)
get_others = attrgetter(*OTHERS)


def names(members: Any) -> list[str]:
    """Return the names of tasks, workers or clients, sorted; none for None."""
    return sorted(map(name, members or ()))


def name(member: Any) -> str:
    for attribute in ("key", "address", "client_key"):
        if hasattr(member, attribute):
            return str(getattr(member, attribute))
    raise TypeError(member)


def task(side, ts) -> dict[str, Any]:
    """Return a task's attributes."""
    found = {"plain": {k: v or None for k, v in zip(PLAIN, get_plain(ts), strict=True)}}
    for each, members in zip(OTHERS, get_others(ts), strict=True):
        found[each] = names(members) if members else []
        if members:  # It behaves as a set.
            assert len(members) == len(set(members))
            assert all(member in members for member in members)
    found["processing_on"] = ts.processing_on and ts.processing_on.address
    found["run"] = side.number_of_run(ts.run_id)
    found["group"], found["prefix"] = ts.group.name, ts.prefix.name
    found["spec"] = side.once(ts.run_spec, value)
    for each in ("exception", "traceback"):
        found[each] = side.once(getattr(ts, each), value)
    found["blame"] = BLAMED if ts.exception_blame is not None else None
    return found


def worker(ws) -> dict[str, Any]:
    """Return a worker's attributes."""
    return {
        "status": ws.status.name,
        "processing": names(ws.processing),
        "long_running": names(ws.long_running),
        "has_what": [name(ts) for ts in ws.has_what],
        "nbytes": ws.nbytes,
        "actors": names(ws.actors),
        "executing": {name(ts): time for ts, time in ws.executing.items()},
        "needs_what": {name(ts): n for ts, n in ws.needs_what.items()},
        "used_resources": ws.used_resources,
        "prefixes": dict(ws.task_prefix_count),
        "occupancy": round(ws.occupancy, 6),
        "memory": ws.memory.optimistic,
    }


def group(tg) -> dict[str, Any]:
    """Return a group's counts."""
    return {
        "states": dict(tg.states),
        "dependencies": sorted(each.name for each in tg.dependencies),
        "nbytes": tg.nbytes_total,
        "durations": {k: round(v, 6) for k, v in tg.all_durations.items()},
        "types": sorted(tg.types),
        "last_worker": tg.last_worker and tg.last_worker.address,
    }


def prefix(tp) -> dict[str, Any]:
    """Return a prefix's counts."""
    return {
        "states": dict(tp.states),
        "state_counts": dict(tp.state_counts),
        "groups": sorted(each.name for each in tp.groups),
        "duration": round(tp.duration_average, 6),
        "max_exec_time": tp.max_exec_time,
        "suspicious": tp.suspicious,
        "nbytes": tp.nbytes_total,
    }


def stealing(extension) -> dict[str, Any]:
    """Return what could be stolen, and what is being stolen."""
    stealable = {
        (address, level): names(members)
        for address, levels in extension.stealable.items()
        for level, members in enumerate(levels)
        if members
    }
    in_flight = {
        name(ts): (info["victim"].address, info["thief"].address, info["stimulus_id"])
        for ts, info in extension.in_flight.items()
    }
    # Upstream keeps tasks that are done, and skips them.
    unknown = {
        each: processing
        for each, members in extension.unknown_durations.items()
        if (processing := names(ts for ts in members if ts.processing_on))
    }
    return {
        "stealable": stealable,
        "keys": {name(ts): where for ts, where in extension.key_stealable.items()},
        "unknown": unknown,
        "in_flight": in_flight,
    }


def scheduler(side) -> dict[str, Any]:
    """Return all that is compared after each step."""
    s = side.scheduler
    assert all(ts.key == key for key, ts in s.tasks.items())
    return {
        "tasks": {str(key): task(side, ts) for key, ts in s.tasks.items()},
        "workers": {address: worker(ws) for address, ws in s.workers.items()},
        "clients": {key: names(cs.wants_what) for key, cs in s.clients.items()},
        "groups": {key: group(tg) for key, tg in s.task_groups.items()},
        "prefixes": {key: prefix(tp) for key, tp in s.task_prefixes.items()},
        "queued": [name(ts) for ts in s.queued.sorted()],
        "first queued": s.queued and name(s.queued.peek()),
        "unrunnable": {name(ts): since for ts, since in s.unrunnable.items()},
        "replicated": names(s.replicated_tasks),
        "idle": list(s.idle),
        "idle_task_count": names(s.idle_task_count),
        "saturated": names(s.saturated),
        "running": names(s.running),
        "n_tasks": s.n_tasks,
        "counts": dict(s._task_prefix_count_global),
        "occupancy": round(s.total_occupancy, 6),
        "resources": s.resources,
        "aliases": s.aliases,
        "stealing": stealing(s.extensions["stealing"]),
        "is_idle": s.is_idle,
    }


def value(it: Any) -> Any:
    """Return a part of a message as a value that is equal for equal parts."""
    if isinstance(it, dict):
        return {str(key): value(it[key]) for key in sorted(it, key=str)}
    if isinstance(it, list | tuple):
        return [value(each) for each in it]
    if isinstance(it, set | frozenset):
        return sorted(map(str, it))
    if isinstance(it, GraphNode):
        parts = [value(getattr(it, name, ())) for name in ("args", "kwargs")]
        return str(it.key), repr(it), sorted(map(str, it.dependencies)), parts
    if isinstance(it, Serialize | ToPickle):
        return value(it.data)
    if isinstance(it, Serialized):
        return value(b"".join(map(bytes, it.frames)))
    if isinstance(it, bytes | bytearray | memoryview):
        try:
            it = pickle.loads(it)
        except Exception:
            return bytes(it)
        return repr(it) if isinstance(it, BaseException) else type(it).__name__
    return it


#: Stands for the dependency that is blamed, and its error: which of several that have
#: erred it is depends on the order of a set.
BLAMED = "a dependency that has erred"


def messages(side) -> dict[str, list[str]]:
    """Return what was sent since the last call, by recipient.

    What goes to one recipient is sorted: its order depends on sets.
    """
    sent = {}
    for recipient, msgs in side.take_sent().items():
        sent[recipient] = sorted(repr(message(side, msg)) for msg in msgs)
    return sent


def message(side, msg: dict[str, Any]) -> dict[str, Any]:
    plain = {key: value(each) for key, each in msg.items()}
    if "run_id" in plain:
        plain["run_id"] = side.number_of_run(msg["run_id"])
    if "span_id" in plain:
        plain["span_id"] = bool(plain["span_id"])
    if "who_has" in plain:
        plain["who_has"] = {k: sorted(v) for k, v in plain["who_has"].items()}
    if msg.get("op") == "task-erred":
        ts = side.scheduler.tasks.get(msg["key"])
        if ts is None or ts.exception_blame is not ts:
            plain["exception"] = BLAMED
    if isinstance(plain.get("keys"), list):
        plain["keys"] = sorted(map(str, plain["keys"]))
    return plain


def differences(left: Any, right: Any, path: str = "") -> list[str]:
    """Return where two values differ, at most ten places."""
    if left == right:
        return []
    if isinstance(left, dict) and isinstance(right, dict):
        found = (
            differences(left.get(key), right.get(key), f"{path}/{key}")
            for key in dict.fromkeys([*left, *right])
        )
        return list(itertools.islice(itertools.chain.from_iterable(found), 10))
    return [f"{path}: {left!r} != {right!r}"]
