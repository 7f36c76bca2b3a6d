"""Profile: where the event loop was seen, once a second."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tornado.ioloop import IOLoop


def bound_profile(loop: IOLoop, profile: int | None) -> None:
    """Forget the oldest stacks that were taken of an event loop.

    A thread of upstream's takes one each ``distributed.worker.profile.cycle``, but on
    CPython 3.11, and knows no bound but ``distributed.admin.low-level-log-length``. It
    holds what it adds to, as an open page does, so that this stays and is shortened.

    Parameters
    ----------
    loop : tornado.ioloop.IOLoop
        A scheduler's. All servers of the process that share it share its profile.
    profile : int or None
        Stacks kept; None keeps what upstream does.
    """
    stacks = loop.profile  # type: ignore[attr-defined]
    if profile is not None:
        while len(stacks) > profile:
            stacks.popleft()
