"""Uploads: files that clients gave to the scheduler."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING

from distributed.core import Status
from distributed.diagnostics.plugin import SchedulerUploadFile

if TYPE_CHECKING:
    from distributed import Scheduler


def forget_uploads(scheduler: Scheduler) -> None:
    """Forget the contents of files that were uploaded, and are on the disk by now.

    Each call of ``Client.upload_file`` leaves a plugin, for ever, which has the whole
    file and needs it at its start only.

    Parameters
    ----------
    scheduler : distributed.Scheduler
        Until it runs, plugins that it was given may not have been started.
    """
    if scheduler.status is not Status.running:
        return
    for name, plugin in list(scheduler.plugins.items()):
        if type(plugin) is SchedulerUploadFile and plugin.data:
            written = copy(plugin)  # the user may start the same one elsewhere
            written.data = b""
            scheduler.plugins[name] = written
