"""Functions of tasks that schedulers and workers of tests import."""

from __future__ import annotations

import os


def inc(x):
    return x + 1


def fail(x):
    raise ValueError(f"no {x} here")


def leave(x):
    os._exit(1)
