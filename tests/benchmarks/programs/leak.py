"""Preload of a scheduler that is to leak: a hundred bytes for each task."""

from __future__ import annotations

from distributed.diagnostics.plugin import SchedulerPlugin


class Leak(SchedulerPlugin):
    def __init__(self):
        self.leaked = []

    def transition(self, key, start, finish, *args, **kwargs):
        if finish == "forgotten":
            self.leaked.append(bytes(100 - 33))  # and 33 of the object itself


def dask_setup(scheduler):
    scheduler.add_plugin(Leak())
