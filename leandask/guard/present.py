"""The present: what live tasks, workers and clients take, estimated from samples."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Collection
from itertools import islice
from sys import getsizeof
from types import (
    BuiltinFunctionType,
    FunctionType,
    MethodDescriptorType,
    ModuleType,
)
from typing import Any, NamedTuple, TypedDict

from distributed import Scheduler
from distributed.comm import Comm
from distributed.scheduler import (
    ClientState,
    TaskGroup,
    TaskPrefix,
    TaskState,
    WorkerState,
)
from tornado.ioloop import IOLoop

from leandask import _compat

#: Tasks, and peers, that are looked at. A task has about 20 objects, in 20 µs, and a
#: peer or connection 50 to 100.
SAMPLE_TASKS, SAMPLE_PEERS = 64, 8
#: Objects of one of them that are looked at.
MOST_OBJECTS = 1000
#: Bytes of the header of an object that can be part of a cycle, the flag of its type,
#: and the steps in which CPython hands out memory; from its ``obmalloc.c``.
GC_HEADER, HAVE_GC, STEP = 16, 1 << 14, 16
#: Bytes of a place in the table of what a worker has.
REPLICA_BYTES = 50
#: RSS for each byte of objects: some of it is free space. With so many new blocks, of
#: which tasks are most, it is measured; else it is what 300,000 tasks had.
OVERHEAD, MANY_BLOCKS = 1.25, 200_000
#: The least and most that is believed: after a release, nearly all may be free space.
LEAST, MOST = 1.0, 2.0
#: Bytes of the largest object that is in a block of Python's own; from ``obmalloc.c``.
LARGEST_BLOCK = 512
#: Bytes of a connection that do not refer to each other: coroutines, their frames,
#: futures, callbacks and the socket. Measured: RSS of 300 workers, and of 300 clients.
CONNECTION_BYTES = 8900
#: Bytes that OpenSSL holds of a connection over tls://, its buffers among them.
#: Measured: RSS of 240 clients.
TLS_BYTES = 17800
#: Types of what does not belong to a task or a peer, but is referred to.
FOREIGN = (
    *(TaskState, WorkerState, ClientState, TaskGroup, TaskPrefix, Scheduler, Comm),
    *(IOLoop, asyncio.AbstractEventLoop),
    *(type, ModuleType, FunctionType, BuiltinFunctionType),
)
_FOREIGN_IDS = frozenset(map(id, FOREIGN))
#: Return the bases and the flags of a class, whatever its metaclass says.
_bases_of: Any = type.__dict__["__mro__"].__get__
_flags_of: Any = type.__dict__["__flags__"].__get__


class Live(TypedDict):
    """How many there are, and the bytes that they take, estimated."""

    count: int
    bytes: int


class Start(NamedTuple):
    """The process when its scheduler had no tasks."""

    #: RSS in bytes, and what of it is not of files, such as libraries.
    rss: int
    own: int
    #: Blocks that Python had allocated.
    blocks: int

    @classmethod
    def of(cls, scheduler: Scheduler) -> Start:
        """Measure a scheduler's process now."""
        info = scheduler.monitor.proc.memory_info()
        own = info.rss - getattr(info, "shared", 0)  # Linux tells
        return cls(info.rss, own, sys.getallocatedblocks())


class Sample(NamedTuple):
    """What one of many has, on average."""

    #: Bytes of its objects, and of those that are in Python's blocks.
    nbytes: float
    small: float
    #: Python's blocks.
    blocks: float


#: By what they are: tasks, workers, clients and connections. There are two connections
#: of each worker and client, and others.
Present = dict[str, Live]


def present_of(scheduler: Scheduler, start: Start | None = None) -> Present:
    """Estimate what a scheduler holds now.

    It takes about 5 ms, and 10 ms more for each million tasks.
    """
    workers, clients = scheduler.workers.values(), scheduler.clients.values()
    connections = _compat.get_connections(scheduler)
    held = _held_by(scheduler)
    connected = _estimate(connections, held)
    connected["bytes"] += CONNECTION_BYTES * len(connections)
    connected["bytes"] += TLS_BYTES * sum("cipher" in c.extra_info for c in connections)
    tasks = _estimate_tasks(scheduler, start, held)
    tasks["bytes"] += getsizeof(scheduler.tasks)
    tasks["bytes"] += sum(getsizeof(client.wants_what) for client in clients)
    tasks["bytes"] += REPLICA_BYTES * sum(len(each.has_what) for each in workers)
    return {
        "tasks": tasks,
        "workers": _estimate(workers, held),
        "clients": _estimate(clients, held),
        "connections": connected,
    }


def _held_by(scheduler: Scheduler) -> set[int]:
    """Return the ids of what the scheduler itself, and ours of it, refers to."""
    holders = [scheduler, scheduler.extensions.get("leandask")]
    return {
        id(each)
        for holder in holders
        for each in getattr(holder, "__dict__", {}).values()
    }


def _estimate(every: Collection[Any], held: set[int]) -> Live:
    """Estimate what peers or connections take."""
    mean = _sample(every, SAMPLE_PEERS, held)
    return {"count": len(every), "bytes": int(mean.nbytes * len(every) * OVERHEAD)}


def _estimate_tasks(scheduler: Scheduler, start: Start | None, held: set[int]) -> Live:
    """Estimate what tasks take, with their part of the free space between objects."""
    count = len(scheduler.tasks)
    mean = _sample(scheduler.tasks.values(), SAMPLE_TASKS, held)
    large = (mean.nbytes - mean.small) * count
    overhead = OVERHEAD
    if start is not None and mean.blocks:
        now = Start.of(scheduler)
        blocks = now.blocks - start.blocks
        if blocks >= MANY_BLOCKS:
            objects = blocks * mean.small / mean.blocks
            overhead = (now.own - start.own - large) / objects
            overhead = min(max(overhead, LEAST), MOST)
    return {"count": count, "bytes": int(mean.small * count * overhead + large)}


def _sample(every: Collection[Any], n_samples: int, held: set[int]) -> Sample:
    """Look at what some of many have, without what several of them share."""
    sample = [*islice(every, 0, None, max(len(every) // n_samples, 1))]
    own: dict[int, Any] = {}
    for one in sample:
        for each in _own(one, held):
            # Nothing for what another one has, too.
            own[id(each)] = None if id(each) in own else each
    nbytes = small = blocks = 0
    for each in own.values():
        size = 0 if each is None else _size(each)
        nbytes += size
        if 0 < size <= LARGEST_BLOCK:
            small += size
            # The items of a list are in another one.
            blocks += 1 + issubclass(type(each), list)
    number = max(len(sample), 1)
    return Sample(nbytes / number, small / number, blocks / number)


def _own(one: Any, held: set[int]) -> list[Any]:
    """Return an object, and what it refers to that does not belong to others."""
    found, known = [one], held | {id(one)}
    if isinstance(one, TaskState):  # its spec has their keys too
        known.update(id(each.key) for each in one.dependencies)
    elif isinstance(one, ClientState):
        known.add(id(one.wants_what))  # the tasks'
    for each in found:  # it grows
        for other in gc.get_referents(each):
            if id(other) not in known and not _is_foreign(other):
                known.add(id(other))
                found.append(other)
        if len(found) > MOST_OBJECTS:
            break
    return found


def _is_foreign(each: Any) -> bool:
    # Nothing of a user's runs: a proxy may fetch what it stands for if it is asked for
    # its class, and a class may have a metaclass that fails.
    return not _FOREIGN_IDS.isdisjoint(map(id, _bases_of(type(each))))


def _size(each: Any) -> int:
    """Return the bytes of an object itself; ``__sizeof__`` in Python may add others."""
    kind: Any = type(each)
    size = object.__sizeof__(each)
    try:
        if type(kind.__sizeof__) is MethodDescriptorType:  # in C
            size = kind.__sizeof__(each)
    except Exception:  # it may be anything
        pass
    size += GC_HEADER if _flags_of(kind) & HAVE_GC else 0
    return (size + STEP - 1) // STEP * STEP
