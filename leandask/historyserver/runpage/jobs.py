"""Jobs: the processes that read logs for pages, and the answers that are kept."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, NamedTuple

#: Processes at a time for pages, and for downloads; and those that may wait.
PROCESSES, DOWNLOADS, WAITING = 2, 2, 50
#: Seconds that a page may take, from the start of its process.
TIMEOUT = 300.0
#: Bytes of answers on the disk.
CACHE_BYTES = 512 * 2**20
#: Files of them; each answer has two.
FILES = 10_000
#: An answer about a log that has grown meanwhile serves for so many seconds, or so many
#: times as long as it took.
FRESH_SECONDS, FRESH_TIMES = 2.0, 10.0
#: Bytes of a download that are read at once.
PART = 256 * 1024
_WORKER = (sys.executable, "-m", "leandask.historyserver.runpage.worker")


class JobError(Exception):
    """A page that can't be made: its log is too much, or can't be read."""


class Busy(JobError):
    """Too many pages wait already."""


class Question(NamedTuple):
    """What a process is asked."""

    #: One of ``worker.KINDS``.
    kind: str
    place: str
    scheduler_id: str
    #: What identifies the state of the log.
    signature: str
    #: Bytes of its files, of which the process tells how many it has read.
    nbytes: int
    options: dict[str, Any]

    @property
    def name(self) -> str:
        """The name of the answer: a text of hexadecimal digits, whatever is asked."""
        parts = [self.kind, self.place, self.scheduler_id, self.options]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


class _Job:
    """A question that is being answered."""

    def __init__(self) -> None:
        self.task: asyncio.Task[Path]
        #: Readers that wait for it.
        self.readers: set[object] = set()
        #: Percent of the log that was read.
        self.percent = 0

    async def follow(self, process: asyncio.subprocess.Process) -> None:
        """Note what a process prints of its progress, to its end."""
        assert process.stdout is not None
        async for line in process.stdout:
            self.percent = int(line)


class Jobs:
    """Answers questions, each in a process of its own.

    Readers of the same page share one. It is killed when the last of them has left.

    Parameters
    ----------
    folder : pathlib.Path
        Keeps the answers.
    cache_bytes : int, optional
        Bytes of answers to keep; the ones that were used longest ago go first.
    timeout : float, optional
        Seconds.
    """

    def __init__(
        self, folder: Path, cache_bytes: int = CACHE_BYTES, timeout: float = TIMEOUT
    ) -> None:
        self.folder = folder
        self.cache_bytes = cache_bytes
        self.timeout = timeout
        self._slots = asyncio.Semaphore(PROCESSES)
        self._downloads = asyncio.Semaphore(DOWNLOADS)
        self._jobs: dict[str, _Job] = {}
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self._jobs)}/{WAITING}>"

    async def answer(self, question: Question) -> Path:
        """Return the file of an answer, which may be removed later.

        Raises
        ------
        JobError
            If there is none.
        """
        name = question.name
        if (path := self._kept(name, question.signature)) is not None:
            return path
        found = self._jobs.get(name)
        if found is None:
            if len(self._jobs) >= WAITING:
                raise Busy("too many pages are being made; try again later")
            found = self._jobs[name] = _Job()
            found.task = asyncio.create_task(self._make(question, name, found))
            found.task.add_done_callback(lambda _: self._forget(name, found))
        reader = object()
        found.readers.add(reader)
        try:
            return await asyncio.shield(found.task)
        finally:
            found.readers.discard(reader)
            if not found.readers and not found.task.done():
                self._forget(name, found)
                found.task.cancel()

    async def close(self) -> None:
        """End all processes."""
        tasks = [found.task for found in self._jobs.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def download(self, question: Question) -> AsyncGenerator[bytes, None]:
        """Yield the lines of a run, as fast as its reader takes them."""
        if self._downloads.locked():
            raise Busy("too many logs are being downloaded; try again later")
        async with self._downloads:
            process = await self._start(question, Path())
            assert process.stdout is not None
            try:
                while part := await process.stdout.read(PART):
                    yield part
                if await process.wait():
                    raise JobError("the log can't be read to its end")
            finally:
                await _end(process)

    def percent(self, question: Question) -> int | None:
        """Return how much of a log was read for an answer; None if it is not made."""
        job = self._jobs.get(question.name)
        return None if job is None else job.percent

    def _forget(self, name: str, job: _Job) -> None:
        """Forget a job, but not the one that took its place while it was ended."""
        if self._jobs.get(name) is job:
            del self._jobs[name]

    async def _make(self, question: Question, name: str, job: _Job) -> Path:
        async with self._slots:
            try:
                return await self._make_file(question, name, job)
            except OSError as e:  # a full disk, most likely
                raise JobError(f"its page can't be kept: {e.strerror}") from None

    async def _make_file(self, question: Question, name: str, job: _Job) -> Path:
        start = time.monotonic()
        # It lies in a cache, which may have been emptied.
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        fd, temporary = tempfile.mkstemp(dir=self.folder)
        os.close(fd)
        path = Path(temporary)
        try:
            await self._run(question, path, job)
            meta = {
                "signature": question.signature,
                "took": time.monotonic() - start,
                "at": time.time(),
            }
            self.folder.joinpath(f"{name}.meta").write_text(json.dumps(meta))
            return path.replace(self.folder / name)
        finally:
            path.unlink(missing_ok=True)
            self._prune(name)

    async def _run(self, question: Question, output: Path, job: _Job) -> None:
        process = await self._start(question, output)
        assert process.stderr is not None
        following = asyncio.create_task(job.follow(process))
        try:
            # To its end. Not `communicate`, which may close stdin first.
            error = await asyncio.wait_for(process.stderr.read(), self.timeout)
            code = await process.wait()
        except asyncio.TimeoutError:
            raise JobError(f"it takes longer than {self.timeout:.0f} s") from None
        finally:
            following.cancel()
            await _end(process)
        if code < 0:
            raise JobError(f"its process was killed by signal {-code}")
        if code:
            lines = error.decode(errors="replace").strip().splitlines()
            raise JobError(lines[-1][:500] if lines else "its process failed")

    async def _start(
        self, question: Question, output: Path
    ) -> asyncio.subprocess.Process:
        given = question._asdict() | {"output": str(output)}
        return await asyncio.create_subprocess_exec(
            *_WORKER,
            json.dumps(given),
            stdin=asyncio.subprocess.PIPE,  # it ends with the server
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=PART,
        )

    def is_current(self, path: Path, signature: str) -> bool:
        """Whether an answer is of a log as it is now."""
        try:
            meta = json.loads(path.with_suffix(".meta").read_text())
            return bool(meta["signature"] == signature)
        except (OSError, ValueError, KeyError):
            return False

    def _kept(self, name: str, signature: str) -> Path | None:
        """Return an answer that is new enough, if there is one."""
        path = self.folder / name
        try:
            meta = json.loads(path.with_suffix(".meta").read_text())
            age = time.time() - meta["at"]
            if meta["signature"] != signature and age > max(
                FRESH_SECONDS, FRESH_TIMES * meta["took"]
            ):
                return None
            os.utime(path)
        except (OSError, ValueError, KeyError):
            return None
        return path

    def _prune(self, newest: str) -> None:
        """Remove answers until the others fit."""
        files = []
        for path in self.folder.iterdir():
            with contextlib.suppress(OSError):
                status = path.stat()
                files.append((status.st_mtime, status.st_size, path))
        left = self.cache_bytes
        for i, (_, nbytes, path) in enumerate(sorted(files, reverse=True)):
            left -= nbytes
            if (
                (left < 0 or i >= FILES)
                and path.stem != newest
                and path.suffix != ".meta"
            ):
                path.unlink(missing_ok=True)
                path.with_suffix(".meta").unlink(missing_ok=True)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill a process if it has not ended, and wait for it."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    await asyncio.shield(process.wait())
