"""Handlers that keep LogRecords, hang, are slow, or raise."""

from __future__ import annotations

import logging
import threading
import time


class Collector(logging.Handler):
    """Keeps the LogRecords that reach it."""

    def __init__(self):
        super().__init__()
        self.records = []

    def emit(self, record):
        self.records.append(record)


class Gate(logging.Handler):
    """Blocks the drain's thread until it is opened."""

    def __init__(self):
        super().__init__()
        self.opened, self.entered = threading.Event(), threading.Event()

    def emit(self, record):
        self.entered.set()
        assert self.opened.wait(30)


class Slow(Collector):
    """Takes some seconds for each record."""

    def __init__(self, seconds):
        super().__init__()
        self.seconds = seconds

    def emit(self, record):
        time.sleep(self.seconds)
        super().emit(record)


class Raising(logging.Handler):
    """Raises an error for each record."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    def emit(self, record):
        raise self.error
