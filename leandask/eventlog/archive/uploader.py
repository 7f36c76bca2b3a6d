"""Uploader: the thread that brings segments and ``run.json`` to the bucket."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable

from leandask._throttle import Throttle
from leandask.eventlog.archive.bucket import Bucket
from leandask.eventlog.archive.lifefolder import LifeFolder, left_behind
from leandask.eventlog.archive.waiting import Waiting
from leandask.eventlog.linewriter import Retry
from leandask.records.text import MESSAGE_LENGTH, one_line

logger = logging.getLogger("leandask")


class Uploader:
    """Uploads what waits, in a thread, and tries again what fails.

    Parameters
    ----------
    bucket : Bucket
    waiting : Waiting
        What is complete. What earlier schedulers left is added first.
    folder : LifeFolder
        Of the scheduler. Those beside it may be of earlier ones.
    cut : callable
        Completes the segment that is written; called in the thread. Its argument is
        whether it is the last one.
    write_run : callable
        Writes ``run.json`` to the folder.
    ended : callable
        Called last.
    interval : float
        Longest time in seconds between two cuts, unless uploads fail.
    retry : Retry
    report_interval : float, optional
        Shortest time in seconds between two reports of failures.
    """

    #: Uploads that failed.
    errors: int
    #: The last error; "" if there was none.
    last_error: str
    #: When an upload last succeeded, in seconds since the epoch; None if none did.
    last_upload: float | None

    def __init__(
        self,
        bucket: Bucket,
        waiting: Waiting,
        folder: LifeFolder,
        cut: Callable[[bool], object],
        write_run: Callable[[], object],
        ended: Callable[[], object],
        interval: float,
        retry: Retry,
        report_interval: float = 60.0,
    ) -> None:
        self.bucket = bucket
        self.waiting = waiting
        self.folder = folder
        self.interval = interval
        self.retry = retry
        self.errors = 0
        self.last_error = ""
        self.last_upload = None
        self._cut = cut
        self._write_run = write_run
        self._ended = ended
        self._reporting = Throttle(report_interval)
        self._lost_reported = 0
        self._wake = threading.Event()
        self._ending = self._run_is_new = False
        #: Whether all was uploaded when the thread ended.
        self.is_complete = False
        self._left: list[LifeFolder] = []
        self._thread: threading.Thread | None = None

    def __repr__(self) -> str:
        state = "failing" if self.retry.failing else "works"
        return f"<{type(self).__name__} {self.bucket!r}: {state}, {self.waiting!r}>"

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Start the thread; without one all stays on the disk."""
        thread = threading.Thread(target=self._run, name="leandask-archive")
        thread.daemon = True  # an upload may hang for ever
        try:
            thread.start()
        except RuntimeError as e:  # no more threads, or the interpreter exits
            self._note_failure(e)
            return
        self._thread = thread

    def wake(self) -> None:
        """Have the thread look at what waits."""
        self._wake.set()

    def end(self) -> None:
        """Have the thread upload the rest, with one try, and end."""
        self._ending = True
        self._wake.set()

    def join(self, timeout: float) -> None:
        """Wait for the end of the thread."""
        # The garbage collector may close a scheduler in the thread itself.
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def after_fork(self) -> None:
        """In a child process: leave all to the parent process."""
        self._thread = None
        for left in self._left:
            left.close()

    def _run(self) -> None:
        cut_at = time.monotonic() + self.interval
        self._guarded(self._adopt)
        while True:
            is_last = self._ending
            self._wake.clear()
            is_due = time.monotonic() >= cut_at
            if is_last or (is_due and not self.retry.failing):
                self._guarded(self._complete)
                cut_at = time.monotonic() + self.interval
            if is_last or self.retry.is_due:
                self._guarded(self._upload)
            self._guarded(self._report_lost)
            if is_last:
                break
            self._wake.wait(self._pause(cut_at))
        self.is_complete = not (len(self.waiting) or self._left or self.retry.failing)
        for left in self._left:
            left.close()
        self._guarded(self._ended)

    def _pause(self, cut_at: float) -> float:
        """Return the seconds until there is something to do, if nothing wakes it."""
        if self._ending:
            return 0.0
        if self.retry.failing:
            return min(1.0, self.interval)
        return max(cut_at - time.monotonic(), 0.0)

    def _guarded(self, act: Callable[[], object]) -> None:
        """Do something; the thread lives on, whatever it raises."""
        try:
            act()
        except Exception as e:  # of the local disk, most likely
            self._note_failure(e)

    def _adopt(self) -> None:
        """Take over what schedulers have left that are gone."""
        for segment in self.folder.segments():  # of one with the same name
            self.waiting.add(segment)
        for left in left_behind(self.folder.path.parent, self.folder):
            self._left.append(left)
            for segment in left.segments():
                self.waiting.add(segment)

    def _complete(self) -> None:
        self._cut(self._ending)
        self._write_run()
        self._run_is_new = True

    def _upload(self) -> None:
        """Upload what waits, up to the first failure."""
        while (segment := self.waiting.take()) is not None:
            try:
                self.bucket.put(segment.path, segment.key)
            except Exception as e:
                if os.path.exists(segment.path):
                    self.waiting.put_back()
                    self._note_failure(e, self.retry.fail())
                    return
                self.waiting.give_up()  # somebody has removed it
            else:
                self.waiting.confirm()
                self._note_success()
        try:
            if self._run_is_new:
                self._put_run(self.folder)
                self._run_is_new = False
            while self._left:
                self._put_run(self._left[0])
                self._left.pop(0).remove()
        except Exception as e:
            self._note_failure(e, self.retry.fail())
        else:
            self.retry.succeed()  # what failed may be lost meanwhile

    def _put_run(self, folder: LifeFolder) -> None:
        if path := folder.run:
            self.bucket.put(path, f"{folder.path.name}/{path.name}")
            self._note_success()

    def _note_failure(self, error: Exception, wait: float = 0.0) -> None:
        self.errors += 1
        self.last_error = one_line(str(error) or repr(error), 2 * MESSAGE_LENGTH)
        if self._reporting.acquire():
            logger.error(
                "Can't upload to the archive: %s. %s segments wait in %s, %s are lost; "
                "next try in %.0f s",
                self.last_error,
                len(self.waiting),
                self.folder.path.parent,
                self.waiting.lost,
                wait,
            )

    def _note_success(self) -> None:
        self.last_upload = time.time()
        if self.retry.succeed():
            logger.warning("The archive %r can be written again", self.bucket)

    def _report_lost(self) -> None:
        lost = self.waiting.lost
        if lost != self._lost_reported and self._reporting.acquire():
            self._lost_reported = lost
            logger.error(
                "%s segments of the archive are lost, as more than %s bytes waited",
                lost,
                self.waiting.most_bytes,
            )
