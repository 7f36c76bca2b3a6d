"""Workers that die, pause, lose data or pass on tasks."""

from __future__ import annotations

from distributed.active_memory_manager import RetireWorker
from hypothesis import strategies as st
from hypothesis.stateful import rule

from tests.tasks.lockstep.machine import (
    CLIENT,
    NO_WORKERS_TIMEOUT,
    PICK,
    Lockstep,
    pick_from,
)


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
        if pick % 4 or self.is_wanted_by_the_gone():
            return
        self.do(
            lambda side: side.run(
                side.scheduler.restart(wait_for_workers=False, stimulus_id="restart")
            )
        )

    def is_wanted_by_the_gone(self):
        """Whether a client that is gone, or was there before, wants a task.

        A restart leaves that task, and upstream then raises for the worker that has it.
        """
        clients = self.scheduler.clients
        return any(
            cs is not clients.get(cs.client_key)
            for ts in self.scheduler.tasks.values()
            for cs in ts.who_wants or ()
        )
