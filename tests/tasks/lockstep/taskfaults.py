"""Tasks that err, come late, may not run anywhere, or have a taken key."""

from __future__ import annotations

import pickle

from hypothesis import strategies as st
from hypothesis.stateful import rule

from tests.tasks.lockstep.machine import CLIENT, PICK, SEED, Lockstep, pick_from

ERROR = pickle.dumps(ValueError("wrong"))


class Errors(Lockstep):
    """Tasks err, are tried again, and are retried."""

    @rule(client=CLIENT, n=st.integers(1, 6), seed=SEED, retries=st.integers(1, 2))
    def submit_with_retries(self, client, n, seed, retries):
        self.submit_graph(client, n, seed, annotations={"retries": retries})

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


class Placement(Lockstep):
    """Tasks are restricted to workers, hosts and resources, urgent, or actors."""

    @rule(
        client=CLIENT,
        n=st.integers(1, 5),
        seed=SEED,
        workers=st.lists(st.integers(1, 4), max_size=2),
        host=st.booleans(),
        gpus=st.integers(0, 2),
        priority=st.integers(-1, 1),
        loose=st.booleans(),
    )
    def submit_restricted(self, client, n, seed, workers, host, gpus, priority, loose):
        annotations = {"priority": priority}
        if workers:
            annotations["workers"] = [
                f"10.0.0.{i % 2 + 1}"
                if host
                else f"tcp://10.0.0.{i % 2 + 1}:{9000 + i}"
                for i in workers
            ]
            annotations["allow_other_workers"] = loose
        if gpus and not loose:  # upstream fails at a worker without the resource
            annotations["resources"] = {"GPU": gpus}
        self.submit_graph(client, n, seed, annotations=annotations)

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


class Collisions(Lockstep):
    """A key is submitted again with other dependencies."""

    @rule(client=CLIENT, pick=PICK)
    def submit_other(self, client, pick):
        if self.graphs:
            graph, wanted = self.graphs[pick % len(self.graphs)]
            other = {key: dependencies[1:] for key, dependencies in graph.items()}
            self.send(other, wanted, client)
