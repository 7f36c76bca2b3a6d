"""The present: what live tasks, workers and clients take, estimated from samples."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Collection
from itertools import islice
from sys import getsizeof
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any, TypedDict

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
#: RSS for each byte of objects, measured with 300,000 tasks: some of it is free space.
OVERHEAD = 1.25
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


class Live(TypedDict):
    """How many there are, and the bytes that they take, estimated."""

    count: int
    bytes: int


#: By what they are: tasks, workers, clients and connections. There are two connections
#: of each worker and client, and others.
Present = dict[str, Live]


def present_of(scheduler: Scheduler) -> Present:
    """Estimate what a scheduler holds now.

    It takes about 5 ms, and 10 ms more for each million tasks.
    """
    workers, clients = scheduler.workers.values(), scheduler.clients.values()
    connections = _compat.get_connections(scheduler)
    connected = _estimate(connections, SAMPLE_PEERS)
    connected["bytes"] += CONNECTION_BYTES * len(connections)
    connected["bytes"] += TLS_BYTES * sum("cipher" in c.extra_info for c in connections)
    tasks = _estimate(scheduler.tasks.values(), SAMPLE_TASKS)
    tasks["bytes"] += getsizeof(scheduler.tasks)
    wanted = [client.wants_what for client in clients]
    tasks["bytes"] += sum(map(getsizeof, wanted))
    tasks["bytes"] += REPLICA_BYTES * sum(len(each.has_what) for each in workers)
    return {
        "tasks": tasks,
        "workers": _estimate(workers, SAMPLE_PEERS),
        "clients": _estimate(clients, SAMPLE_PEERS, counted=wanted),
        "connections": connected,
    }


def _estimate(
    every: Collection[Any], n_samples: int, counted: Collection[Any] = ()
) -> Live:
    """Estimate what objects take, without what several share or others count."""
    sample = [*islice(every, 0, None, max(len(every) // n_samples, 1))]
    sizes = dict.fromkeys(map(id, counted), 0)
    for one in sample:
        for each in _own(one):
            # Nothing for what another one has, too.
            sizes[id(each)] = 0 if id(each) in sizes else _size(each)
    mean = sum(sizes.values()) / max(len(sample), 1)
    return {"count": len(every), "bytes": int(mean * len(every) * OVERHEAD)}


def _own(one: Any) -> list[Any]:
    """Return an object, and what it refers to that does not belong to others."""
    found, known = [one], {id(one)}
    for each in found:  # it grows
        for other in gc.get_referents(each):
            if id(other) not in known and not isinstance(other, FOREIGN):
                known.add(id(other))
                found.append(other)
        if len(found) > MOST_OBJECTS:
            break
    return found


def _size(each: Any) -> int:
    """Return the bytes of an object itself; ``__sizeof__`` in Python may add others."""
    kind = type(each)
    is_python = isinstance(kind.__sizeof__, FunctionType)
    size = object.__sizeof__(each) if is_python else each.__sizeof__()
    size += GC_HEADER if kind.__flags__ & HAVE_GC else 0
    return (size + STEP - 1) // STEP * STEP
