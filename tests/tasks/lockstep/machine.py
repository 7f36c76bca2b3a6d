"""A state machine that does the same to upstream's scheduler and to a lean one."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter

import pytest
from hypothesis import event
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tests.tasks.lockstep import network, order, snapshot
from tests.tasks.lockstep.graphs import make_task, random_graph
from tests.tasks.lockstep.network import Clock, metrics
from tests.tasks.lockstep.side import Lean, Side, Upstream

#: Picks one of what there is at the time.
PICK = st.integers(0, 2**16)
#: Makes the shape of a graph.
SEED = st.integers(0, 2**32)
CLIENTS = ["Client-a", "Client-b"]
CLIENT = st.sampled_from(CLIENTS)

#: Seconds without a worker after which tasks fail.
NO_WORKERS_TIMEOUT = 20


def pick_from(values, pick):
    """Return one of the values, or None where there is none."""
    values = sorted(values, key=str)
    return values[pick % len(values)] if values else None


class Lockstep(RuleBasedStateMachine):
    """Two schedulers that get the same messages, and are compared after each.

    Its own rules are those of a healthy cluster. Subclasses add faults.
    """

    #: Number of steps of all machines of this class.
    steps: Counter = Counter()
    #: Class of the scheduler that is compared to upstream's.
    lean = Lean

    def __init__(self):
        super().__init__()
        self.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self.loop)
        self.patches = pytest.MonkeyPatch()
        self.clock = Clock()
        order.break_ties(self.patches)
        network.stand_in(self.patches, self.clock)
        logging.disable(logging.CRITICAL)
        self.sides = []

    @initialize(
        saturation=st.sampled_from([1.1, 1.0, float("inf")]), workers=st.integers(1, 3)
    )
    def start(self, saturation, workers):
        self.saturation = saturation
        self._start(workers)

    def _start(self, workers):
        self.n_workers = self.n_keys = 0
        #: Graphs that were submitted: key to dependencies.
        self.graphs = []
        settings = {
            "WORKER_SATURATION": self.saturation,
            "no_workers_timeout": NO_WORKERS_TIMEOUT,
            "allowed_failures": 1,
        }
        self.sides = [Side(cls, self.loop, **settings) for cls in (Upstream, self.lean)]
        for client in CLIENTS:
            self.do(lambda side, client=client: side.add_client(client))
        for n in range(workers):
            self.add_worker(n + 1)

    def _close(self):
        for side in self.sides:
            side.close()
        self.sides = []

    def teardown(self):
        self._close()
        pending = asyncio.all_tasks(self.loop)
        for each in pending:
            each.cancel()
        self.loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))
        self.loop.close()
        asyncio.set_event_loop(None)
        self.patches.undo()
        logging.disable(logging.NOTSET)

    # A step.

    @property
    def scheduler(self):
        """Upstream's: what is picked from it is in the other one, too."""
        return self.sides[0].scheduler

    def do(self, act):
        """Do the same to both, and compare them."""
        type(self).steps[type(self).__name__] += 1
        self.clock.now += 1
        outcomes = [self._outcome(act, side) for side in self.sides]
        assert outcomes[0] == outcomes[1]
        transitions = [sorted(side.take_seen()) for side in self.sides]
        assert transitions[0] == transitions[1]
        sent = [snapshot.messages(side) for side in self.sides]
        self.compare(sent, "sent")
        states = [snapshot.scheduler(side) for side in self.sides]
        self.compare(states)
        valid = [self._outcome(self._validate, side) for side in self.sides]
        assert valid[0] == valid[1]
        if outcomes[0] or valid[0]:
            # Upstream's scheduler is in no state to go on.
            event(f"upstream raises: {outcomes[0] or valid[0]}")
            self._close()
            self._start(2)

    def compare(self, pair, what=""):
        differences = snapshot.differences(*pair, what)
        assert not differences, "\n".join(differences)

    def _outcome(self, act, side):
        """Return the name of the error that an act raises, or None."""
        try:
            act(side)
        except Exception as error:
            self.last_error = error
            return type(error).__name__
        return None

    @staticmethod
    def _validate(side):
        side.scheduler.validate_state()

    # What there is.

    def processing(self):
        """Return the names of workers and the keys that they compute."""
        return [
            (address, ts.key)
            for address, ws in self.scheduler.workers.items()
            for ts in ws.processing
        ]

    def in_memory(self):
        return [k for k, ts in self.scheduler.tasks.items() if ts.state == "memory"]

    def wanted(self, client):
        cs = self.scheduler.clients.get(client)
        return [ts.key for ts in cs.wants_what] if cs else []

    # What a healthy cluster does.

    @rule(nthreads=st.integers(1, 2))
    def add_worker(self, nthreads):
        if len(self.scheduler.workers) == 5:
            return
        self.n_workers += 1
        name = f"worker-{self.n_workers}"
        address = f"tcp://10.0.0.{self.n_workers % 2 + 1}:{9000 + self.n_workers}"
        resources = {"GPU": nthreads} if self.n_workers % 2 else {}
        self.do(lambda side: side.add_worker(address, name, nthreads, resources))

    @rule(client=CLIENT, n=st.integers(1, 8), seed=SEED)
    def submit(self, client, n, seed):
        self.submit_graph(client, n, seed)

    def submit_graph(self, client, n, seed, **options):
        """Submit a graph of new keys, some of which depend on those that there are."""
        external = sorted(self.wanted(client), key=str)
        graph, wanted = random_graph(seed, n, self.n_keys, external)
        self.n_keys += n
        self.graphs = [*self.graphs[-5:], (graph, wanted)]
        self.send(graph, wanted, client, **options)

    def send(self, graph, wanted, client, **options):
        """Send a graph to both."""
        if client not in self.scheduler.client_comms or len(self.scheduler.tasks) > 40:
            return

        def update(side):
            dsk = {key: make_task(key, names) for key, names in graph.items()}
            side.update_graph(dsk, wanted, client, **options)

        self.do(update)

    @rule(client=CLIENT, pick=PICK)
    def submit_again(self, client, pick):
        """Submit what was submitted before, by any client."""
        if self.graphs:
            graph, wanted = self.graphs[pick % len(self.graphs)]
            self.send(graph, wanted, client)

    @rule(pick=PICK, nbytes=st.sampled_from([1, 100, 10**6, 10**9]))
    def finish(self, pick, nbytes):
        """A worker has computed a task."""
        if picked := pick_from(self.processing(), pick):
            self.finished(*picked, nbytes=nbytes)

    @rule(pick=PICK, n=st.integers(2, 6))
    def finish_some(self, pick, n):
        for _ in range(n):
            self.finish(pick, 1000)

    def finished(self, worker, key, *, run_id=None, nbytes=1000):
        """Say that a task is finished, in the current run if not told otherwise."""
        number = len(str(key)) % 5 + 1
        startstop = {"action": "compute", "start": 0.0, "stop": float(number)}

        def hear(side):
            side.hear(
                "task-finished",
                key=key,
                worker=worker,
                run_id=side.run_id_of(key) if run_id is None else run_id,
                stimulus_id=f"finished-{key}",
                nbytes=nbytes,
                type=b"type",
                typename=f"type-{number}",
                startstops=[startstop],
                metadata={"n": number} if number == 1 else {},
                thread=1,
            )

        self.do(hear)

    @rule(client=CLIENT, pick=PICK, n=st.integers(1, 5))
    def release(self, client, pick, n):
        """A client drops futures."""
        wanted = sorted(self.wanted(client), key=str)
        start = pick % len(wanted) if wanted else 0
        if keys := wanted[start : start + n]:
            self.do(
                lambda side: side.hear(
                    "client-releases-keys",
                    keys=list(keys),
                    client=client,
                    stimulus_id="release",
                )
            )

    @rule(client=CLIENT, pick=PICK)
    def desire(self, client, pick):
        """A client makes a future of a key that it knows from elsewhere."""
        if key := pick_from(self.scheduler.tasks, pick):
            self.do(
                lambda side: side.hear("client-desires-keys", keys=[key], client=client)
            )

    @rule(pick=PICK, memory=st.integers(0, 2**28), runs=st.booleans())
    def heartbeat(self, pick, memory, runs):
        """A worker tells its metrics, and what it runs for how long."""
        if address := pick_from(self.scheduler.workers, pick):
            ws = self.scheduler.workers[address]
            told = {ts.key: 1.5 for ts in ws.processing} if runs else None
            self.do(
                lambda side: side.scheduler.heartbeat_worker(
                    address=address,
                    resolve_address=False,
                    now=self.clock.now,
                    metrics=metrics(ws.name, memory),
                    executing=told,
                )
            )
