"""What goes wrong in a cluster, by class of faults."""

from __future__ import annotations

import pickle

from distributed.active_memory_manager import RetireWorker
from hypothesis import strategies as st
from hypothesis.stateful import rule

from leandask import install
from tests.tasks.lockstep.machine import (
    CLIENT,
    CLIENTS,
    NO_WORKERS_TIMEOUT,
    PICK,
    Lockstep,
    pick_from,
)
from tests.tasks.lockstep.side import Upstream

SHAPE = st.randoms(use_true_random=False)
ERROR = pickle.dumps(ValueError("wrong"))


class Errors(Lockstep):
    """Tasks err, are tried again, and are retried."""

    @rule(client=CLIENT, n=st.integers(1, 6), shape=SHAPE, retries=st.integers(1, 2))
    def submit_with_retries(self, client, n, shape, retries):
        self.submit_graph(client, n, shape, annotations={"retries": retries})

    @rule(pick=PICK)
    def err(self, pick):
        if picked := pick_from(self.processing(), pick):
            self.erred(*picked)

    def erred(self, worker, key, run_id=None):
        self.do(
            lambda side: side.hear(
                "task-erred",
                key=key,
                worker=worker,
                run_id=side.run_id_of(key) if run_id is None else run_id,
                stimulus_id=f"erred-{key}",
                exception=ERROR,
                traceback=ERROR,
                exception_text="ValueError('wrong')",
                traceback_text="line 1",
                thread=1,
                startstops=(),
            )
        )

    @rule(client=CLIENT, pick=PICK)
    def retry(self, client, pick):
        erred = [k for k, ts in self.scheduler.tasks.items() if ts.state == "erred"]
        if key := pick_from(erred, pick):
            self.do(lambda side: side.scheduler.stimulus_retry([key], client))


class Deaths(Lockstep):
    """Workers are lost, leave, pause, and come back too late."""

    @rule(pick=PICK)
    def lose_worker(self, pick):
        if address := pick_from(self.scheduler.workers, pick):
            self.do(lambda side: side.disconnect(address))

    @rule(pick=PICK, expected=st.booleans(), close=st.booleans())
    def remove_worker(self, pick, expected, close):
        if address := pick_from(self.scheduler.workers, pick):
            self.do(
                lambda side: side.run(
                    side.scheduler.remove_worker(
                        address, stimulus_id="remove", expected=expected, close=close
                    )
                )
            )

    @rule(
        pick=PICK, status=st.sampled_from(["paused", "running", "closing_gracefully"])
    )
    def change_status(self, pick, status):
        if address := pick_from(self.scheduler.workers, pick):
            self.do(
                lambda side: side.hear(
                    "worker-status-change",
                    status=status,
                    worker=address,
                    stimulus_id="status",
                )
            )

    @rule(seconds=st.sampled_from([1, NO_WORKERS_TIMEOUT + 1]))
    def wait(self, seconds):
        """Time passes, in which nothing may have run."""
        self.clock.now += seconds
        self.do(lambda side: side.scheduler._check_no_workers())


class LostData(Lockstep):
    """Workers drop what they hold, hold what nobody knew, and ask who holds what."""

    @rule(pick=PICK, where=PICK)
    def drop(self, pick, where):
        if key := pick_from(self.in_memory(), pick):
            holders = [ws.address for ws in self.scheduler.tasks[key].who_has]
            self.released_data(pick_from(holders, where), key)

    @rule(pick=PICK, where=PICK)
    def drop_what_may_not_be_there(self, pick, where):
        key = pick_from(self.scheduler.tasks, pick)
        if address := pick_from(self.scheduler.workers, where):
            self.released_data(address, key or "unknown")

    def released_data(self, address, key):
        self.do(
            lambda side: side.hear(
                "release-worker-data", key=key, worker=address, stimulus_id="drop"
            )
        )

    @rule(picks=st.lists(PICK, min_size=1, max_size=3), where=PICK)
    def add_keys(self, picks, where):
        keys = {pick_from([*self.scheduler.tasks, "unknown"], pick) for pick in picks}
        if address := pick_from(self.scheduler.workers, where):
            self.do(
                lambda side: side.hear(
                    "add-keys",
                    keys=sorted(keys, key=str),
                    worker=address,
                    stimulus_id="add-keys",
                )
            )

    @rule(pick=PICK, where=PICK)
    def refresh(self, pick, where):
        key = pick_from(self.scheduler.tasks, pick)
        if address := pick_from(self.scheduler.workers, where):
            self.do(
                lambda side: side.hear(
                    "request-refresh-who-has",
                    keys=[key, "unknown"],
                    worker=address,
                    stimulus_id="refresh",
                )
            )


class Stale(Errors):
    """Messages come twice, too late, from the wrong worker or of an earlier run."""

    @rule(pick=PICK, where=PICK, run_id=st.sampled_from([None, -1]), errs=st.booleans())
    def come_late(self, pick, where, run_id, errs):
        key = pick_from([*self.scheduler.tasks, "unknown"], pick)
        address = pick_from(self.scheduler.workers, where)
        if not address:
            return
        ts = self.scheduler.tasks.get(key)
        if ts is None or ts.run_id is None:
            run_id = -1
        elif ts.processing_on and ts.processing_on.address != address:
            run_id = -1  # the current run is on another worker
        if errs:
            self.erred(address, key, run_id)
        else:
            self.finished(address, key, run_id=run_id)

    @rule(pick=PICK)
    def reschedule(self, pick):
        if picked := pick_from(self.processing(), pick):
            worker, key = picked
            self.do(
                lambda side: side.hear(
                    "reschedule", key=key, worker=worker, stimulus_id="reschedule"
                )
            )

    @rule(pick=PICK, duration=st.sampled_from([None, 0.5]), is_stale=st.booleans())
    def secede(self, pick, duration, is_stale):
        if picked := pick_from(self.processing(), pick):
            worker, key = picked
            self.do(
                lambda side: side.hear(
                    "long-running",
                    key=key,
                    worker=worker,
                    run_id=-1 if is_stale else side.run_id_of(key),
                    compute_duration=duration,
                    stimulus_id="long-running",
                )
            )


class Stealing(Lockstep):
    """Tasks are stolen, and the answers of their workers differ."""

    @rule()
    def balance(self):
        self.do(lambda side: side.scheduler.extensions["stealing"].balance())

    @rule(pick=PICK, where=PICK)
    def steal(self, pick, where):
        thief = pick_from(self.scheduler.workers, where)
        picked = pick_from(self.processing(), pick)
        if not picked or picked[0] == thief:
            return

        def steal(side):
            s = side.scheduler
            worker, key = picked
            s.extensions["stealing"].move_task_request(
                s.tasks[key], s.workers[worker], s.workers[thief]
            )

        self.do(steal)

    @rule(
        pick=PICK,
        state=st.sampled_from(["ready", "executing", "waiting", None, "memory"]),
        is_stale=st.booleans(),
    )
    def answer(self, pick, state, is_stale):
        in_flight = self.scheduler.extensions["stealing"].in_flight
        asked = {ts.key: info["stimulus_id"] for ts, info in in_flight.items()}
        if key := pick_from(asked, pick):
            self.do(
                lambda side: side.hear(
                    "steal-response",
                    key=key,
                    state=state,
                    stimulus_id="stale" if is_stale else asked[key],
                    worker="worker",
                )
            )


class Clients(Lockstep):
    """Clients go and come, cancel, and want what is lost."""

    @rule(client=CLIENT)
    def disconnect(self, client):
        if client in self.scheduler.client_comms:
            self.do(lambda side: side.disconnect(client))

    @rule(client=CLIENT)
    def connect(self, client):
        if client not in self.scheduler.client_comms:
            self.do(lambda side: side.add_client(client))

    @rule(client=CLIENT, pick=PICK, force=st.booleans())
    def cancel(self, client, pick, force):
        key = pick_from(self.wanted(client), pick)
        if key is not None and self.can_cancel(key):
            self.do(
                lambda side: side.hear(
                    "cancel-keys",
                    keys=[key],
                    client=client,
                    force=force,
                    reason="test",
                    msg="cancelled",
                )
            )

    def can_cancel(self, key):
        """Whether a client wants all that depends on a key: upstream asserts it."""
        ts = self.scheduler.tasks[key]
        return bool(ts.who_wants) and all(
            self.can_cancel(dependent.key) for dependent in ts.dependents
        )

    @rule(
        name=st.sampled_from(["fire-and-forget", "published-x", "variable-x"]),
        pick=PICK,
        release=st.booleans(),
    )
    def hold(self, name, pick, release):
        """A variable or a published dataset holds futures, or holds them no longer."""
        wanted = self.wanted(name)
        if release and wanted:
            self.do(
                lambda side: side.scheduler.client_releases_keys(
                    keys=list(wanted), client=name, stimulus_id="release"
                )
            )
        elif key := pick_from(self.scheduler.tasks, pick):
            self.do(lambda side: side.scheduler.client_desires_keys([key], name))

    @rule(client=CLIENT, pick=PICK)
    def submit_lost(self, client, pick):
        """A graph depends on what is forgotten."""
        self.send({f"lost-{pick}": ["never-there"]}, [f"lost-{pick}"], client)


class Placement(Lockstep):
    """Tasks are restricted to workers, hosts and resources, urgent, or actors."""

    @rule(
        client=CLIENT,
        n=st.integers(1, 5),
        shape=SHAPE,
        workers=st.lists(st.integers(1, 4), max_size=2),
        host=st.booleans(),
        gpus=st.integers(0, 2),
        priority=st.integers(-1, 1),
        loose=st.booleans(),
    )
    def submit_restricted(
        self, client, n, shape, workers, host, gpus, priority, loose
    ):
        annotations = {"priority": priority}
        if workers:
            annotations["workers"] = [
                f"10.0.0.{i % 2 + 1}" if host else f"tcp://10.0.0.{i % 2 + 1}:{9000 + i}"
                for i in workers
            ]
            annotations["allow_other_workers"] = loose
        if gpus and not loose:  # upstream fails at a worker without the resource
            annotations["resources"] = {"GPU": gpus}
        self.submit_graph(client, n, shape, annotations=annotations)

    @rule(client=CLIENT)
    def submit_actor(self, client):
        self.n_keys += 1
        # Of a small group: upstream queues actors of a large one, and fails then.
        key = f"actor_{chr(ord('a') + self.n_keys % 26)}-{self.n_keys}"
        self.send({key: []}, [key], client, actors=True)

    @rule(pick=PICK, where=PICK)
    def restrict(self, pick, where):
        key = pick_from(self.scheduler.tasks, pick)
        address = pick_from(self.scheduler.workers, where)
        if key is not None:
            self.do(lambda side: side.scheduler.set_restrictions({key: address}))


class Replicas(Lockstep):
    """Data is scattered, copied, moved and dropped between workers."""

    @rule(client=CLIENT, picks=st.lists(PICK, min_size=1, max_size=2), known=PICK)
    def scatter(self, client, picks, known):
        addresses = {pick_from(self.scheduler.workers, pick) for pick in picks}
        if None in addresses or client not in self.scheduler.clients:
            return
        self.n_keys += 1
        key = f"data-{self.n_keys}"
        self.do(
            lambda side: side.hear(
                "update-data",
                who_has={key: sorted(addresses)},
                nbytes={key: 1000},
                client=client,
            )
        )

    @rule(pick=PICK, n=st.integers(1, 3), failing=PICK)
    def replicate(self, pick, n, failing):
        if key := pick_from(self.in_memory(), pick):
            self.fail(failing)
            self.do(
                lambda side: side.run(
                    side.scheduler.replicate([key], n=n, stimulus_id="replicate")
                )
            )

    @rule(failing=PICK)
    def rebalance(self, failing):
        self.fail(failing)
        self.do(
            lambda side: side.run(side.scheduler.rebalance(stimulus_id="rebalance"))
        )

    def fail(self, failing):
        """Let one worker not get all that it shall copy, or none."""
        address = pick_from([*self.scheduler.workers, "none"], failing)
        for side in self.sides:
            side.scheduler.rpc.failing = {address}

    @rule()
    def manage_memory(self):
        self.do(lambda side: side.scheduler.extensions["amm"].run_once())

    @rule(pick=PICK)
    def retire(self, pick):
        """Begin to move what only one worker holds."""
        if address := pick_from(self.scheduler.workers, pick):

            def retire(side):
                amm = side.scheduler.extensions["amm"]
                amm.add_policy(RetireWorker(address))
                side.hear(
                    "worker-status-change",
                    status="closing_gracefully",
                    worker=address,
                    stimulus_id="retire",
                )
                amm.run_once()

            self.do(retire)


class Restarts(Lockstep):
    """The cluster is restarted: all tasks and workers go."""

    @rule(pick=PICK)
    def restart(self, pick):
        if pick % 4:
            return
        self.do(
            lambda side: side.run(
                side.scheduler.restart(wait_for_workers=False, stimulus_id="restart")
            )
        )


class Collisions(Lockstep):
    """A key is submitted again with other dependencies."""

    @rule(client=CLIENT, pick=PICK)
    def submit_other(self, client, pick):
        if self.graphs:
            graph, wanted = self.graphs[pick % len(self.graphs)]
            other = {key: dependencies[1:] for key, dependencies in graph.items()}
            self.send(other, wanted, client)


class Everything(
    Deaths,
    LostData,
    Stale,
    Stealing,
    Clients,
    Placement,
    Replicas,
    Restarts,
):
    """All faults together."""


class Installed(Everything):
    """A running scheduler is made lean: it has old tasks and gets new ones."""

    lean = Upstream

    @rule()
    def install(self):
        scheduler = self.sides[1].scheduler
        unknown = scheduler.extensions["stealing"].unknown_durations
        install(scheduler)
        scheduler.extensions["stealing"].unknown_durations = unknown


FAULTS = [
    Lockstep,
    Errors,
    Deaths,
    LostData,
    Stale,
    Stealing,
    Clients,
    Placement,
    Replicas,
    Restarts,
    Collisions,
    Everything,
    Installed,
]

__all__ = ["CLIENTS", "FAULTS"]
