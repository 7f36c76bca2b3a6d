"""All classes of faults, and those of clients."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import rule

from leandask import install
from tests.tasks.lockstep.machine import CLIENT, PICK, Lockstep, pick_from
from tests.tasks.lockstep.side import Upstream
from tests.tasks.lockstep.taskfaults import Collisions, Errors, Placement, Stale
from tests.tasks.lockstep.workerfaults import (
    Deaths,
    LostData,
    Replicas,
    Restarts,
    Stealing,
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
        """Whether a client wants all that depends on a key: upstream asserts it.

        It also raises for a client that is gone, once it comes to it in a set.
        """
        ts = self.scheduler.tasks[key]
        return (
            bool(ts.who_wants)
            and all(cs.client_key in self.scheduler.clients for cs in ts.who_wants)
            and all(self.can_cancel(dependent.key) for dependent in ts.dependents)
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
    *Everything.__bases__,
    Collisions,
    Everything,
    Installed,
]
