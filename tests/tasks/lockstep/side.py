"""A scheduler without a network, and what a test says to it."""

from __future__ import annotations

import asyncio
import inspect
from collections import defaultdict

import distributed
from dask._expr import LLGExpr
from distributed.protocol import serialize, to_serialize
from distributed.protocol.serialize import Serialized

from leandask import LeanScheduler
from tests.helpers.schedulers import LOCAL
from tests.tasks.lockstep.network import Comm, Pool, metrics
from tests.tasks.lockstep.order import OrderedSet, OrderedTransitions, Unknown


class Watcher(distributed.SchedulerPlugin):
    """Notes each transition with what a plugin sees of its task."""

    name = "watcher"

    def __init__(self, scheduler):
        self.scheduler = scheduler
        self.seen = []

    def transition(self, key, start, finish, **kwargs):
        ts = self.scheduler.tasks[key]
        dependencies = sorted(str(each.key) for each in ts.dependencies)
        dependents = sorted(str(each.key) for each in ts.dependents)
        self.seen.append((str(key), start, finish, dependencies, dependents))


class NoNetwork(OrderedTransitions):
    """For a scheduler: its streams end when their comm is gone."""

    async def handle_stream(self, comm, extra=None):
        await comm.gone.wait()


class Upstream(NoNetwork, distributed.Scheduler):
    pass


class Lean(NoNetwork, LeanScheduler):
    pass


class Side:
    """One of the two schedulers, and what a test says to it."""

    def __init__(self, cls, loop, **settings):
        self.loop = loop
        self.scheduler = self.run(self._make(cls))
        for name, value in settings.items():
            setattr(self.scheduler, name, value)
        self.comms = {}
        self._serving = []
        self._is_closing = False
        #: Outboxes by recipient, also of those that are gone.
        self.outboxes = defaultdict(list)
        self._runs = {}
        self._once = {}

    async def _make(self, cls):
        scheduler = cls(**LOCAL, validate=True)
        scheduler.rpc = Pool()
        scheduler.extensions["amm"].stop()  # it runs when the test says so
        scheduler.extensions["stealing"].unknown_durations = Unknown()
        self.watcher = Watcher(scheduler)
        scheduler.add_plugin(self.watcher)
        return scheduler

    def run(self, coroutine):
        return self.loop.run_until_complete(coroutine)

    def tick(self):
        """Let the tasks of the loop run until they wait for something."""
        for _ in range(8):
            self.run(asyncio.sleep(0))
        for each in [each for each in self._serving if each.done()]:
            self._serving.remove(each)
            if not self._is_closing:
                each.result()

    def close(self):
        self._is_closing = True  # upstream's scheduler may be in no state to go on
        for comm in self.comms.values():
            comm.gone.set()
        self.tick()
        self.run(self.scheduler.close())

    # What connects.

    def connect(self, serving):
        self._serving.append(self.loop.create_task(serving))
        self.tick()

    def add_worker(self, address, name, nthreads, resources):
        comm = self.comms[address] = Comm()
        self.connect(
            self.scheduler.add_worker(
                comm,
                address=address,
                status="running",
                server_id=f"Worker-{name}",
                nthreads=nthreads,
                name=name,
                resolve_address=False,
                now=distributed.scheduler.time(),
                resources=resources,
                memory_limit=2**30,
                metrics=metrics(name),
                services={},
                local_directory="",
                versions={},
                nanny="",
                extra={},
                stimulus_id=f"add-{name}",
            ),
        )
        self.outboxes[address].append(self.scheduler.stream_comms[address])
        ws = self.scheduler.workers[address]
        if type(ws.processing) is set:
            ws.processing = OrderedSet(ws.processing)

    def add_client(self, name):
        comm = self.comms[name] = Comm()
        self.connect(self.scheduler.add_client(comm, client=name, versions={}))
        self.outboxes[name].append(self.scheduler.client_comms[name])

    def disconnect(self, name):
        """End a connection, as if the peer had died."""
        self.comms.pop(name).gone.set()
        self.tick()

    # What they say.

    def hear(self, op, **msg):
        """Handle a message of a stream."""
        result = self.scheduler.stream_handlers[op](**msg)
        if inspect.isawaitable(result):
            self.run(result)

    def update_graph(self, dsk, keys, client, **options):
        expr = LLGExpr(dsk)
        options = {"annotations": None, "user_priority": 0, **options}
        self.hear(
            "update-graph",
            client=client,
            expr_ser=Serialized(*serialize(to_serialize(expr))),
            keys=set(keys),
            span_metadata={"collections": []},
            internal_priority=None,
            submitting_task=None,
            **options,
        )

    def run_id_of(self, key):
        ts = self.scheduler.tasks.get(key)
        return None if ts is None else ts.run_id

    def number_of_run(self, run_id):
        """Return the number of a run among those of this side."""
        return (
            None if run_id is None else self._runs.setdefault(run_id, len(self._runs))
        )

    def once(self, it, function):
        """Return what a function makes of an object that does not change."""
        if id(it) not in self._once:
            self._once[id(it)] = it, function(it)  # kept, so that no other has its id
        return self._once[id(it)][1]

    def take_sent(self):
        """Return what was sent since the last call, by recipient."""
        sent = {}
        for recipient, outboxes in self.outboxes.items():
            if msgs := [msg for each in outboxes for msg in each.take()]:
                sent[recipient] = msgs
        return sent

    def take_seen(self):
        """Return the transitions since the last call."""
        seen, self.watcher.seen = self.watcher.seen, []
        return seen
