"""Preload that makes a scheduler leak a list of a hundred bytes for each task."""

from __future__ import annotations

from distributed.diagnostics.plugin import SchedulerPlugin


class Leak(SchedulerPlugin):
    def __init__(self):
        self.leaked = []

    def transition(self, key, start, finish, *args, **kwargs):
        if finish == "forgotten":
            # 56 bytes, 16 for the garbage collector, and 32 for the items.
            self.leaked.append([None] * 3)


def dask_setup(scheduler):
    scheduler.add_plugin(Leak())
