"""Allocator: starts the process again with the allocator that is configured."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from leandask.settings import config

#: Environment variable that Python reads only at its start.
PYTHONMALLOC = "PYTHONMALLOC"
#: Environment variable that marks the second start.
_STARTED_AGAIN = "LEANDASK_STARTED_AGAIN"


def use_configured_allocator() -> None:
    """Replace this process by itself with ``leandask.memory.allocator``, once.

    Its id, arguments, folder and open files stay. The processes that it starts have
    Python's own allocator. Whoever sets PYTHONMALLOC, or starts Python without its
    environment variables, keeps what that says.
    """
    if os.environ.pop(_STARTED_AGAIN, None):
        os.environ.pop(PYTHONMALLOC, None)
        return
    # What is neither word is refused later, with all other settings.
    is_wanted = config.configured("memory.allocator") == "malloc"
    # Python takes one that is empty as if it were not set.
    is_open = not os.environ.get(PYTHONMALLOC) and not sys.flags.ignore_environment
    if is_wanted and is_open and sys.executable:
        again = {PYTHONMALLOC: "malloc", _STARTED_AGAIN: "1"}
        with suppress(OSError):  # a line says that the setting is ignored
            os.execve(
                sys.executable,
                [sys.executable, *sys.orig_argv[1:]],
                os.environ | again,
            )
